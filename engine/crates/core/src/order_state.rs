//! One remembered order: what it is, how far it has come, its legs, and the reply stored for its id.

use crate::decimal::divide_half_even;
use crate::hash_bytes::{put_optional, put_text};
use crate::identity::{leg_id, uuid7_ms};
use crate::instruments::Instruments;
use crate::lease::LeaseNo;
use crate::progress::{Progress, Work};
use crate::state_hash::{Kind, hash_of};
use crate::{
    ContentHash, Decimal, ExecutionStatus, NewOrder, OrderNo, OrderReply, OrderType, Part, ReasonCode, Side, Text,
    TimeInForce, VenueKey,
};
use serde::{Deserialize, Serialize};

/// Digits below the tick to which an average price is rounded (reply.rs).
const AVERAGE_DIGITS: u8 = 6;

/// An order behind an order: its stop-loss or take-profit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// Its own id, made once: every reply about it needs it.
    order_id: Text,
    pub work: Work,
}

impl Leg {
    /// A leg of the order with this id.
    pub fn new(entry_id: &str, part: Part, now: Progress) -> Self {
        Self { order_id: leg_id(entry_id, part), work: Work::new(now) }
    }
}

/// The instrument of an order, or the name of none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Symbol {
    Listed(u32),
    Named(Text),
}

/// The reply to an order's call, once concluded.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Stored {
    /// The call is not concluded.
    #[default]
    Nothing,
    /// The order has not changed since.
    AsItIs,
    /// What it was then.
    AsItWas(Box<Progress>),
}

/// One remembered order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderState {
    pub no: OrderNo,
    pub order_id: Text,
    pub content_hash: ContentHash,
    /// Index of its account.
    pub account: u32,
    /// The lease of the session that entered it; 0: it had none.
    pub lease: LeaseNo,
    pub order_type: Option<OrderType>,
    pub side: Option<Side>,
    pub time_in_force: TimeInForce,
    /// The hash below is not what the order is now.
    #[serde(skip)]
    pub hash_is_due: bool,
    pub symbol: Symbol,
    pub stop_loss_ticks: Option<i64>,
    pub take_profit_ticks: Option<i64>,
    entry: Work,
    /// Stop, target.
    pub legs: [Option<Box<Leg>>; 2],
    stored: Stored,
    /// Its share of the state hash, as the sum has it.
    pub hash: u128,
}

/// What an order is from the beginning, and stays.
pub(crate) struct Identity<'a> {
    pub no: OrderNo,
    pub account: u32,
    pub order_id: &'a Text,
    pub content_hash: ContentHash,
    pub symbol: Symbol,
    pub order_type: Option<OrderType>,
    pub side: Option<Side>,
}

impl OrderState {
    /// An order that works, or was rejected.
    pub fn new(identity: Identity<'_>, now: Progress) -> Self {
        Self {
            no: identity.no,
            order_id: identity.order_id.clone(),
            content_hash: identity.content_hash,
            account: identity.account,
            lease: 0,
            order_type: identity.order_type,
            side: identity.side,
            time_in_force: TimeInForce::Gtc,
            hash_is_due: false,
            symbol: identity.symbol,
            stop_loss_ticks: None,
            take_profit_ticks: None,
            entry: Work::new(now),
            legs: [None, None],
            stored: Stored::Nothing,
            hash: 0,
        }
    }

    pub fn work(&self, part: Part) -> Option<&Work> {
        match part {
            Part::Entry => Some(&self.entry),
            Part::Stop => self.legs[0].as_ref().map(|leg| &leg.work),
            Part::Target => self.legs[1].as_ref().map(|leg| &leg.work),
        }
    }

    /// For a change. A stored reply stays what it is.
    pub fn work_mut(&mut self, part: Part) -> Option<&mut Work> {
        match part {
            Part::Entry => {
                if self.stored == Stored::AsItIs {
                    self.stored = Stored::AsItWas(Box::new(self.entry.now.clone()));
                }
                Some(&mut self.entry)
            }
            Part::Stop => self.legs[0].as_mut().map(|leg| &mut leg.work),
            Part::Target => self.legs[1].as_mut().map(|leg| &mut leg.work),
        }
    }

