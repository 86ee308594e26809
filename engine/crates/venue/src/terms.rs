//! The words of the venue: keys, sides, types, parties. Values are those of the wire (WIRE.md section 3).

use serde::{Deserialize, Serialize};

/// Name of an order at the venue: the engine's order number shifted left by two, and in the two low bits which of the
/// order's three parts it is, so that naming a leg needs no allocation and no table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key(pub u64);

/// Which part of an order a [`Key`] names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Part {
    /// The order that the client sent.
    Entry,
    /// Its stop-loss leg.
    Stop,
    /// Its take-profit leg.
    Target,
}

impl Key {
    /// The order that the client sent as number `order_no`; `None` above 2^62 - 1.
    pub const fn entry(order_no: u64) -> Option<Self> {
        if order_no > u64::MAX >> 2 { None } else { Some(Self(order_no << 2)) }
    }

    /// The engine's order number.
    pub const fn order_no(self) -> u64 {
        self.0 >> 2
    }

    /// Which part this is; `None` for the one bit pattern that names nothing.
    pub const fn part(self) -> Option<Part> {
        match self.0 & 3 {
            0 => Some(Part::Entry),
            1 => Some(Part::Stop),
            2 => Some(Part::Target),
            _ => None,
        }
    }

    /// Another part of the same order.
    pub const fn with_part(self, part: Part) -> Self {
        let bits = match part {
            Part::Entry => 0,
            Part::Stop => 1,
            Part::Target => 2,
        };
        Self(self.0 & !3 | bits)
    }

    /// The other leg, of a leg; `None` of an entry.
    pub const fn sibling(self) -> Option<Self> {
        match self.part() {
            Some(Part::Stop) => Some(self.with_part(Part::Target)),
            Some(Part::Target) => Some(self.with_part(Part::Stop)),
            _ => None,
        }
    }
}

/// Buy or sell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Side {
    Buy = 0,
    Sell = 1,
}

impl Side {
    /// The side that this one trades with.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// How an order is to be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum OrderType {
    /// At once, at the best prices there are.
    Market = 0,
    /// At its price or better.
    Limit = 1,
    /// At market once the feed has moved against the side as far as the trigger.
    StopLoss = 2,
    /// At market once the feed has moved in favour of the side as far as the trigger.
    TakeProfit = 3,
}

/// How long what is not executed at once stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc = 1,
    /// What is not executed at once is cancelled.
    Ioc = 2,
    /// All at once or nothing.
    Fok = 3,
}

/// A price and how much there is at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Level {
    /// In ticks of the instrument.
    pub price_ticks: i64,
    /// In quantity steps of the instrument.
    pub quantity_steps: i64,
}

/// One side of a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Party {
    /// The anonymous liquidity of the feed's quote.
    Feed,
    /// An order, or a leg of one.
    Order(Key),
}

impl Party {
    /// The order's key; `None` for the feed.
    pub const fn key(self) -> Option<Key> {
        match self {
            Self::Feed => None,
            Self::Order(key) => Some(key),
        }
    }
}
