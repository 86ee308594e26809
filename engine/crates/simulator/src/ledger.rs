//! What an exchange did: executions and open orders, in the words that a checker compares.

use bridge_core::{Decimal, Instrument};
use serde_json::Value;

/// One execution of one order or leg.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct Execution {
    pub order_id: String,
    pub execution_id: u64,
    pub side: &'static str,
    pub quantity: String,
    pub price: String,
}

/// An order or leg that works.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct OpenOrder {
    pub order_id: String,
    pub side: &'static str,
    pub quantity: String,
    pub executed: String,
    pub price: Option<String>,
}

/// The name of a side in the schemas.
pub fn side_name(side: bridge_venue::Side) -> &'static str {
    match side {
        bridge_venue::Side::Buy => "BUY",
        bridge_venue::Side::Sell => "SELL",
    }
}

/// So many steps or ticks, as text. Numbers of the exchange's own always have one.
pub fn text_of(steps: i64, unit: Decimal) -> String {
    Decimal::from_steps(steps, unit).map_or_else(|| format!("{steps} x {unit}"), |decimal| decimal.to_string())
}

/// A quantity and a price of an instrument.
pub fn texts_of(quantity_steps: i64, price_ticks: i64, instrument: &Instrument) -> (String, String) {
    (text_of(quantity_steps, instrument.quantity_step), text_of(price_ticks, instrument.tick))
}

/// The executions in a record of the journal's dump: the exchange's own trades, once for each order in them.
pub fn executions_in(record: &Value) -> Vec<Execution> {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let events = array(&record["venue_events"]);
    let fills = events.iter().flat_map(|event| array(&event["fills"]));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    fills
        .map(|fill| Execution {
            order_id: crate::bugs::honest_id(fill["order_id"].as_str().unwrap_or_default()),
            execution_id: fill["execution_id"].as_u64().unwrap_or_default(),
            side: if fill["side"] == "BUY" { "BUY" } else { "SELL" },
            quantity: text(&fill["quantity"]),
            price: text(&fill["price"]),
        })
        .collect()
}
