//! What can be traded: from the file, or the two indices of the example data.

use super::file::{InstrumentSection, OrdersSection, QuoteSection};
use super::risk::RiskSection;
use crate::failure::Failure;
use bridge_core::{Configuration, Decimal, Instrument, Quote};

/// Configuration of the core, which enters as a journaled input.
///
/// # Errors
/// A number that is none; names the instrument and its setting. What is merely impossible (a tick of zero) the core
/// refuses when it opens.
pub fn configuration(
    instruments: Option<Vec<InstrumentSection>>,
    orders: &OrdersSection,
    risk: &RiskSection,
) -> Result<Configuration, Failure> {
    let instruments = match instruments {
        Some(sections) => sections.into_iter().map(instrument).collect::<Result<_, _>>()?,
        None => default_instruments(),
    };
    Ok(Configuration {
        instruments,
        max_skew_ms: orders.max_skew_ms.unwrap_or(10_000),
        retention_ms: orders.retention_ms.unwrap_or(7 * 24 * 3_600_000),
        quote_retention_ms: orders.quote_retention_ms.unwrap_or(600_000),
        foreign_id_quota: orders.foreign_id_quota.unwrap_or(1_000_000),
        max_remembered_ids: orders.max_remembered_ids.unwrap_or(5_000_000),
        update_history: orders.update_history.unwrap_or(100_000),
        max_metadata_entries: orders.max_metadata_entries.unwrap_or(32),
        max_metadata_bytes: orders.max_metadata_bytes.unwrap_or(256),
        risk: super::risk::configuration(risk)?,
        max_leases: risk.max_leases.unwrap_or(1_000),
    })
}

fn instrument(section: InstrumentSection) -> Result<Instrument, Failure> {
    let symbol = section.symbol;
    let tick = decimal(&symbol, "tick", &section.tick)?;
    let quantity_step = decimal(&symbol, "quantity_step", &section.quantity_step)?;
    let opening_quote = section.opening_quote.map(|quote| opening_quote(&symbol, &quote)).transpose()?;
    Ok(Instrument { symbol, tick, quantity_step, opening_quote })
}

fn opening_quote(symbol: &str, section: &QuoteSection) -> Result<Quote, Failure> {
    let number = |setting: &str, text: &Option<String>| {
        text.as_deref().map(|text| decimal(symbol, &format!("opening_quote.{setting}"), text)).transpose()
    };
    Ok(Quote {
        symbol: symbol.to_owned(),
        bid: number("bid", &section.bid)?,
        ask: number("ask", &section.ask)?,
        bid_size: number("bid_size", &section.bid_size)?,
        ask_size: number("ask_size", &section.ask_size)?,
        last_price: number("last_price", &section.last_price)?,
        volume: number("volume", &section.volume)?,
        timestamp_ns: None,
    })
}

fn decimal(symbol: &str, setting: &str, text: &str) -> Result<Decimal, Failure> {
    text.parse().map_err(|e| Failure::setup(format!("instruments: {setting} of {symbol:?}: {text:?} {e}")))
}

/// Opening prices of the first rows of `index_daily.csv` (1999-01-04), in cents. The quote stands one cent around
/// the open, in sizes that nobody exhausts by trying the engine out.
const OPENING_CENTS: [(&str, i64); 2] = [("NASDAQ", 220_754), ("SP500", 122_923)];
const OPENING_SIZE: i64 = 1_000_000;

fn default_instruments() -> Vec<Instrument> {
    let cents = |mantissa| Decimal { mantissa, exponent: -2 };
    let size = Some(Decimal { mantissa: OPENING_SIZE, exponent: 0 });
    let instrument = |(symbol, open): (&str, i64)| Instrument {
        symbol: symbol.to_owned(),
        tick: cents(1),
        quantity_step: Decimal { mantissa: 1, exponent: -3 },
        opening_quote: Some(Quote {
            symbol: symbol.to_owned(),
            bid: Some(cents(open - 1)),
            ask: Some(cents(open + 1)),
            bid_size: size,
            ask_size: size,
            last_price: Some(cents(open)),
            volume: None,
            timestamp_ns: None,
        }),
    };
    OPENING_CENTS.into_iter().map(instrument).collect()
}
