//! What happened at the venue: the answer to a command, and all that recovery needs to rebuild the book.

use crate::{Key, NewOrder, Party, Quote, Side};
use serde::{Deserialize, Serialize};

/// One thing that happened. [`Exchange::fold`](crate::Exchange::fold) of the same events, in the same order, gives
/// the same book and the same state hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The instrument can be traded.
    InstrumentAdded {
        /// Index of the instrument.
        symbol: u32,
    },
    /// The order was accepted. Trades of its own arrival follow.
    Opened(NewOrder),
    /// The order was not accepted; nothing happened.
    Rejected {
        /// The order.
        key: Key,
        /// Why.
        reason: Refusal,
    },
    /// The feed reached the order's trigger: from now on it works at market.
    Triggered {
        /// The order or leg.
        key: Key,
    },
    /// A trade.
    Trade(Trade),
    /// With the first fill of its entry, a leg opened. It waits for its trigger; [`Key::part`] tells its kind.
    LegOpened {
        /// The leg.
        key: Key,
        /// Index of the instrument.
        symbol: u32,
        /// Opposite to the entry's.
        side: Side,
        /// The leg's trigger.
        trigger_ticks: i64,
        /// What the entry's first fill was.
        quantity_steps: i64,
    },
    /// A fill of the entry made the leg larger, or a fill of the other leg made it smaller.
    LegResized {
        /// The leg.
        key: Key,
        /// The leg's new total, what it has executed included. Equal to what it has executed: it has nothing left
        /// now, and stays open only while its entry can still fill.
        quantity_steps: i64,
    },
    /// The order has new terms. Trades that they lead to follow.
    Replaced {
        /// The order or leg.
        key: Key,
        /// The total after it, the executed part included.
        quantity_steps: i64,
        /// The limit or trigger after it; `None` for an order that has none.
        price_ticks: Option<i64>,
        /// Whether the order went to the back of its queue.
        requeued: bool,
    },
    /// The order ended, and nothing more will come from it (for an entry: legs may live on).
    Closed {
        /// The order or leg.
        key: Key,
        /// Why.
        reason: CloseReason,
    },
    /// A cancel or replace was not carried out; the order is as it was.
    CommandRefused {
        /// What the command named.
        key: Key,
        /// Why.
        reason: Refusal,
    },
    /// The feed's quote stands, in the place of the former. Trades and triggers that it leads to follow.
    Quoted(Quote),
    /// The quote was not taken; the former one stands.
    QuoteRefused {
        /// What the quote named.
        symbol: u32,
        /// Why.
        reason: Refusal,
    },
}

/// Two parties exchanged a quantity at a price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trade {
    /// Counts up by one from 1 over all instruments; both sides of the trade share it.
    pub number: u64,
    /// Index of the instrument.
    pub symbol: u32,
    #[allow(missing_docs)]
    pub price_ticks: i64,
    #[allow(missing_docs)]
    pub quantity_steps: i64,
    #[allow(missing_docs)]
    pub buyer: Party,
    #[allow(missing_docs)]
    pub seller: Party,
    /// The side that came later and so took the price of the other.
    pub taker: Side,
}

/// Why an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CloseReason {
    /// Everything was executed.
    Filled,
    /// A MARKET order found no more counterparty.
    NoLiquidity,
    /// What an IOC order could not execute at once.
    IocRemainder,
    /// A FOK order could not be executed whole.
    FokUnfillable,
    /// A cancel.
    Cancelled,
    /// The other leg closed what this one protected.
    LegDone,
}

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// No such instrument.
    UnknownSymbol,
    /// No open order has this key: it never was, or it has ended.
    UnknownOrder,
    /// The key does not name an entry, or is taken by an open order or a leg of one.
    KeyNotUsable,
    /// A quantity is not positive (of a quote: negative).
    BadQuantity,
    /// A price is missing or not positive.
    BadPrice,
    /// The new total does not exceed what is executed; to end the order, cancel it.
    QuantityBelowExecuted,
    /// A leg's quantity follows its entry and the other leg; only its trigger can be replaced.
    LegQuantityFixed,
    /// The order works at market and has no price any more.
    AlreadyTriggered,
    /// The quote's bid is not below its ask.
    QuoteCrossed,
}
