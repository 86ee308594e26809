//! What the venue is asked to do. Numbers are integers: ticks and quantity steps of the instrument.

use crate::{Key, Level, OrderType, Side, TimeInForce};
use serde::{Deserialize, Serialize};

/// One thing to do; [`Exchange::execute`](crate::Exchange::execute) answers each with at least one event, except
/// [`Command::AddInstrument`] of an instrument that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Opens trading in an instrument. Harmless when repeated.
    AddInstrument {
        /// The engine's index of the instrument.
        symbol: u32,
    },
    /// A new order.
    New(NewOrder),
    /// Cancels what is left of an order or a leg.
    Cancel {
        /// The order or leg.
        key: Key,
    },
    /// Changes an open order.
    Replace(Replace),
    /// The feed's next quote, which replaces its former one.
    Quote(Quote),
}

/// A new order, as [`Command::New`] brings it and [`Event::Opened`](crate::Event::Opened) records it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewOrder {
    /// Must name an entry; legs get their own keys from it.
    pub key: Key,
    /// Index of the instrument.
    pub symbol: u32,
    #[allow(missing_docs)]
    pub side: Side,
    #[allow(missing_docs)]
    pub order_type: OrderType,
    #[allow(missing_docs)]
    pub time_in_force: TimeInForce,
    /// Positive.
    pub quantity_steps: i64,
    /// LIMIT: the limit. STOP_LOSS, TAKE_PROFIT: the trigger. Positive. MARKET: constrains nothing, and is not kept.
    pub price_ticks: Option<i64>,
    /// Trigger of the stop-loss leg. Positive.
    pub stop_loss_ticks: Option<i64>,
    /// Trigger of the take-profit leg. Positive.
    pub take_profit_ticks: Option<i64>,
}

/// New terms for an open order; what is `None` stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replace {
    /// The order or leg.
    pub key: Key,
    /// New total, the executed part included; must exceed what is executed.
    pub quantity_steps: Option<i64>,
    /// New limit or trigger price.
    pub price_ticks: Option<i64>,
}

/// A quote of the feed. Its prices trigger, its sizes trade; a side that is absent does neither, and a side with
/// quantity 0 triggers and has nothing to trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quote {
    /// Index of the instrument.
    pub symbol: u32,
    /// What the feed buys at.
    pub bid: Option<Level>,
    /// What the feed sells at; above the bid.
    pub ask: Option<Level>,
}
