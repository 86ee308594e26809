//! The core's state and its public face.

use crate::*;
use std::sync::Arc;

/// stub
#[derive(Debug, Default)]
pub struct Core {}

/// What a subscriber gets that resumes (WIRE.md, section 4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replay {
    /// All updates after the number that was asked for.
    Updates(Vec<Arc<OrderUpdate>>),
    /// Those from `first` to `last` can no longer be replayed; the open orders as of `last` instead.
    Gap {
        /// First number that will not come.
        first: u64,
        /// Last number that will not come: the account's last.
        last: u64,
        /// One for each open order, `snapshot` set.
        snapshot: Vec<OrderUpdate>,
    },
    /// The number lies beyond the account's last: the engine has forgotten what the subscriber saw.
    Regressed,
}

/// How many ids that are no UUIDv7 an account has used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Ids used.
    pub used: u64,
    /// Beyond this, `ID_QUOTA_EXCEEDED`.
    pub limit: u64,
    /// Four fifths are used: tell somebody.
    pub alarm: bool,
}

#[allow(missing_docs, unused_variables, clippy::todo)]
impl Core {
    pub fn new() -> Self {
        Self::default()
    }
    /// Refusals before `apply` that depend on state: ID_QUOTA_EXCEEDED.
    pub fn admit(&self, command: &Command) -> Result<(), Rejection> {
        todo!()
    }
    /// Whether the core can go over to this configuration.
    pub fn check_configuration(&self, configuration: &Configuration) -> Result<(), ConfigurationError> {
        todo!()
    }
    pub fn configuration(&self) -> Option<&Configuration> {
        todo!()
    }
    pub fn apply(
        &mut self,
        input: &Input,
        now: UtcNanos,
        events: &mut Vec<Event>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        todo!()
    }
    /// Concludes calls that got what they waited for in this turn.
    pub fn settle(&mut self, now: UtcNanos, events: &mut Vec<Event>) {
        todo!()
    }
    /// The calls that `settle` (or an AckTimeout) concluded since this was last called.
    pub fn take_concluded(&mut self) -> Vec<(Call, CommandOutcome)> {
        todo!()
    }
    /// Recovery: folds one recorded event. Produces no updates to fan out, and concludes no calls.
    pub fn fold(&mut self, event: &Event) {
        todo!()
    }
    pub fn updates_since(&self, account: &str, after: u64) -> Replay {
        todo!()
    }
    /// Updates produced since this was last called, in order.
    pub fn take_new_updates(&mut self) -> Vec<Arc<OrderUpdate>> {
        todo!()
    }
    pub fn get(&self, account: &str, order_id: &str) -> GetOrderReply {
        todo!()
    }
    pub fn last_sequence(&self, account: &str) -> u64 {
        todo!()
    }
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    pub fn state_hash(&self) -> u128 {
        todo!()
    }
    pub fn recompute_state_hash(&self) -> u128 {
        todo!()
    }
    /// State of one order or leg as a reply (for dumps and reconciliation).
    pub fn state_of(&self, key: VenueKey) -> Option<OrderReply> {
        todo!()
    }
    /// An instrument by its index.
    pub fn instrument(&self, symbol: u32) -> Option<&Instrument> {
        todo!()
    }
    /// The instrument of an order or leg.
    pub fn instrument_of(&self, key: VenueKey) -> Option<&Instrument> {
        todo!()
    }
    /// What was sent to the venue and has no report yet (external venues: reconcile after a restart).
    pub fn unreported_intents(&self) -> Vec<VenueCommand> {
        todo!()
    }
    pub fn quota(&self, account: &str) -> Quota {
        todo!()
    }
    /// Numbers for health and metrics, by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        todo!()
    }
}