    /// How far the client's own order has come.
    pub fn now(&self) -> &Progress {
        &self.entry.now
    }

    /// Whether its call is concluded.
    pub fn is_concluded(&self) -> bool {
        self.stored != Stored::Nothing
    }

    /// What the reply to its call says; `None` while the call is not concluded.
    pub fn stored(&self) -> Option<&Progress> {
        match &self.stored {
            Stored::Nothing => None,
            Stored::AsItIs => Some(&self.entry.now),
            Stored::AsItWas(stored) => Some(stored),
        }
    }

    /// The state now is the reply to every copy of this order, for good.
    pub fn store_reply(&mut self) {
        if self.stored == Stored::Nothing {
            self.stored = Stored::AsItIs;
        }
    }

    /// Its share of the state hash, made in `bytes`.
    pub fn hash_in(&self, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        self.put_hash_bytes(bytes);
        hash_of(Kind::Order, bytes)
    }

    /// Every field, so that a new one does not compile before it is here.
    fn put_hash_bytes(&self, bytes: &mut Vec<u8>) {
        let Self {
            no,
            order_id,
            content_hash,
            account,
            lease,
            order_type,
            side,
            time_in_force,
            hash_is_due: _,
            symbol,
            stop_loss_ticks,
            take_profit_ticks,
            entry,
            legs,
            stored,
            hash: _,
        } = self;
        bytes.extend_from_slice(&no.0.to_le_bytes());
        put_text(bytes, order_id);
        bytes.extend_from_slice(content_hash);
        bytes.extend_from_slice(&account.to_le_bytes());
        bytes.extend_from_slice(&lease.to_le_bytes());
        const ABSENT: u8 = u8::MAX;
        bytes.push(order_type.map_or(ABSENT, |order_type| order_type as u8));
        bytes.push(side.map_or(ABSENT, |side| side as u8));
        bytes.push(*time_in_force as u8);
        match symbol {
            Symbol::Listed(index) => put_optional(bytes, Some(i64::from(*index))),
            Symbol::Named(name) => {
                put_optional(bytes, None);
                put_text(bytes, name);
            }
        }
        put_optional(bytes, *stop_loss_ticks);
        put_optional(bytes, *take_profit_ticks);
        entry.put_hash_bytes(bytes);
        for leg in legs {
            bytes.push(u8::from(leg.is_some()));
            if let Some(leg) = leg {
                leg.work.put_hash_bytes(bytes);
            }
        }
        match stored {
            Stored::Nothing => bytes.push(0),
            Stored::AsItIs => bytes.push(1),
            Stored::AsItWas(stored) => {
                bytes.push(2);
                stored.put_hash_bytes(bytes);
            }
        }
    }

    /// Whether its id counts against the account's quota: it has no age, or one that is still to come.
    pub fn takes_quota(&self) -> bool {
        let is_from_future = !self.went_to_venue() && self.entry.now.code == ReasonCode::IdFromFuture;
        is_from_future || uuid7_ms(&self.order_id).is_none()
    }

    /// Whether it went to the venue: then it has an instrument, a side and a type.
    pub fn went_to_venue(&self) -> bool {
        self.entry.now.quantity_steps > 0
    }

    pub fn symbol_index(&self) -> Option<u32> {
        match self.symbol {
            Symbol::Listed(index) => Some(index),
            Symbol::Named(_) => None,
        }
    }

    /// Legs are on the other side of their entry.
    pub fn side_of(&self, part: Part) -> Option<Side> {
        match (part, self.side?) {
            (Part::Entry, side) => Some(side),
            (_, Side::Buy) => Some(Side::Sell),
            (_, Side::Sell) => Some(Side::Buy),
        }
    }

    pub fn type_of(&self, part: Part) -> Option<OrderType> {
        match part {
            Part::Entry => self.order_type,
            Part::Stop => Some(OrderType::StopLoss),
            Part::Target => Some(OrderType::TakeProfit),
        }
    }

    pub fn key(&self, part: Part) -> VenueKey {
        VenueKey::new(self.no, part)
    }

