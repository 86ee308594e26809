//! `[risk]`, `[risk.symbols.NAME]`, `[risk.accounts.NAME]` and `[risk.accounts.NAME.symbols.NAME]`: what orders may be.
//! Whether a limit makes sense the core judges, when it opens.

use crate::failure::Failure;
use bridge_core::{AccountLimits, Decimal, RiskConfiguration, RiskLimits, SymbolLimits};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Value;

/// `[risk]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RiskSection {
    /// Sessions that may have cancel on disconnect.
    pub max_leases: Option<u32>,
    max_order_quantity: Option<Value>,
    max_order_notional: Option<Value>,
    price_collar: Option<Value>,
    max_open_orders: Option<Value>,
    max_position: Option<Value>,
    orders_per_second: Option<Value>,
    order_burst: Option<Value>,
    symbols: BTreeMap<String, LimitsSection>,
    accounts: BTreeMap<String, AccountSection>,
}

/// `[risk.accounts.NAME]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct AccountSection {
    max_order_quantity: Option<Value>,
    max_order_notional: Option<Value>,
    price_collar: Option<Value>,
    max_open_orders: Option<Value>,
    max_position: Option<Value>,
    orders_per_second: Option<Value>,
    order_burst: Option<Value>,
    symbols: BTreeMap<String, LimitsSection>,
}

/// `[risk.symbols.NAME]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    max_order_quantity: Option<Value>,
    max_order_notional: Option<Value>,
    price_collar: Option<Value>,
    max_open_orders: Option<Value>,
    max_position: Option<Value>,
    orders_per_second: Option<Value>,
    order_burst: Option<Value>,
}

/// The same seven fields of every section. (serde's `flatten` would accept unknown keys.)
macro_rules! limits {
    ($at:expr, $section:expr) => {
        RiskLimits {
            max_order_quantity: decimal($at, "max_order_quantity", $section.max_order_quantity.as_ref())?,
            max_order_notional: decimal($at, "max_order_notional", $section.max_order_notional.as_ref())?,
            price_collar: decimal($at, "price_collar", $section.price_collar.as_ref())?,
            max_open_orders: count($at, "max_open_orders", $section.max_open_orders.as_ref())?,
            max_position: decimal($at, "max_position", $section.max_position.as_ref())?,
            orders_per_second: count($at, "orders_per_second", $section.orders_per_second.as_ref())?,
            order_burst: count($at, "order_burst", $section.order_burst.as_ref())?,
        }
    };
}

/// The limits of the configuration.
///
/// # Errors
/// A number that is none; names the limit by its path.
pub fn configuration(section: &RiskSection) -> Result<RiskConfiguration, Failure> {
    let account = |(account, section): (&String, &AccountSection)| {
        let at = format!("risk.accounts.{account}");
        let symbols = symbols(&at, &section.symbols)?;
        Ok(AccountLimits { account: account.clone(), limits: limits!(&at, section), symbols })
    };
    Ok(RiskConfiguration {
        limits: limits!("risk", section),
        symbols: symbols("risk", &section.symbols)?,
        accounts: section.accounts.iter().map(account).collect::<Result<_, Failure>>()?,
    })
}

fn symbols(at: &str, sections: &BTreeMap<String, LimitsSection>) -> Result<Vec<SymbolLimits>, Failure> {
    let one = |(symbol, section): (&String, &LimitsSection)| {
        let at = format!("{at}.symbols.{symbol}");
        Ok(SymbolLimits { symbol: symbol.clone(), limits: limits!(&at, section) })
    };
    sections.iter().map(one).collect()
}

fn decimal(at: &str, name: &str, value: Option<&Value>) -> Result<Option<Decimal>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let wrong = |what: String| Failure::setup(format!("{at}.{name}: {what}"));
    match value {
        Value::String(text) => text.parse().map(Some).map_err(|error| wrong(format!("{text:?} {error}"))),
        Value::Integer(number) => Ok(Some(Decimal::new(*number, 0))),
        other => Err(wrong(format!("{other} is not exact: give it as text, such as \"0.05\""))),
    }
}

fn count(at: &str, name: &str, value: Option<&Value>) -> Result<Option<u32>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let whole = value.as_integer().and_then(|number| u32::try_from(number).ok());
    let wrong = || Failure::setup(format!("{at}.{name}: {value} is no whole number from 0 to {}", u32::MAX));
    whole.map(Some).ok_or_else(wrong)
}
