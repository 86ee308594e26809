//! The order as a client gave it, and the words of its life.

use crate::{Decimal, Rejection, UtcNanos};
use serde::{Deserialize, Serialize};

/// How the order is to be executed. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum OrderType {
    /// At once, at the best prices there are; what is left is cancelled.
    Market = 0,
    /// At `price` or better.
    Limit = 1,
    /// At market once the market has moved against the side: `price` is the trigger.
    StopLoss = 2,
    /// At market once the market has moved in favour: `price` is the trigger.
    TakeProfit = 3,
}

/// Buy or sell. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Side {
    Buy = 0,
    Sell = 1,
}

/// How long what is not executed at once stays. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until cancelled; the default.
    #[default]
    Gtc = 1,
    /// What is not executed at once is cancelled.
    Ioc = 2,
    /// All at once or nothing.
    Fok = 3,
}

/// Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ExecutionStatus {
    Pending = 0,
    Filled = 1,
    PartiallyFilled = 2,
    Cancelled = 3,
    Rejected = 4,
    Failed = 5,
}

/// What an account may do. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TradingState {
    Active = 1,
    Reducing = 2,
    Halted = 3,
}

/// An order as it reached the engine, converted by `crates/wire` (FlatBuffers) or the server (protobuf) and not yet
/// validated. What a field's conversion found wrong stands in `defect`, so that `apply` can look the id up first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    /// Made by the client: 1 to 64 bytes of printable ASCII.
    pub order_id: String,
    /// Empty on the wire means `default`; the conversion fills it in.
    pub account: String,
    /// Name of the instrument.
    pub symbol: String,
    /// Absent is refused (conversions of contract version 0 fill in MARKET).
    pub order_type: Option<OrderType>,
    /// Absent is refused (conversions of contract version 0 fill in BUY).
    pub side: Option<Side>,
    /// In units of the instrument.
    pub quantity: Option<Decimal>,
    /// Limit price, or trigger price of STOP_LOSS and TAKE_PROFIT; for MARKET a reference that constrains nothing.
    pub price: Option<Decimal>,
    /// Trigger price of the stop-loss leg.
    pub stop_loss: Option<Decimal>,
    /// Trigger price of the take-profit leg.
    pub take_profit: Option<Decimal>,
    /// The client's time, UTC nanoseconds.
    pub timestamp_ns: Option<UtcNanos>,
    /// Key and value, as given (keys must be unique).
    pub metadata: Vec<(String, String)>,
    /// GTC where not given.
    pub time_in_force: TimeInForce,
    /// The engine refuses the order after this instant (engine time, UTC nanoseconds).
    pub expires_at_ns: Option<UtcNanos>,
    /// 0 is a client of the original schema.
    pub contract_version: u16,
    /// W3C traceparent; not part of the order's content.
    pub trace_context: String,
    /// First fault found while the order was converted from the wire.
    pub defect: Option<Rejection>,
}
