//! The core's state and its public face. What it decides is in `apply/`, how its state changes in `fold/`.

use crate::account::{Account, Slot, Tombstone};
use crate::command_state::CommandState;
use crate::epochs::Epochs;
use crate::forgetting::Watermarks;
use crate::instruments::Instruments;
use crate::lease::Leases;
use crate::numbered::Numbered;
use crate::order_state::OrderState;
use crate::recent_set::RecentSet;
use crate::risk::RiskState;
use crate::state_hash::StateHash;
use crate::{
    Call, CommandNo, CommandOutcome, Configuration, ConfigurationError, Event, OrderNo, Text, UpdateRange, VenueKey,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders, accounts and everything remembered about them. As it serialises it is whole, but for what [`Core::restore`]
/// makes again: what is new here must say which of the two it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Core {
    pub(crate) epoch: u64,
    /// Of the orders. A snapshot holds it behind the rest ([`Core::epochs`]).
    #[serde(skip)]
    pub(crate) epochs: Epochs,
    pub(crate) configuration: Option<Configuration>,
    pub(crate) instruments: Instruments,
    /// By index, in the order of first appearance.
    pub(crate) accounts: Vec<Account>,
    /// By `OrderNo`.
    pub(crate) orders: Numbered<OrderState>,
    /// By `CommandNo`.
    pub(crate) commands: Numbered<CommandState>,
    /// Order ids that never execute.
    pub(crate) tombstones: Numbered<Tombstone>,
    /// Up to when ids were forgotten.
    pub(crate) forgotten: Watermarks,
    /// Commands that wait for the venue's word on an order or leg, oldest first.
    pub(crate) waiting: BTreeMap<VenueKey, Vec<CommandNo>>,
    /// What risk checks remember.
    pub(crate) risk: RiskState,
    /// Sessions whose orders are cancelled when they are gone.
    pub(crate) leases: Leases,
    /// Orders that the venue has not reported on, in no order.
    pub(crate) unreported: RecentSet<OrderNo>,
    pub(crate) hash: StateHash,
    /// Memory for a canonical form.
    #[serde(skip)]
    pub(crate) form: Vec<u8>,
    #[serde(skip)]
    pub(crate) turn: Turn,
}

/// What this turn brought and nobody has taken yet. Not state: recovery has none of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    /// Orders that were reported on.
    pub reported: Vec<OrderNo>,
    /// Commands that wait for nothing any more.
    pub finished: Vec<CommandNo>,
    pub concluded: Vec<Call>,
    pub updates: Vec<UpdateRange>,
}

impl Turn {
    /// The account has one more update.
    pub fn announce(&mut self, account: &Text, sequence: u64) {
        match self.updates.last_mut() {
            Some(range) if range.account == *account && range.last + 1 == sequence => range.last = sequence,
            _ => self.updates.push(UpdateRange { account: account.clone(), first: sequence, last: sequence }),
        }
    }

    fn clear(&mut self) {
        self.reported.clear();
        self.finished.clear();
        self.concluded.clear();
        self.updates.clear();
    }
}

impl Core {
    /// A core that nothing happened to. It trades nothing until it is configured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Recovery: folds one recorded event. Produces no updates to fan out and concludes no calls.
    pub fn fold(&mut self, event: &Event) {
        self.absorb(event);
        let limit = self.history_limit();
        for range in self.turn.updates.drain(..) {
            let account = self.accounts.iter_mut().find(|account| account.name == range.account);
            account.into_iter().for_each(|account| account.release(range.last, limit));
        }
        self.turn.clear();
    }

    /// Live: folds an event and records it.
    pub(crate) fn commit(&mut self, event: Event, events: &mut Vec<Event>) {
        self.absorb(&event);
        events.push(event);
    }

    /// Whether the core can go over to this configuration.
    ///
    /// # Errors
    /// The first field that is wrong in itself, or that does not fit the orders there are.
    pub fn check_configuration(&self, configuration: &Configuration) -> Result<(), ConfigurationError> {
        configuration.validate()?;
        self.instruments.check(configuration)
    }

    /// The configuration in force.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    /// Of the last start.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The calls that were concluded since this was last called.
    pub fn take_concluded(&mut self) -> Vec<(Call, CommandOutcome)> {
        let mut concluded = Vec::new();
        self.take_concluded_into(&mut concluded);
        concluded
    }

    /// The same into `concluded`, whose memory is used again.
    pub fn take_concluded_into(&mut self, concluded: &mut Vec<(Call, CommandOutcome)>) {
        concluded.clear();
        let mut calls = std::mem::take(&mut self.turn.concluded);
        concluded.extend(calls.iter().filter_map(|call| Some((*call, self.outcome_of(*call)?))));
        calls.clear();
        self.turn.concluded = calls;
    }

    /// What ended this call; it never changes.
    fn outcome_of(&self, call: Call) -> Option<CommandOutcome> {
        match call {
            Call::Execute(no) => self.stored_reply(self.order(no)?).map(CommandOutcome::Execute),
            Call::Command(no) => self.stored_command_reply(no),
        }
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| *account.name == *name)
    }

    /// The account's index, where something happened in it.
    pub(crate) fn account_place(&self, name: &str) -> Option<u32> {
        let at = self.accounts.iter().position(|account| *account.name == *name)?;
        u32::try_from(at).ok()
    }

    pub(crate) fn order(&self, no: OrderNo) -> Option<&OrderState> {
        self.orders.get(no.0)
    }

    pub(crate) fn command(&self, no: CommandNo) -> Option<&CommandState> {
        self.commands.get(no.0)
    }

    pub(crate) fn next_order(&self) -> OrderNo {
        OrderNo(self.orders.last() + 1)
    }

    pub(crate) fn next_command(&self) -> CommandNo {
        CommandNo(self.commands.last() + 1)
    }

    /// What an order id of the account stands for.
    pub(crate) fn slot_of(&self, account: &Account, order_id: &str) -> Option<Slot> {
        account.ids.get(order_id, |slot| match slot {
            Slot::Order(no) => self.order(no).is_some_and(|order| order.order_id == *order_id),
            Slot::Fenced(no) => self.tombstones.get(no).is_some_and(|fenced| fenced.order_id == *order_id),
        })
    }

    /// The command that has this id in the account.
    pub(crate) fn command_of(&self, account: &Account, command_id: &str) -> Option<&CommandState> {
        let is = |no| self.command(no).is_some_and(|command| command.command_id == *command_id);
        self.command(account.commands.get(command_id, is)?)
    }
}
