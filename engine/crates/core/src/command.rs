//! What clients ask of the engine: everything that changes state, and so is journaled.

use crate::{Decimal, Order, Rejection, RiskLimits, TradingState, UtcNanos};
use serde::{Deserialize, Serialize};

/// A state-changing command of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Command {
    Execute(Order),
    Cancel(CancelOrder),
    Replace(ReplaceOrder),
    /// `GetOrder(fence=true)` for an id that the engine may not know.
    Fence(FenceOrder),
    CancelAll(CancelAllOrders),
    SetTradingState(SetTradingState),
    PublishQuotes(PublishQuotes),
    SetRiskLimits(SetRiskLimits),
    SetCancelOnDisconnect(SetCancelOnDisconnect),
}

/// A command as `apply` reads it: borrowed, so that who brought it keeps its memory. Serialises as [`Command`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub enum CommandRef<'a> {
    Execute(&'a Order),
    Cancel(&'a CancelOrder),
    Replace(&'a ReplaceOrder),
    Fence(&'a FenceOrder),
    CancelAll(&'a CancelAllOrders),
    SetTradingState(&'a SetTradingState),
    PublishQuotes(&'a PublishQuotes),
    SetRiskLimits(&'a SetRiskLimits),
    SetCancelOnDisconnect(&'a SetCancelOnDisconnect),
}

impl<'a> From<&'a Command> for CommandRef<'a> {
    fn from(command: &'a Command) -> Self {
        match command {
            Command::Execute(order) => Self::Execute(order),
            Command::Cancel(cancel) => Self::Cancel(cancel),
            Command::Replace(replace) => Self::Replace(replace),
            Command::Fence(fence) => Self::Fence(fence),
            Command::CancelAll(cancel) => Self::CancelAll(cancel),
            Command::SetTradingState(set) => Self::SetTradingState(set),
            Command::PublishQuotes(publish) => Self::PublishQuotes(publish),
            Command::SetRiskLimits(set) => Self::SetRiskLimits(set),
            Command::SetCancelOnDisconnect(set) => Self::SetCancelOnDisconnect(set),
        }
    }
}

/// Cancels one order; an id that the engine does not know is fenced.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CancelOrder {
    pub command_id: String,
    pub account: String,
    pub order_id: String,
    pub expected_version: Option<u64>,
    pub defect: Option<Rejection>,
}

/// Changes total quantity, price or both of one order that is open.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReplaceOrder {
    pub command_id: String,
    pub account: String,
    pub order_id: String,
    /// Required: the order version that this replace was decided on.
    pub expected_version: Option<u64>,
    /// New total quantity (executed part included).
    pub quantity: Option<Decimal>,
    /// New limit or trigger price.
    pub price: Option<Decimal>,
    pub defect: Option<Rejection>,
}

/// Makes sure that an id which the engine does not know never executes (invariant 6).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FenceOrder {
    pub account: String,
    pub order_id: String,
}

/// Cancels every open order of the account, or those of one symbol.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CancelAllOrders {
    pub command_id: String,
    pub account: String,
    /// Empty: all symbols.
    pub symbol: String,
    pub defect: Option<Rejection>,
}

/// What the account, or every account, may do from now on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SetTradingState {
    pub command_id: String,
    pub account: String,
    pub state: Option<TradingState>,
    pub cancel_open_orders: bool,
    /// The state that holds for every account, beside each account's own: the stricter counts.
    pub all_accounts: bool,
    pub defect: Option<Rejection>,
}

/// The limits of an account, or of one of its symbols, from now on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SetRiskLimits {
    pub command_id: String,
    pub account: String,
    /// Empty: every symbol that has no limits of its own.
    pub symbol: String,
    /// Replace what was set for this account and symbol before; all absent: back to the configuration's.
    pub limits: RiskLimits,
    pub defect: Option<Rejection>,
}

/// Whether the session's open orders are cancelled once it has had no connection for a while.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SetCancelOnDisconnect {
    pub command_id: String,
    pub account: String,
    /// Of the connection that the command came by.
    pub session_id: String,
    /// Absent: off.
    pub grace_ms: Option<u64>,
    pub defect: Option<Rejection>,
}

/// One quote of a feed: its sizes are what can be traded against it. A side that is absent has no size.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quote {
    pub symbol: String,
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub bid_size: Option<Decimal>,
    pub ask_size: Option<Decimal>,
    pub last_price: Option<Decimal>,
    pub volume: Option<Decimal>,
    pub timestamp_ns: Option<UtcNanos>,
}

/// The feed's side of the embedded exchange.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PublishQuotes {
    pub command_id: String,
    pub account: String,
    pub quotes: Vec<Quote>,
    pub defect: Option<Rejection>,
}
