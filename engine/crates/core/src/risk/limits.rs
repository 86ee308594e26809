//! Limits as they are given: by the configuration, and by `SetRiskLimits`; and which of them hold.

use crate::{ConfigurationError, Decimal, ReasonCode, Rejection};
use serde::{Deserialize, Serialize};

/// Limits of an account, or of one of its symbols. One that is absent is that of the next level (see
/// [`RiskConfiguration`]); absent everywhere, it does not limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RiskLimits {
    /// Largest quantity of one order.
    pub max_order_quantity: Option<Decimal>,
    /// Largest quantity times price of one order.
    pub max_order_notional: Option<Decimal>,
    /// How far a limit price may lie from the last price, as a fraction of that: 0.05 is 5 %.
    pub price_collar: Option<Decimal>,
    /// Most open orders and legs of one symbol.
    pub max_open_orders: Option<u32>,
    /// Largest position in one symbol, long or short, as if every open order of its side were filled.
    pub max_position: Option<Decimal>,
    /// Orders of the account, of all symbols, that its bucket is refilled with in a second.
    pub orders_per_second: Option<u32>,
    /// Orders that the bucket holds; absent: as many as a second refills.
    pub order_burst: Option<u32>,
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

/// The configuration's limits. Each single limit is that of the first level that gives it: set for account and
/// symbol, configured for account and symbol, configured for the symbol, set for the account, configured for the
/// account, configured for all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RiskConfiguration {
    /// Of every account and symbol that has none of its own.
    pub limits: RiskLimits,
    /// Of symbols that have their own.
    pub symbols: Vec<SymbolLimits>,
    /// Of accounts that have their own.
    pub accounts: Vec<AccountLimits>,
}

/// What is wrong with a limit: its name, and what is allowed.
struct Fault {
    limit: &'static str,
    problem: String,
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

    /// These, and where one is absent that of the next level.
    pub(crate) fn or(self, next: &Self) -> Self {
        Self {
            max_order_quantity: self.max_order_quantity.or(next.max_order_quantity),
            max_order_notional: self.max_order_notional.or(next.max_order_notional),
            price_collar: self.price_collar.or(next.price_collar),
            max_open_orders: self.max_open_orders.or(next.max_open_orders),
            max_position: self.max_position.or(next.max_position),
            orders_per_second: self.orders_per_second.or(next.orders_per_second),
            order_burst: self.order_burst.or(next.order_burst),
        }
    }

    /// Whether every limit makes sense, for one symbol or for all.
    ///
    /// # Errors
    /// INVALID_FIELD; the field is `limits.` and the limit's name.
    pub(crate) fn check(&self, of_symbol: bool) -> Result<(), Rejection> {
        self.fault(of_symbol).map_or(Ok(()), |Fault { limit, problem }| {
            Err(Rejection::new(ReasonCode::InvalidField, format!("limits.{limit}"), format!("{limit} {problem}")))
        })
    }

    fn fault(&self, of_symbol: bool) -> Option<Fault> {
        let above_0 = |limit, value: Option<Decimal>| {
            let value = value.filter(|value| !value.is_positive())?;
            Some(Fault { limit, problem: format!("is {value}, and must be above 0") })
        };
        let at_least_1 = |limit, value: Option<u32>| {
            (value == Some(0)).then(|| Fault { limit, problem: "is 0, and must be at least 1".to_owned() })
        };
        let of_account = |limit, value: Option<u32>| {
            let problem = "counts the orders of all symbols: it cannot be given for one";
            (of_symbol && value.is_some()).then(|| Fault { limit, problem: problem.to_owned() })
        };
        let negative = self.max_position.filter(|value| value.mantissa < 0);
        above_0("max_order_quantity", self.max_order_quantity)
            .or_else(|| above_0("max_order_notional", self.max_order_notional))
            .or_else(|| above_0("price_collar", self.price_collar))
            .or_else(|| {
                let problem = format!("is {}, and must not be below 0", negative?);
                Some(Fault { limit: "max_position", problem })
            })
            .or_else(|| at_least_1("orders_per_second", self.orders_per_second))
            .or_else(|| at_least_1("order_burst", self.order_burst))
            .or_else(|| of_account("orders_per_second", self.orders_per_second))
            .or_else(|| of_account("order_burst", self.order_burst))
    }
}

impl RiskConfiguration {
    /// Limits nothing.
    pub const NONE: Self = Self { limits: RiskLimits::NONE, symbols: Vec::new(), accounts: Vec::new() };

    /// Whether all limits make sense; `is_symbol` knows the instruments.
    pub(crate) fn validate(&self, is_symbol: &dyn Fn(&str) -> bool) -> Result<(), ConfigurationError> {
        validate_limits("risk", &self.limits, false)?;
        validate_symbols("risk", &self.symbols, is_symbol)?;
        for (index, account) in self.accounts.iter().enumerate() {
            let at = format!("risk.accounts.{}", account.account);
            if account.account.is_empty() {
                return Err(ConfigurationError::new("risk.accounts", "an account has an empty name"));
            }
            if self.accounts[..index].iter().any(|other| other.account == account.account) {
                return Err(ConfigurationError::new(at, "is there twice"));
            }
            validate_limits(&at, &account.limits, false)?;
            validate_symbols(&at, &account.symbols, is_symbol)?;
        }
        Ok(())
    }

    fn account(&self, account: &str) -> Option<&AccountLimits> {
        self.accounts.iter().find(|one| one.account == account)
    }

    /// What holds for an account's symbol beside what was set for both: `set` is what was set for the account.
    pub(crate) fn for_symbol(&self, account: &str, symbol: &str, set: &RiskLimits) -> RiskLimits {
        let of = |symbols: &[SymbolLimits]| {
            symbols.iter().find(|one| one.symbol == symbol).map_or(RiskLimits::NONE, |one| one.limits)
        };
        let own = self.account(account).map_or(RiskLimits::NONE, |account| of(&account.symbols));
        own.or(&of(&self.symbols)).or(&self.for_account(account, set))
    }

    /// What holds for all of an account's symbols; `set` is what was set for the account.
    pub(crate) fn for_account(&self, account: &str, set: &RiskLimits) -> RiskLimits {
        let own = self.account(account).map_or(RiskLimits::NONE, |account| account.limits);
        set.or(&own).or(&self.limits)
    }
}

fn validate_symbols(
    at: &str,
    symbols: &[SymbolLimits],
    is_symbol: &dyn Fn(&str) -> bool,
) -> Result<(), ConfigurationError> {
    for (index, one) in symbols.iter().enumerate() {
        let at = format!("{at}.symbols.{}", one.symbol);
        if !is_symbol(&one.symbol) {
            return Err(ConfigurationError::new(at, "is no instrument of this configuration"));
        }
        if symbols[..index].iter().any(|other| other.symbol == one.symbol) {
            return Err(ConfigurationError::new(at, "is there twice"));
        }
        validate_limits(&at, &one.limits, true)?;
    }
    Ok(())
}

fn validate_limits(at: &str, limits: &RiskLimits, of_symbol: bool) -> Result<(), ConfigurationError> {
    limits
        .fault(of_symbol)
        .map_or(Ok(()), |Fault { limit, problem }| Err(ConfigurationError::new(format!("{at}.{limit}"), problem)))
}
