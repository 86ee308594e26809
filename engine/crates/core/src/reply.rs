//! What the engine says: replies, and the updates of an account.

use crate::{Decimal, ExecutionStatus, OrderType, ReasonCode, Side, Text, UtcNanos};
use serde::{Deserialize, Serialize};

/// State of one order as the engine knows it (WIRE.md, "OrderReply").
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OrderReply {
    pub order_id: Text,
    pub status: ExecutionStatus,
    /// The venue's name for the order; empty until it has one.
    pub exchange_order_id: Text,
    pub executed_quantity: Decimal,
    /// Volume-weighted average, rounded half to even at six digits below the tick; absent until executed.
    pub executed_price: Option<Decimal>,
    /// Engine time of the last execution.
    pub execution_time_ns: Option<UtcNanos>,
    pub error_message: Text,
    pub code: ReasonCode,
    pub field: Text,
    pub account: Text,
    /// 1 when accepted, one more with each replace; 0 for an order that was rejected.
    pub order_version: u64,
    /// Account's update sequence number of this order's last update; 0 where there is none.
    pub sequence: u64,
    /// Quantity less what was executed, also of an order that was cancelled; 0 for one that was rejected.
    pub remaining_quantity: Decimal,
    pub symbol: Text,
    pub order_type: Option<OrderType>,
    pub side: Option<Side>,
    pub quantity: Option<Decimal>,
    pub price: Option<Decimal>,
    /// Of a leg: its entry order. Empty otherwise.
    pub parent_order_id: Text,
}

/// Ends an `ExecuteOrder`. `duplicate`: this copy was answered with the stored reply; belongs to the envelope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ExecuteReply {
    pub reply: OrderReply,
    pub duplicate: bool,
}

/// Ends a `CancelOrder` or `ReplaceOrder`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OrderCommandReply {
    pub command_id: Text,
    pub code: ReasonCode,
    pub message: Text,
    pub field: Text,
    /// The order after the command; absent for an id that the engine does not know.
    pub order: Option<OrderReply>,
    pub duplicate: bool,
    /// The id was unknown and will never execute.
    pub fenced: bool,
}

/// Ends a `CancelAllOrders`, `SetTradingState` or `PublishQuotes`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CommandReply {
    pub command_id: Text,
    pub code: ReasonCode,
    pub message: Text,
    pub field: Text,
    /// Orders cancelled, or quotes applied.
    pub affected: u64,
    pub duplicate: bool,
}

/// Answers `GetOrder`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GetOrderReply {
    pub found: bool,
    pub fenced: bool,
    /// State now.
    pub order: Option<OrderReply>,
    /// The stored reply to `ExecuteOrder`; absent while that call is not concluded.
    pub reply: Option<OrderReply>,
    pub code: Option<ReasonCode>,
    pub message: Text,
    pub field: Text,
}

/// Why an update was sent. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum UpdateKind {
    /// The venue has the order.
    Accepted = 1,
    /// One execution; `execution_id`, `last_quantity` and `last_price` are its own.
    Fill = 2,
    /// The order ended: `order.status` and `order.code` say how.
    Closed = 3,
    /// Quantity or price were replaced.
    Replaced = 4,
    /// A stop-loss or take-profit was triggered and works at market.
    Triggered = 5,
    /// A leg was opened, grew with its entry, or shrank with its sibling.
    LegChanged = 6,
    /// The order was rejected and never worked.
    Rejected = 7,
}

/// One update of an account, with the sequence number that has no holes (invariant 7).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OrderUpdate {
    pub sequence: u64,
    pub kind: UpdateKind,
    pub order: OrderReply,
    /// Names this execution at the venue; 0 where the update is no fill.
    pub execution_id: u64,
    pub last_quantity: Option<Decimal>,
    pub last_price: Option<Decimal>,
    pub event_time_ns: UtcNanos,
    /// Part of a snapshot after a gap: state, not an event.
    pub snapshot: bool,
}
