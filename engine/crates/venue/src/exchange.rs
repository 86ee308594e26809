//! The exchange itself: decides what a command leads to, and folds events into its state.

use crate::{Command, Event};

/// The embedded exchange. Deterministic: no clock, randomness or I/O.
#[derive(Clone, Default, Debug)]
pub struct Exchange {}

impl Exchange {
    /// An exchange without instruments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out a command: appends what happened to `events`, already folded into this exchange.
    pub fn execute(&mut self, _command: &Command, _events: &mut Vec<Event>) {}

    /// Applies one recorded event. An event that does not fit the state (never one of this exchange's own) is ignored.
    pub fn fold(&mut self, _event: &Event) {}

    /// Hash of the whole state, kept up incrementally: open orders with their priorities, quotes, counters.
    pub fn state_hash(&self) -> u128 {
        0
    }
}
