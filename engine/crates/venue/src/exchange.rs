//! The exchange's state: read by everybody, changed by [`Exchange::fold`] alone.

mod fold;

use crate::book::{Best, Book};
use crate::decide::Turn;
use crate::hash::{self, Sum};
use crate::open_orders::OpenOrders;
use crate::order::OpenOrder;
use crate::{Command, Event, Key, Level, Part, Party, Side};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The embedded exchange. See the crate's documentation for its rules. It serialises whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    books: BTreeMap<u32, Book>,
    orders: OpenOrders,
    next_priority: u64,
    last_trade: u64,
    hash: Sum,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// An exchange without instruments.
    pub fn new() -> Self {
        let mut hash = Sum::default();
        hash.counters_are_due = true;
        Self { books: BTreeMap::new(), orders: OpenOrders::default(), next_priority: 1, last_trade: 0, hash }
    }

    /// Carries out a command: appends what happened to `events`, already folded into this exchange.
    ///
    /// Total: a bad command is answered by a refusal among the events.
    pub fn execute(&mut self, command: &Command, events: &mut Vec<Event>) {
        Turn::new(self, events).carry_out(command);
    }

    /// Hash of the whole state: open orders with their place in time, what is left of the quotes, counters. The same on
    /// every machine and in every process. Costs the hashes of what changed since it was last asked for.
    pub fn state_hash(&mut self) -> u128 {
        self.hash_changes()
    }

    /// The state hash computed from nothing, at the cost of the whole state; equals [`Exchange::state_hash`].
    pub fn recomputed_state_hash(&self) -> u128 {
        let orders = self.orders.values().map(hash::of_order);
        let books = self.books.iter().map(|(symbol, book)| hash::of_book(*symbol, book));
        let counters = hash::of_counters(self.next_priority, self.last_trade);
        orders.chain(books).fold(counters, u128::wrapping_add)
    }

    /// An open order or leg.
    pub fn order(&self, key: Key) -> Option<&OpenOrder> {
        self.orders.get(key)
    }

    /// Every open order and leg, in no order.
    pub fn orders(&self) -> impl Iterator<Item = &OpenOrder> {
        self.orders.values()
    }

    /// How many there are.
    pub fn open_orders(&self) -> usize {
        self.orders.len()
    }

    /// Whether the instrument can be traded.
    pub fn has_instrument(&self, symbol: u32) -> bool {
        self.books.contains_key(&symbol)
    }

    /// The best price of a side and all that can be traded at it, orders and feed together. Orders that work at
    /// market have no price and do not show here.
    pub fn best(&self, symbol: u32, side: Side) -> Option<(i64, i128)> {
        self.books.get(&symbol)?.best_level(side)
    }

    /// What is left of the feed's quote on a side (perhaps 0 at a price that still stands for triggers).
    pub fn feed(&self, symbol: u32, side: Side) -> Option<Level> {
        self.books.get(&symbol)?.feed(side)
    }

    /// The number that the next trade gets.
    pub(crate) const fn next_trade(&self) -> u64 {
        self.last_trade.saturating_add(1)
    }

    /// Whether the order number's entry or a leg of it is open.
    pub(crate) fn is_taken(&self, entry: Key) -> bool {
        [Part::Entry, Part::Stop, Part::Target].into_iter().any(|part| self.orders.get(entry.with_part(part)).is_some())
    }

    pub(crate) fn first_unpriced(&self, symbol: u32, side: Side, taker: Party) -> Option<Key> {
        self.books.get(&symbol)?.first_unpriced(side, taker)
    }

    pub(crate) fn best_priced(&self, symbol: u32, side: Side, taker: Party) -> Option<Best> {
        self.books.get(&symbol)?.best_priced(side, taker)
    }

    pub(crate) fn next_triggered(&self, symbol: u32) -> Option<Key> {
        self.books.get(&symbol)?.next_triggered()
    }

    /// Whether the order finds counterparties for all that is left of it.
    pub(crate) fn can_fill(&self, order: &OpenOrder) -> bool {
        let side = order.side.opposite();
        self.books
            .get(&order.symbol)
            .is_some_and(|book| book.can_fill(side, order.limit_ticks(), order.remaining_steps()))
    }
}
