//! Records in words: what serde makes of them, with internal numbers turned into ids and decimal texts.

use bridge_core::{Core, Decimal, Instrument, OrderNo, VenueKey};
use bridge_venue::{Event, Trade};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Fields that hold a name from an enum: they get its spelling on the wire.
const NAMED: [&str; 9] = ["status", "code", "side", "order_type", "time_in_force", "state", "kind", "taker", "reason"];

/// Translates with the help of a core that knows the orders and instruments that are spoken of.
pub(crate) struct Words<'a> {
    pub(crate) core: &'a Core,
}

impl Words<'_> {
    /// A value as it is, translated.
    pub(crate) fn plain(&self, value: &impl Serialize) -> Value {
        match serde_json::to_value(value) {
            Ok(value) => self.translate(value, None),
            Err(error) => json!({ "unprintable": error.to_string() }),
        }
    }

    /// An enum's value as one object, with the variant's name under `tag`.
    pub(crate) fn tagged(&self, tag: &str, value: &impl Serialize) -> Value {
        let mut object = Map::new();
        match self.plain(value) {
            Value::Object(variant) if variant.len() == 1 => {
                for (name, content) in variant {
                    object.insert(tag.to_owned(), Value::String(name));
                    match content {
                        Value::Object(fields) => object.extend(fields.into_iter().filter(|(field, _)| field != tag)),
                        Value::Null => {}
                        other => drop(object.insert("value".to_owned(), other)),
                    }
                }
            }
            other => drop(object.insert(tag.to_owned(), other)),
        }
        Value::Object(object)
    }

    /// What the exchange did; a trade once more for each order in it.
    pub(crate) fn venue_event(&self, event: &Event) -> Value {
        let mut value = self.tagged("venue_event", event);
        if let (Event::Trade(trade), Some(object)) = (event, value.as_object_mut()) {
            let fills = self.fills_of(trade, object);
            object.insert("fills".to_owned(), Value::Array(fills));
        }
        value
    }

    fn fills_of(&self, trade: &Trade, translated: &Map<String, Value>) -> Vec<Value> {
        let parties = [("BUY", trade.buyer.key()), ("SELL", trade.seller.key())];
        let orders = parties.into_iter().filter_map(|(side, key)| key.map(|key| (side, key)));
        let fill = |(side, key): (&str, bridge_venue::Key)| {
            let mut fill = Map::new();
            self.name_order(VenueKey(key.0), &mut fill);
            fill.insert("side".to_owned(), json!(side));
            for field in ["execution_id", "quantity", "price"] {
                fill.insert(field.to_owned(), translated.get(field).cloned().unwrap_or_default());
            }
            Value::Object(fill)
        };
        orders.map(fill).collect()
    }

    fn translate(&self, value: Value, instrument: Option<&Instrument>) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.translate(item, instrument)).collect(),
            Value::Object(fields) => match decimal_in(&fields) {
                Some(decimal) => Value::String(decimal.normalised().to_string()),
                None => self.translate_fields(fields, instrument),
            },
            other => other,
        }
    }

    fn translate_fields(&self, fields: Map<String, Value>, inherited: Option<&Instrument>) -> Value {
        let instrument = self.instrument_in(&fields).or(inherited);
        let mut object = Map::new();
        for (name, value) in fields {
            match (name.as_str(), value.as_u64()) {
                ("key", Some(key)) => self.name_order(VenueKey(key), &mut object),
                ("order", Some(order)) => self.name_order(VenueKey::entry(OrderNo(order)), &mut object),
                ("number", _) => drop(object.insert("execution_id".to_owned(), value)),
                ("symbol", Some(_)) => {
                    object.insert(name, instrument.map_or(value, |instrument| json!(instrument.symbol)));
                }
                ("buyer" | "seller", _) => drop(object.insert(name, self.party(&value))),
                ("waits_for", _) => drop(object.insert(name, self.order_ids(&value))),
                ("content_hash", _) => drop(object.insert(name, hexadecimal(&value))),
                ("half_ticks", _) => drop(object.insert("last_price".to_owned(), halves(&value, instrument))),
                (named, _) if NAMED.contains(&named) && value.is_string() => {
                    object.insert(name, Value::String(wire_name(value.as_str().unwrap_or_default())));
                }
                _ => self.insert_number_or_more(&mut object, name, value, instrument),
            }
        }
        Value::Object(object)
    }

    fn insert_number_or_more(
        &self,
        object: &mut Map<String, Value>,
        name: String,
        value: Value,
        instrument: Option<&Instrument>,
    ) {
        let in_units = |suffix: &str, unit: fn(&Instrument) -> Decimal| {
            let stem = name.strip_suffix(suffix)?;
            if value.is_null() {
                return Some((stem.to_owned(), Value::Null));
            }
            let decimal = Decimal::from_steps(value.as_i64()?, unit(instrument?))?;
            Some((stem.to_owned(), Value::String(decimal.to_string())))
        };
        let translated = in_units("_steps", |instrument| instrument.quantity_step)
            .or_else(|| in_units("_ticks", |instrument| instrument.tick));
        match translated {
            Some((stem, decimal)) => drop(object.insert(stem, decimal)),
            None => drop(object.insert(name, self.translate(value, instrument))),
        }
    }

    fn instrument_in(&self, fields: &Map<String, Value>) -> Option<&Instrument> {
        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
        if let Some(key) = number("key") {
            return self.core.instrument_of(VenueKey(key));
        }
        self.core.instrument(u32::try_from(number("symbol")?).ok()?)
    }

    /// Adds `order_id` and `account`, or the bare key of an order that nobody knows.
    fn name_order(&self, key: VenueKey, object: &mut Map<String, Value>) {
        match self.core.state_of(key) {
            Some(order) => {
                object.insert("order_id".to_owned(), json!(order.order_id));
                object.insert("account".to_owned(), json!(order.account));
            }
            None => drop(object.insert("key".to_owned(), json!(key.0))),
        }
    }

    fn order_id(&self, key: u64) -> Value {
        self.core.state_of(VenueKey(key)).map_or(json!(key), |order| json!(order.order_id))
    }

    fn order_ids(&self, keys: &Value) -> Value {
        let keys = keys.as_array().map(Vec::as_slice).unwrap_or_default();
        keys.iter().filter_map(Value::as_u64).map(|key| self.order_id(key)).collect()
    }

    fn party(&self, party: &Value) -> Value {
        match party.get("Order").and_then(Value::as_u64) {
            Some(key) => self.order_id(key),
            None => json!("FEED"),
        }
    }
}

fn decimal_in(fields: &Map<String, Value>) -> Option<Decimal> {
    if fields.len() != 2 {
        return None;
    }
    let mantissa = fields.get("mantissa")?.as_i64()?;
    let exponent = i8::try_from(fields.get("exponent")?.as_i64()?).ok()?;
    Some(Decimal::new(mantissa, exponent))
}

/// A count of half ticks as a price.
fn halves(count: &Value, instrument: Option<&Instrument>) -> Value {
    let tick = instrument.map(|instrument| instrument.tick.normalised());
    let half = tick.map(|tick| Decimal::new(tick.mantissa.saturating_mul(5), tick.exponent.saturating_sub(1)));
    let price = count.as_i64().zip(half).and_then(|(count, half)| Decimal::from_steps(count, half));
    price.map_or(Value::Null, |price| Value::String(price.to_string()))
}

fn hexadecimal(bytes: &Value) -> Value {
    let bytes = bytes.as_array().map(Vec::as_slice).unwrap_or_default();
    bytes.iter().filter_map(Value::as_u64).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// `PartiallyFilled` as `PARTIALLY_FILLED`.
fn wire_name(variant: &str) -> String {
    let mut name = String::with_capacity(variant.len() + 4);
    for (index, letter) in variant.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}
