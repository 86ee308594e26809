//! Limits as they are given: by the configuration, and by `SetRiskLimits`.

use crate::Decimal;
use serde::{Deserialize, Serialize};

/// Limits of an account, or of one of its symbols. One that is absent here does not limit here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RiskLimits {
    /// Largest quantity of one order.
    pub max_order_quantity: Option<Decimal>,
    /// Largest quantity times price of one order.
    pub max_order_notional: Option<Decimal>,
    /// How far a limit price may lie from the last price, as a fraction of that: 0.05 is 5 %.
    pub price_collar: Option<Decimal>,
    /// Most open orders of one symbol.
    pub max_open_orders: Option<u32>,
    /// Largest position in one symbol, long or short, as if every open order of its side were filled.
    pub max_position: Option<Decimal>,
    /// Orders of the account, of all symbols, that its bucket is refilled with in a second.
    pub orders_per_second: Option<u32>,
    /// Orders that the bucket holds; absent: as many as a second refills.
    pub order_burst: Option<u32>,
}

impl RiskLimits {
    /// Limits nothing.
    pub const NONE: Self = Self {
        max_order_quantity: None,
        max_order_notional: None,
        price_collar: None,
        max_open_orders: None,
        max_position: None,
        orders_per_second: None,
        order_burst: None,
    };
}

/// Limits of one symbol.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SymbolLimits {
    /// An instrument of the configuration.
    pub symbol: String,
    /// Its limits.
    pub limits: RiskLimits,
}

/// Limits of one account.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Its name.
    pub account: String,
    /// Of every symbol that has none of its own.
    pub limits: RiskLimits,
    /// Of symbols that have their own.
    pub symbols: Vec<SymbolLimits>,
}

/// The configuration's limits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RiskConfiguration {
    /// Of every account and symbol that has none of its own.
    pub limits: RiskLimits,
    /// Of symbols that have their own.
    pub symbols: Vec<SymbolLimits>,
    /// Of accounts that have their own.
    pub accounts: Vec<AccountLimits>,
}
