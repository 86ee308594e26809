//! Orders, accounts, deduplication, validation, fences and sequence numbers: `apply(input, now)`, pure.
//!
//! No I/O, clock, randomness, thread or configuration of its own: all that [`Core::apply`] reads is its state and
//! its input (invariant 3).
//!
//! `apply` decides and appends [`Event`]s; every change of state goes through [`Core::fold`], so that recovery and
//! the live engine run the same code.

mod account;
mod admission;
mod apply;
pub mod canonical;
mod change;
pub mod code;
pub mod command;
mod command_state;
pub mod configuration;
mod core;
pub mod decimal;
pub mod effect;
mod epochs;
pub mod event;
mod fold;
mod forgetting;
mod hash_bytes;
mod id_table;
pub mod identity;
pub mod input;
mod instruments;
mod lease;
mod numbered;
mod open_orders;
pub mod order;
mod order_state;
mod progress;
mod queries;
mod quotes;
mod recent_set;
pub mod reply;
pub mod restoring;
mod risk;
mod state_hash;
mod text;
mod trading_state;
mod validate;
pub mod venue;

pub use self::core::Core;
pub use admission::{Quota, RememberedIds};
pub use change::UpdateRange;
pub use code::{ReasonCode, Rejection};
pub use command::{
    CancelAllOrders, CancelOrder, Command, CommandRef, FenceOrder, PublishQuotes, Quote, ReplaceOrder,
    SetCancelOnDisconnect, SetRiskLimits, SetTradingState,
};
pub use configuration::{Configuration, ConfigurationError, Instrument};
pub use decimal::{Decimal, DecimalError, StepError};
pub use effect::{Effect, MarketData};
pub use epochs::Epochs;
pub use event::{
    CommandRecorded, ContentHash, Event, Forgotten, Intent, LeaseSet, OrderOpened, OrderRejected, RiskLimitsSet,
};
pub use forgetting::{RememberedKind, Sweep};
pub use input::{Call, CommandNo, CommandOutcome, Input, InputRef, Outcome};
pub use open_orders::OpenOrders;
pub use order::{ExecutionStatus, Order, OrderType, Side, TimeInForce, TradingState};
pub use queries::Replay;
pub use reply::{CommandReply, ExecuteReply, GetOrderReply, OrderCommandReply, OrderReply, OrderUpdate, UpdateKind};
pub use risk::{AccountLimits, RiskConfiguration, RiskLimits, SymbolLimits};
pub use text::Text;
pub use venue::{Level, NewOrder, OrderNo, Part, VenueCommand, VenueKey, VenueReport};

/// Engine time: UTC nanoseconds since 1970, never decreasing.
pub type UtcNanos = i64;

/// The newest contract version that this engine knows (WIRE.md, section 3).
pub const CONTRACT_VERSION: u16 = 1;

/// The only account without authentication.
pub const DEFAULT_ACCOUNT: &str = "default";
