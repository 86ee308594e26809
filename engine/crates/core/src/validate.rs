//! The rules of an order's fields (WIRE.md, section 3), in the order of that table.

use crate::instruments::Instruments;
use crate::{
    CONTRACT_VERSION, Configuration, Decimal, Instrument, NewOrder, Order, OrderType, ReasonCode, Rejection, Side,
    StepError, UtcNanos, VenueKey,
};
use std::collections::BTreeSet;

/// Longest trace context, bytes.
const MAX_TRACE_CONTEXT_BYTES: usize = 128;

/// Fields in the order in which they are checked: of several faults the first is told.
const FIELDS: [&str; 13] = [
    "contract_version",
    "symbol",
    "order_type",
    "side",
    "quantity",
    "price",
    "stop_loss",
    "take_profit",
    "timestamp",
    "metadata",
    "time_in_force",
    "expires_at",
    "trace_context",
];

/// An order in the venue's integers. Its key is not set yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    pub new: NewOrder,
}

/// Judges every field.
///
/// # Errors
/// The first field at fault in the table's order, whether the conversion from the wire found it or this did.
pub(crate) fn validate(
    order: &Order,
    instruments: &Instruments,
    limits: &Configuration,
    now: UtcNanos,
) -> Result<Terms, Rejection> {
    let judged = judge(order, instruments, limits, now);
    match (&order.defect, judged) {
        (None, judged) => judged,
        (Some(defect), Ok(_)) => Err(defect.clone()),
        (Some(defect), Err(found)) => {
            Err(if rank(&found.field) < rank(&defect.field) { found } else { defect.clone() })
        }
    }
}

/// A field's place in the table. Names may go on behind it (`timestamp_ns`, `metadata[3].key`).
fn rank(field: &str) -> usize {
    FIELDS.iter().position(|name| field.starts_with(name)).unwrap_or(FIELDS.len())
}

fn judge(order: &Order, instruments: &Instruments, limits: &Configuration, now: UtcNanos) -> Result<Terms, Rejection> {
    check_contract_version(order)?;
    let (symbol, instrument) = check_symbol(order, instruments)?;
    let order_type = given(order.order_type, "order_type", "MARKET, LIMIT, STOP_LOSS or TAKE_PROFIT")?;
    let side = given(order.side, "side", "BUY or SELL")?;
    let quantity = given(order.quantity, "quantity", "a number above 0")?;
    let quantity_steps = quantity_steps("quantity", quantity, instrument)?;
    let price_ticks = check_price(order, order_type, instrument)?;
    let stop_loss_ticks = leg_ticks("stop_loss", order.stop_loss, instrument)?;
    let take_profit_ticks = leg_ticks("take_profit", order.take_profit, instrument)?;
    check_legs(side, price_ticks, stop_loss_ticks, take_profit_ticks)?;
    check_metadata(order, limits)?;
    check_expiry(order, now)?;
    check_trace_context(order)?;
    Ok(Terms {
        new: NewOrder {
            key: VenueKey::default(),
            symbol,
            side,
            order_type,
            time_in_force: order.time_in_force,
            quantity_steps,
            price_ticks,
            stop_loss_ticks,
            take_profit_ticks,
        },
    })
}

fn check_contract_version(order: &Order) -> Result<(), Rejection> {
    if order.contract_version <= CONTRACT_VERSION {
        return Ok(());
    }
    let message = format!(
        "contract_version {} may carry constraints that this engine does not know; it knows 0 to {CONTRACT_VERSION}",
        order.contract_version
    );
    Err(Rejection::new(ReasonCode::UnsupportedContractVersion, "contract_version", message))
}

fn check_symbol<'a>(order: &Order, instruments: &'a Instruments) -> Result<(u32, &'a Instrument), Rejection> {
    let symbol = given((!order.symbol.is_empty()).then_some(&order.symbol), "symbol", "an instrument")?;
    instruments.find(symbol).ok_or_else(|| unknown_symbol("symbol", symbol))
}

/// The rejection of a symbol that is no instrument.
pub(crate) fn unknown_symbol(field: &str, symbol: &str) -> Rejection {
    let shown: String = symbol.chars().take(Instrument::MAX_SYMBOL_BYTES).collect();
    let message = format!("{shown:?} is not an instrument of this engine");
    Rejection::new(ReasonCode::UnknownSymbol, field, message)
}

fn given<T>(value: Option<T>, field: &str, allowed: &str) -> Result<T, Rejection> {
    value.ok_or_else(|| {
        let message = format!("{field} must be given: {allowed}");
        Rejection::new(ReasonCode::MissingField, field, message)
    })
}

/// A quantity above 0 in the instrument's steps.
pub(crate) fn quantity_steps(field: &str, value: Decimal, instrument: &Instrument) -> Result<i64, Rejection> {
    let off_step = ReasonCode::QuantityOffStep;
    units(field, value, ("quantity step", instrument.quantity_step), off_step)
}

/// A price above 0 in the instrument's ticks.
pub(crate) fn price_ticks(field: &str, value: Decimal, instrument: &Instrument) -> Result<i64, Rejection> {
    units(field, value, ("tick", instrument.tick), ReasonCode::PriceOffTick)
}

