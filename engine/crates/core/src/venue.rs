//! The seam to the venue, in core's words: what a venue is told ([`VenueCommand`]) and what it says
//! ([`VenueReport`]). Integers only: ticks and steps of the instrument.

use crate::{OrderType, ReasonCode, Side, Text, TimeInForce};
use serde::{Deserialize, Serialize};

/// An order's dense number, assigned by the core from 1 (also to orders that it rejects).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default, Serialize, Deserialize)]
pub struct OrderNo(pub u64);

/// Which of the three orders behind one client order is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Part {
    /// The order that the client sent.
    Entry = 0,
    /// Its stop-loss leg, `<order_id>·SL`.
    Stop = 1,
    /// Its take-profit leg, `<order_id>·TP`.
    Target = 2,
}

impl Part {
    /// The other leg; the entry has none.
    pub const fn sibling(self) -> Option<Part> {
        match self {
            Part::Entry => None,
            Part::Stop => Some(Part::Target),
            Part::Target => Some(Part::Stop),
        }
    }
}

/// What core and venue call one order: `order_no << 2 | part`, so that legs need no allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default, Serialize, Deserialize)]
pub struct VenueKey(pub u64);

impl VenueKey {
    /// The key of one part of an order.
    pub const fn new(order: OrderNo, part: Part) -> Self {
        Self(order.0 << 2 | part as u64)
    }

    /// The key of the order that the client sent.
    pub const fn entry(order: OrderNo) -> Self {
        Self::new(order, Part::Entry)
    }

    /// The order that this key belongs to.
    pub const fn order(self) -> OrderNo {
        OrderNo(self.0 >> 2)
    }

    /// Entry or leg; `None` for a number that is no key.
    pub const fn part(self) -> Option<Part> {
        match self.0 & 3 {
            0 => Some(Part::Entry),
            1 => Some(Part::Stop),
            2 => Some(Part::Target),
            _ => None,
        }
    }
}

/// One side of a feed's quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Level {
    /// Price in ticks.
    pub price_ticks: i64,
    /// What can be traded at it, in quantity steps; 0: the price triggers, and nothing can be traded.
    pub quantity_steps: i64,
}

/// A new order as the venue gets it: validated, in integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NewOrder {
    pub key: VenueKey,
    /// Index of the instrument: in the order of first appearance in a configuration, from 0.
    pub symbol: u32,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub quantity_steps: i64,
    /// Limit or trigger; `None` for MARKET (a reference price constrains nothing).
    pub price_ticks: Option<i64>,
    /// Trigger of the stop-loss leg.
    pub stop_loss_ticks: Option<i64>,
    /// Trigger of the take-profit leg.
    pub take_profit_ticks: Option<i64>,
}

/// What the venue must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VenueCommand {
    /// A new instrument, by its index. [`crate::Core::instrument`] has its name, tick and step.
    AddInstrument {
        /// Its index.
        symbol: u32,
    },
    /// A new order; legs open with its fills.
    New(NewOrder),
    /// Cancel an order or a leg.
    Cancel {
        /// The order or leg.
        key: VenueKey,
    },
    /// Change an order (entry or leg) to these values.
    Replace {
        /// The order or leg.
        key: VenueKey,
        /// Total quantity from now on, the executed part included; `None`: unchanged (always, of a leg).
        quantity_steps: Option<i64>,
        /// Limit or trigger from now on; `None`: unchanged.
        price_ticks: Option<i64>,
    },
    /// A feed's quote, which replaces the one before of the same symbol.
    Quote {
        /// Index of the instrument.
        symbol: u32,
        /// What the feed buys at.
        bid: Option<Level>,
        /// What the feed sells at.
        ask: Option<Level>,
    },
}

/// What the venue says. A report about an order that the core does not know, or that changes nothing (an execution
/// seen before, an end of what has ended), is ignored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum VenueReport {
    /// The venue has the order.
    Accepted {
        key: VenueKey,
        /// The venue's name for it.
        venue_order_id: Text,
    },
    /// The venue will not have the order, which never worked.
    Rejected {
        key: VenueKey,
        /// VENUE_REJECTED, or VENUE_UNAVAILABLE where it never reached the venue and never will.
        code: ReasonCode,
        /// The venue's words.
        message: Text,
    },
    /// One execution. An order whose whole quantity is executed is FILLED by that; no `Closed` need follow, and one
    /// that does is ignored. A leg stays open while its entry can still fill.
    Filled {
        key: VenueKey,
        /// Unique for this key.
        execution_id: u64,
        quantity_steps: i64,
        price_ticks: i64,
    },
    /// The order ended.
    Closed {
        key: VenueKey,
        /// NONE where everything was executed, else NO_LIQUIDITY, IOC_REMAINDER, FOK_UNFILLABLE, CANCELLED_BY_CLIENT or LEG_DONE.
        code: ReasonCode,
    },
    /// A stop-loss or take-profit (order or leg) was triggered and works at market.
    Triggered { key: VenueKey },
    /// A replace was done; the values are those from now on.
    Replaced { key: VenueKey, quantity_steps: i64, price_ticks: Option<i64> },
    /// The venue refused the oldest cancel or replace of this key that it had not answered.
    CommandRefused {
        key: VenueKey,
        code: ReasonCode,
        /// The venue's words.
        message: Text,
    },
    /// A leg opened with the first fill of its entry.
    LegOpened {
        /// The leg's key; it names the entry and the kind.
        key: VenueKey,
        trigger_ticks: i64,
        quantity_steps: i64,
    },
    /// A leg grew with its entry or shrank with its sibling. One that had nothing left and grows waits for its trigger
    /// anew.
    LegResized {
        key: VenueKey,
        /// The leg's total quantity from now on, its own executed part included.
        quantity_steps: i64,
    },
}
