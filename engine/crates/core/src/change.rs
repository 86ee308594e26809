//! One change of an order as its account's history keeps it: all that its update says, not yet in words.
//!
//! Most updates are heard by nobody, so they are put in words only for those who listen.

use crate::progress::Progress;
use crate::{Core, OrderUpdate, Text, UpdateKind, UtcNanos, VenueKey};
use serde::{Deserialize, Serialize};

/// An execution as its update shows it: id, quantity steps, price ticks.
pub(crate) type Execution = (u64, i64, i64);

/// One change of an order or leg.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub sequence: u64,
    pub kind: UpdateKind,
    pub key: VenueKey,
    pub execution: Option<Execution>,
    pub event_time_ns: UtcNanos,
    /// As the change left it.
    pub progress: Progress,
}

/// Updates of one account that follow one another: from `first` to `last`, both included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateRange {
    /// Whose.
    pub account: Text,
    /// Sequence number of the first.
    pub first: u64,
    /// Sequence number of the last.
    pub last: u64,
}

impl Core {
    /// Which updates came since this was last called, in order. They are kept until [`Core::release_updates`],
    /// whatever the length of the history.
    pub fn take_new_updates(&mut self) -> impl Iterator<Item = UpdateRange> {
        self.turn.updates.drain(..)
    }

    /// These updates in words; none that have left the history since they were released.
    pub fn updates<'a>(&'a self, range: &UpdateRange) -> impl Iterator<Item = OrderUpdate> + 'a {
        let account = self.account(&range.account);
        let history = account.map(|account| account.changes(range.first, range.last)).into_iter().flatten();
        history.filter_map(|change| self.update_of(change))
    }

    /// These were handed out. Besides those that can be replayed the history keeps `lag` more, for subscribers that
    /// have not come so far yet.
    pub fn release_updates(&mut self, range: &UpdateRange, lag: usize) {
        let kept = self.history_limit().saturating_add(lag);
        if let Some(account) = self.accounts.iter_mut().find(|account| account.name == range.account) {
            account.release(range.last, kept);
        }
    }

    /// How many updates of an account can be replayed.
    pub(crate) fn history_limit(&self) -> usize {
        usize::try_from(self.limits().update_history).unwrap_or(usize::MAX)
    }

    pub(crate) fn update_of(&self, change: &Change) -> Option<OrderUpdate> {
        let order = self.order(change.key.order())?;
        let symbol = order.symbol_index();
        let quantity = |steps| symbol.and_then(|symbol| self.instruments.quantity(symbol, steps));
        let price = |ticks| symbol.and_then(|symbol| self.instruments.price(symbol, ticks));
        let account = self.account_of(order);
        Some(OrderUpdate {
            sequence: change.sequence,
            kind: change.kind,
            order: order.reply(change.key.part()?, &change.progress, account, &self.instruments),
            execution_id: change.execution.map_or(0, |(id, _, _)| id),
            last_quantity: change.execution.and_then(|(_, steps, _)| quantity(steps)),
            last_price: change.execution.and_then(|(_, _, ticks)| price(ticks)),
            event_time_ns: change.event_time_ns,
            snapshot: false,
        })
    }
}