fn units(field: &str, value: Decimal, (name, unit): (&str, Decimal), off_step: ReasonCode) -> Result<i64, Rejection> {
    check_positive(field, value)?;
    value.to_steps(unit).map_err(|error| match error {
        StepError::OffStep => {
            let message = format!("{field} {value} is not a multiple of the {name} {unit}");
            Rejection::new(off_step, field, message)
        }
        StepError::TooLarge => {
            let message = format!("{field} {value} exceeds what the book can hold");
            Rejection::new(ReasonCode::OutOfRange, field, message)
        }
    })
}

pub(crate) fn check_positive(field: &str, value: Decimal) -> Result<(), Rejection> {
    if value.is_positive() {
        return Ok(());
    }
    let message = format!("{field} is {value}, and must be above 0");
    Err(Rejection::new(ReasonCode::InvalidField, field, message))
}

/// Ticks of a price that constrains; MARKET has none.
fn check_price(order: &Order, order_type: OrderType, instrument: &Instrument) -> Result<Option<i64>, Rejection> {
    if order_type == OrderType::Market {
        order.price.map_or(Ok(()), |price| check_positive("price", price))?;
        return Ok(None);
    }
    let meaning = match order_type {
        OrderType::Limit => "the limit of a LIMIT order",
        _ => "the trigger of a STOP_LOSS or TAKE_PROFIT order",
    };
    price_ticks("price", given(order.price, "price", meaning)?, instrument).map(Some)
}

fn leg_ticks(field: &str, price: Option<Decimal>, instrument: &Instrument) -> Result<Option<i64>, Rejection> {
    price.map(|price| price_ticks(field, price, instrument)).transpose()
}

/// Of a BUY the stop lies below the price and that below the target; of a SELL the other way round.
pub(crate) fn check_legs(
    side: Side,
    price: Option<i64>,
    stop_loss: Option<i64>,
    take_profit: Option<i64>,
) -> Result<(), Rejection> {
    let (below, above) = match side {
        Side::Buy => ("below", "above"),
        Side::Sell => ("above", "below"),
    };
    let in_order = |lower: i64, upper: i64| match side {
        Side::Buy => lower < upper,
        Side::Sell => lower > upper,
    };
    let pairs = [
        ("stop_loss", stop_loss, price, below, "price"),
        ("take_profit", price, take_profit, above, "price"),
        ("take_profit", stop_loss, take_profit, above, "stop_loss"),
    ];
    for (field, lower, upper, relation, other) in pairs {
        if let (Some(lower), Some(upper)) = (lower, upper)
            && !in_order(lower, upper)
        {
            let message = format!("{field} of a {side:?} order must lie {relation} its {other}");
            return Err(Rejection::new(ReasonCode::InvalidField, field, message));
        }
    }
    Ok(())
}

fn check_metadata(order: &Order, limits: &Configuration) -> Result<(), Rejection> {
    let invalid = |message: String| Err(Rejection::new(ReasonCode::InvalidField, "metadata", message));
    let (entries, most) = (order.metadata.len(), limits.max_metadata_entries);
    if u32::try_from(entries).map_or(true, |entries| entries > most) {
        return invalid(format!("metadata has {entries} entries, and at most {most} are allowed"));
    }
    let most = usize::try_from(limits.max_metadata_bytes).unwrap_or(usize::MAX);
    for (key, value) in &order.metadata {
        if key.is_empty() {
            return invalid("a key of metadata is empty".to_owned());
        }
        if key.len() > most || value.len() > most {
            return invalid(format!("keys and values of metadata have at most {most} bytes"));
        }
    }
    match repeated_key(&order.metadata) {
        Some(key) => invalid(format!("metadata has the key {key:?} twice")),
        None => Ok(()),
    }
}

/// The first key that stands there for the second time; without an allocation where there are few.
fn repeated_key(entries: &[(String, String)]) -> Option<&str> {
    const FEW: usize = 32;
    let mut seen = BTreeSet::new();
    let repeated = entries.iter().enumerate().find(|(at, (key, _))| match entries.len() {
        0..=FEW => entries[..*at].iter().any(|(earlier, _)| earlier == key),
        _ => !seen.insert(key),
    });
    repeated.map(|(_, (key, _))| key.as_str())
}

fn check_expiry(order: &Order, now: UtcNanos) -> Result<(), Rejection> {
    match order.expires_at_ns {
        Some(expires_at_ns) if now >= expires_at_ns => {
            let message = format!("expires_at ({expires_at_ns} ns) has passed: engine time is {now} ns");
            Err(Rejection::new(ReasonCode::Expired, "expires_at", message))
        }
        _ => Ok(()),
    }
}

fn check_trace_context(order: &Order) -> Result<(), Rejection> {
    let trace_context = &order.trace_context;
    if trace_context.len() <= MAX_TRACE_CONTEXT_BYTES && trace_context.is_ascii() {
        return Ok(());
    }
    let message = format!("trace_context must be at most {MAX_TRACE_CONTEXT_BYTES} bytes of ASCII");
    Err(Rejection::new(ReasonCode::InvalidField, "trace_context", message))
}
