//! An open order or leg: its terms, what became of it so far, and where in the book it therefore stands.

use crate::{Key, NewOrder, OrderType, Part, Side, TimeInForce};
use serde::{Deserialize, Serialize};

/// Rank of an order that works at market: before every price.
pub(crate) const UNPRICED: i64 = i64::MIN;

/// An open order or leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Its name.
    pub key: Key,
    /// Index of the instrument.
    pub symbol: u32,
    #[allow(missing_docs)]
    pub side: Side,
    #[allow(missing_docs)]
    pub order_type: OrderType,
    #[allow(missing_docs)]
    pub time_in_force: TimeInForce,
    /// What it is for in all, executed or not, in steps.
    pub total_steps: i64,
    /// In steps.
    pub executed_steps: i64,
    /// Limit, or trigger. `None` for MARKET.
    pub price_ticks: Option<i64>,
    /// Trigger of the stop leg that its fills open.
    pub stop_loss_ticks: Option<i64>,
    /// Trigger of the target leg that its fills open.
    pub take_profit_ticks: Option<i64>,
    /// Place in time: lower is earlier. Unique in the exchange.
    pub priority: u64,
    /// Whether its trigger was reached, so that it works at market.
    pub triggered: bool,
    /// Where the book has it now.
    pub(crate) spot: Option<Spot>,
    /// Its part of the state hash, as the sum has it.
    pub(crate) hash: u128,
    /// The hash above is not what the order is now.
    pub(crate) hash_is_due: bool,
}

/// Which index of a book an order stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Index {
    /// The queue of one side.
    Queue(Side),
    /// Those that wait for the feed.
    Waiting(Watch),
    /// Legs that were armed anew and do not look at the present quote, only at the next.
    Parked,
}

/// What a waiting order waits for: a stop or a target, to buy or to sell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub part: Part,
    pub side: Side,
}

impl Watch {
    /// Whether prices that come later in this index's order are lower.
    const fn descends(self) -> bool {
        matches!((self.part, self.side), (Part::Stop, Side::Sell) | (Part::Target, Side::Buy))
    }

    /// Position of a trigger price: the lowest rank is the one that the market reaches first.
    pub const fn rank(self, price_ticks: i64) -> i64 {
        if self.descends() { price_ticks.saturating_neg() } else { price_ticks }
    }
}

/// Position of a limit in the queue of its side: the lowest rank is the best price.
pub(crate) const fn rank(side: Side, price_ticks: i64) -> i64 {
    match side {
        Side::Buy => price_ticks.saturating_neg(),
        Side::Sell => price_ticks,
    }
}

/// A place in one of a book's indexes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub index: Index,
    pub rank: i64,
    pub priority: u64,
    pub quantity_steps: i64,
}

impl OpenOrder {
    pub(crate) fn opened(order: &NewOrder, priority: u64) -> Self {
        let unpriced = order.order_type == OrderType::Market;
        Self {
            key: order.key,
            symbol: order.symbol,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            total_steps: order.quantity_steps,
            executed_steps: 0,
            price_ticks: if unpriced { None } else { order.price_ticks },
            stop_loss_ticks: order.stop_loss_ticks,
            take_profit_ticks: order.take_profit_ticks,
            priority,
            triggered: false,
            spot: None,
            hash: 0,
            hash_is_due: false,
        }
    }

    /// What is left to execute, in steps.
    pub const fn remaining_steps(&self) -> i64 {
        self.total_steps.saturating_sub(self.executed_steps)
    }

    /// Whether it has a trigger (reached or not).
    pub(crate) const fn has_trigger(&self) -> bool {
        matches!(self.order_type, OrderType::StopLoss | OrderType::TakeProfit)
    }

    /// Whether it may trade now: its trigger, if it has one, was reached.
    pub(crate) const fn is_working(&self) -> bool {
        self.triggered || !self.has_trigger()
    }

    /// The worst price it takes; `None`: any.
    pub(crate) fn limit_ticks(&self) -> Option<i64> {
        if self.order_type == OrderType::Limit { self.price_ticks } else { None }
    }

    /// Where the book should have it. `held`: the other leg is triggered, so this one must not be.
    pub(crate) fn proper_spot(&self, held: bool, quote_priority: u64) -> Option<Spot> {
        let quantity_steps = self.remaining_steps();
        let (index, rank) = self.proper_index(held, quote_priority)?;
        (quantity_steps > 0).then_some(Spot { index, rank, priority: self.priority, quantity_steps })
    }

    fn proper_index(&self, held: bool, quote_priority: u64) -> Option<(Index, i64)> {
        if !self.is_working() {
            // Who waits and has executed was triggered before. Without this, legs and entries of two orders could
            // fill one another back and forth within one command for as long as the entries' quantities last.
            if self.executed_steps > 0 && self.priority > quote_priority {
                return (!held).then_some((Index::Parked, 0));
            }
            let watch = self.watch()?;
            let waits = (Index::Waiting(watch), watch.rank(self.price_ticks?));
            return (!held).then_some(waits);
        }
        if self.order_type == OrderType::Market || self.time_in_force != TimeInForce::Gtc {
            return None;
        }
        let rank = self.limit_ticks().map_or(UNPRICED, |price| rank(self.side, price));
        Some((Index::Queue(self.side), rank))
    }

    const fn watch(&self) -> Option<Watch> {
        let part = match self.order_type {
            OrderType::StopLoss => Part::Stop,
            OrderType::TakeProfit => Part::Target,
            OrderType::Market | OrderType::Limit => return None,
        };
        Some(Watch { part, side: self.side })
    }
}
