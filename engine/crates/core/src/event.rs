//! What happened: all that [`crate::Core::fold`] needs to rebuild the state, without the inputs.

use crate::{
    CommandNo, CommandOutcome, Configuration, Decimal, NewOrder, OrderNo, OrderType, ReasonCode, RememberedKind,
    RiskLimits, Side, Text, TradingState, UtcNanos, VenueKey,
};
use serde::{Deserialize, Serialize};

/// First 16 bytes of the SHA-256 of a canonical form (WIRE.md, section 6).
pub type ContentHash = [u8; 16];

/// One change of state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
#[allow(
    clippy::large_enum_variant,
    reason = "an order is its usual content, and a box would be an allocation for each"
)]
pub enum Event {
    /// The engine started.
    Started { epoch: u64 },
    /// The configuration from now on.
    Configured(Box<Configuration>),
    /// An order was validated, and goes to the venue.
    OrderOpened(OrderOpened),
    /// An order was rejected by the core; the reply is stored with it.
    OrderRejected(OrderRejected),
    /// An order's call was concluded: its state now is the stored reply.
    Replied { order: OrderNo },
    /// An unknown id will never execute (a tombstone).
    Fenced { account: Text, order_id: Text },
    /// The venue has the order.
    Accepted { key: VenueKey, venue_order_id: Text, at_ns: UtcNanos },
    /// The venue will not have the order.
    VenueRejected { key: VenueKey, code: ReasonCode, message: Text, at_ns: UtcNanos },
    /// One execution.
    Filled { key: VenueKey, execution_id: u64, quantity_steps: i64, price_ticks: i64, at_ns: UtcNanos },
    /// The order ended; NONE: everything was executed.
    Closed { key: VenueKey, code: ReasonCode, at_ns: UtcNanos },
    /// The order works at market from now on.
    Triggered { key: VenueKey, at_ns: UtcNanos },
    /// The order has these values from now on.
    Replaced {
        key: VenueKey,
        /// The replace that this answers; `None` where the venue did it by itself.
        command: Option<CommandNo>,
        quantity_steps: i64,
        price_ticks: Option<i64>,
        at_ns: UtcNanos,
    },
    /// The venue refused a cancel or replace.
    CommandRefused { key: VenueKey, command: CommandNo, code: ReasonCode, message: Text },
    /// A leg opened.
    LegOpened { key: VenueKey, trigger_ticks: i64, quantity_steps: i64, at_ns: UtcNanos },
    /// A leg has this total quantity from now on.
    LegResized { key: VenueKey, quantity_steps: i64, at_ns: UtcNanos },
    /// A command is remembered under its id.
    CommandRecorded(Box<CommandRecorded>),
    /// A command that waited for the venue was answered.
    CommandConcluded { command: CommandNo, reply: Box<CommandOutcome> },
    /// What the account may do from now on.
    TradingStateSet { account: Text, state: TradingState },
    /// What every account may do from now on, beside its own state.
    TradingStateForAllSet { state: TradingState },
    /// What an account's orders may be from now on.
    RiskLimitsSet(Box<RiskLimitsSet>),
    /// The price that collars are judged by, in half ticks; `None`: there is none any more. That of an execution is in
    /// [`Event::Filled`].
    LastPriceSet { symbol: u32, half_ticks: Option<i64> },
    /// An order, or a replace, was counted: what is left in the account's bucket, in tokens times 10^9.
    RateCharged { account: Text, level: u64, at_ns: UtcNanos },
    /// A session has a lease from now on, or another one.
    LeaseSet(Box<LeaseSet>),
    /// A lease is no more.
    LeaseEnded { lease: u32 },
    /// A session had no connection for the grace of its lease.
    LeaseExpired { lease: u32 },
    /// Ids are remembered no more.
    Forgotten(Box<Forgotten>),
}

/// Of [`Event::OrderOpened`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OrderOpened {
    pub account: Text,
    pub order_id: Text,
    pub content_hash: ContentHash,
    /// What the venue is told; its key has the order's number.
    pub new: NewOrder,
    /// As the client gave it.
    pub quantity: Decimal,
    /// As the client gave it.
    pub price: Option<Decimal>,
    pub at_ns: UtcNanos,
    /// The lease of the session that entered it; 0: it had none.
    pub lease: u32,
}

/// Of [`Event::OrderRejected`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OrderRejected {
    pub account: Text,
    pub order_id: Text,
    pub order: OrderNo,
    pub content_hash: ContentHash,
    pub code: ReasonCode,
    pub field: Text,
    pub message: Text,
    /// As the client gave it; empty where longer than a symbol can be.
    pub symbol: Text,
    pub order_type: Option<OrderType>,
    pub side: Option<Side>,
    pub quantity: Option<Decimal>,
    pub price: Option<Decimal>,
    pub at_ns: UtcNanos,
}

/// Of [`Event::RiskLimitsSet`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RiskLimitsSet {
    pub account: Text,
    /// Index of the instrument; `None`: all that have no limits of their own.
    pub symbol: Option<u32>,
    /// Without any: the configuration's hold.
    pub limits: RiskLimits,
}

/// Of [`Event::LeaseSet`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LeaseSet {
    /// From 1; never used again.
    pub lease: u32,
    pub account: Text,
    pub session_id: Text,
    pub grace_ms: u64,
}

/// Of [`Event::CommandRecorded`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CommandRecorded {
    pub command: CommandNo,
    pub account: Text,
    pub command_id: Text,
    /// Whether an id that is no UUIDv7 counts against the account's quota: of published quotes only.
    pub in_quota: bool,
    pub content_hash: ContentHash,
    pub intent: Intent,
    /// Orders and legs whose report the command waits for, ascending; empty where `reply` is given.
    pub waits_for: Vec<VenueKey>,
    pub reply: Option<CommandOutcome>,
}

/// What a command that waits for the venue asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Intent {
    /// Nothing: it was answered at once.
    None,
    Cancel {
        key: VenueKey,
    },
    Replace {
        key: VenueKey,
        quantity_steps: Option<i64>,
        price_ticks: Option<i64>,
    },
    /// Cancel all of `waits_for`.
    CancelAll,
    /// The same, because their session is gone: nobody sent this command.
    CancelOnDisconnect,
}

/// Of [`Event::Forgotten`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    /// No id of an order or command whose time is up to this was or will be anything new: milliseconds since 1970.
    pub ids_through_ms: u64,
    /// The same for the command ids of published quotes.
    pub quotes_through_ms: u64,
    /// What kind of things they stand for.
    pub kind: RememberedKind,
    /// Their numbers, ascending; none where only the times move.
    pub numbers: Vec<u64>,
}