    /// What the venue was told.
    pub fn as_new(&self) -> Option<NewOrder> {
        Some(NewOrder {
            key: self.key(Part::Entry),
            symbol: self.symbol_index()?,
            side: self.side?,
            order_type: self.order_type?,
            time_in_force: self.time_in_force,
            quantity_steps: self.entry.now.quantity_steps,
            price_ticks: self.entry.now.price_ticks,
            stop_loss_ticks: self.stop_loss_ticks,
            take_profit_ticks: self.take_profit_ticks,
        })
    }

    /// The reply that says this progress of that part.
    pub fn reply(&self, part: Part, progress: &Progress, account: &Text, instruments: &Instruments) -> OrderReply {
        let index = self.symbol_index();
        let steps = |count| index.and_then(|index| instruments.quantity(index, count));
        let ticks = |count| index.and_then(|index| instruments.price(index, count));
        let is_rejected = progress.status == ExecutionStatus::Rejected;
        let remaining = if is_rejected { None } else { steps(progress.remaining_steps()) };
        OrderReply {
            order_id: self.id_of(part),
            status: progress.status,
            exchange_order_id: progress.venue_order_id.clone(),
            executed_quantity: steps(progress.executed_steps).unwrap_or(Decimal::ZERO),
            executed_price: index.and_then(|index| average(progress, index, instruments)),
            execution_time_ns: progress.execution_time_ns,
            error_message: progress.message.clone(),
            code: progress.code,
            field: progress.field.clone(),
            account: account.clone(),
            order_version: progress.version,
            sequence: progress.sequence,
            remaining_quantity: remaining.unwrap_or(Decimal::ZERO),
            symbol: self.symbol_name(instruments),
            order_type: self.type_of(part),
            side: self.side_of(part),
            quantity: progress.quantity.or_else(|| steps(progress.quantity_steps)),
            price: progress.price.or_else(|| ticks(progress.price_ticks?)),
            parent_order_id: match part {
                Part::Entry => Text::default(),
                Part::Stop | Part::Target => self.order_id.clone(),
            },
        }
    }

    /// Of the entry the client's id; of a leg that with a suffix.
    fn id_of(&self, part: Part) -> Text {
        let leg = |leg: &Option<Box<Leg>>| leg.as_ref().map(|leg| leg.order_id.clone()).unwrap_or_default();
        match part {
            Part::Entry => self.order_id.clone(),
            Part::Stop => leg(&self.legs[0]),
            Part::Target => leg(&self.legs[1]),
        }
    }

    fn symbol_name(&self, instruments: &Instruments) -> Text {
        match &self.symbol {
            Symbol::Listed(index) => instruments.get(*index).map(|one| one.symbol.clone()).unwrap_or_default(),
            Symbol::Named(name) => name.clone(),
        }
    }
}

/// Volume-weighted average of the executions, rounded half to even at six digits below the tick (fewer where the
/// mantissa would not hold them).
fn average(progress: &Progress, index: u32, instruments: &Instruments) -> Option<Decimal> {
    if progress.executed_steps <= 0 {
        return None;
    }
    let tick = instruments.get(index)?.instrument.tick.normalised();
    let executed = i128::from(progress.executed_steps);
    let (whole, rest) = match i64::try_from(progress.notional) {
        // The usual size; 128 bits take ten times as long.
        Ok(notional) => {
            (i128::from(notional / progress.executed_steps), i128::from(notional % progress.executed_steps))
        }
        Err(_) => (progress.notional / executed, progress.notional % executed),
    };
    if rest == 0 {
        return Decimal::from_wide(whole.checked_mul(i128::from(tick.mantissa))?, i32::from(tick.exponent));
    }
    let scale = i128::from(tick.mantissa).checked_mul(10i128.pow(u32::from(AVERAGE_DIGITS)))?;
    // The rest is below the quantity and so scales without overflow; the whole ticks need no rounding.
    let mantissa = whole.checked_mul(scale)?.checked_add(divide_half_even(rest.checked_mul(scale)?, executed))?;
    Decimal::from_wide(mantissa, i32::from(tick.exponent) - i32::from(AVERAGE_DIGITS))
}
