//! One remembered order: what it is, how far it has come, its legs, and the reply stored for its id.

use crate::decimal::divide_half_even;
use crate::identity::leg_suffix;
use crate::instruments::Instruments;
use crate::{
    ContentHash, Decimal, ExecutionStatus, NewOrder, OrderNo, OrderReply, OrderType, Part, ReasonCode, Side, Text,
    TimeInForce, UtcNanos, VenueKey,
};
use serde::Serialize;
use smol_str::format_smolstr;
use xxhash_rust::xxh3::xxh3_64;

/// Digits below the tick to which an average price is rounded (reply.rs).
const AVERAGE_DIGITS: u8 = 6;

/// What a reply says that changes over an order's life. A stored reply is a copy of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub status: ExecutionStatus,
    pub code: ReasonCode,
    pub field: Text,
    pub message: Text,
    pub venue_order_id: Text,
    /// As the client gave it, until a replace.
    pub quantity: Option<Decimal>,
    /// As the client gave it, until a replace.
    pub price: Option<Decimal>,
    /// 0 for an order that the core rejected.
    pub quantity_steps: i64,
    pub price_ticks: Option<i64>,
    pub executed_steps: i64,
    /// Sum of price times quantity over all executions, ticks times steps.
    pub notional: i128,
    pub execution_time_ns: Option<UtcNanos>,
    pub version: u64,
    /// Of its last update; 0 before the first.
    pub sequence: u64,
    /// Time of its last change.
    pub updated_ns: UtcNanos,
    pub triggered: bool,
}

impl Progress {
    /// Nothing happened yet.
    pub fn new(quantity_steps: i64, price_ticks: Option<i64>, at_ns: UtcNanos) -> Self {
        Self {
            status: ExecutionStatus::Pending,
            code: ReasonCode::None,
            field: Text::default(),
            message: Text::default(),
            venue_order_id: Text::default(),
            quantity: None,
            price: None,
            quantity_steps,
            price_ticks,
            executed_steps: 0,
            notional: 0,
            execution_time_ns: None,
            version: 1,
            sequence: 0,
            updated_ns: at_ns,
            triggered: false,
        }
    }

    /// Whether it still works.
    pub fn is_open(&self) -> bool {
        matches!(self.status, ExecutionStatus::Pending | ExecutionStatus::PartiallyFilled)
    }

    pub fn remaining_steps(&self) -> i64 {
        self.quantity_steps.saturating_sub(self.executed_steps).max(0)
    }
}

/// One working order at the venue: an entry or a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Work {
    pub now: Progress,
    /// Ascending, so that an execution which is reported again is known. Not in the state hash, which would cost more
    /// with every fill: `executions_hash` stands for it.
    #[serde(skip)]
    executions: Vec<u64>,
    /// Sum of the hashes of all `executions`.
    executions_hash: u64,
}

impl Work {
    pub fn new(now: Progress) -> Self {
        Self { now, executions: Vec::new(), executions_hash: 0 }
    }

    pub fn has_execution(&self, execution_id: u64) -> bool {
        self.executions.binary_search(&execution_id).is_ok()
    }

    pub fn add_execution(&mut self, execution_id: u64) {
        if let Err(at) = self.executions.binary_search(&execution_id) {
            self.executions.insert(at, execution_id);
            let hash = xxh3_64(&execution_id.to_le_bytes());
            self.executions_hash = self.executions_hash.wrapping_add(hash);
        }
    }
}

/// An order behind an order: its stop-loss or take-profit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Leg {
    /// Its own id, made once: every reply about it needs it.
    #[serde(skip)]
    order_id: Text,
    pub work: Work,
}

impl Leg {
    /// A leg of the order with this id.
    pub fn new(entry_id: &str, part: Part, now: Progress) -> Self {
        Self { order_id: format_smolstr!("{entry_id}{}", leg_suffix(part)), work: Work::new(now) }
    }
}

/// The instrument of an order, or the name of none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Symbol {
    Listed(u32),
    Named(Text),
}

/// One remembered order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OrderState {
    pub no: OrderNo,
    /// Index of its account.
    pub account: u32,
    pub order_id: Text,
    pub content_hash: ContentHash,
    pub symbol: Symbol,
    pub order_type: Option<OrderType>,
    pub side: Option<Side>,
    pub time_in_force: TimeInForce,
    pub stop_loss_ticks: Option<i64>,
    pub take_profit_ticks: Option<i64>,
    pub entry: Work,
    /// Stop, target.
    pub legs: [Option<Box<Leg>>; 2],
    /// The reply to its call, once concluded.
    pub stored: Option<Box<Progress>>,
    /// Its share of the state hash.
    #[serde(skip)]
    pub hash: u128,
}

impl OrderState {
    pub fn work(&self, part: Part) -> Option<&Work> {
        match part {
            Part::Entry => Some(&self.entry),
            Part::Stop => self.legs[0].as_ref().map(|leg| &leg.work),
            Part::Target => self.legs[1].as_ref().map(|leg| &leg.work),
        }
    }

    pub fn work_mut(&mut self, part: Part) -> Option<&mut Work> {
        match part {
            Part::Entry => Some(&mut self.entry),
            Part::Stop => self.legs[0].as_mut().map(|leg| &mut leg.work),
            Part::Target => self.legs[1].as_mut().map(|leg| &mut leg.work),
        }
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
    let (whole, rest) = (progress.notional / executed, progress.notional % executed);
    let scale = i128::from(tick.mantissa).checked_mul(10i128.pow(u32::from(AVERAGE_DIGITS)))?;
    // The rest is below the quantity and so scales without overflow; the whole ticks need no rounding.
    let mantissa = whole.checked_mul(scale)?.checked_add(divide_half_even(rest.checked_mul(scale)?, executed))?;
    Decimal::from_wide(mantissa, i32::from(tick.exponent) - i32::from(AVERAGE_DIGITS))
}
