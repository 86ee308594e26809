//! Orders, accounts, deduplication, validation, fences and sequence numbers: `apply(input, now)`, pure.
//!
//! No I/O, clock, randomness, thread or configuration of its own: all that [`Core::apply`] reads is its state and
//! its input (invariant 3).

pub mod code;
pub mod command;
pub mod configuration;
pub mod decimal;
pub mod order;
pub mod reply;

pub use code::{ReasonCode, Rejection};
pub use command::{
    CancelAllOrders, CancelOrder, Command, FenceOrder, PublishQuotes, Quote, ReplaceOrder, SetTradingState,
};
pub use configuration::{Configuration, Instrument};
pub use decimal::{Decimal, DecimalError};
pub use order::{ExecutionStatus, Order, OrderType, Side, TimeInForce, TradingState};
pub use reply::{
    CommandReply, ExecuteReply, GetOrderReply, OrderCommandReply, OrderReply, OrderUpdate, UpdateKind,
};

/// Engine time: UTC nanoseconds since 1970, never decreasing.
pub type UtcNanos = i64;
