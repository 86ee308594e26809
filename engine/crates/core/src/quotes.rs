//! The rules of a feed's quote, and the market data that comes of it.

use crate::validate::{check_positive, price_ticks, quantity_steps};
use crate::{Decimal, Instrument, Level, MarketData, Quote, ReasonCode, Rejection, UtcNanos};

/// Both sides in integers; `at` is the quote's path, which the fields of a rejection begin with.
pub(crate) fn check_quote(
    at: &str,
    quote: &Quote,
    instrument: &Instrument,
) -> Result<(Option<Level>, Option<Level>), Rejection> {
    let bid = check_side(at, ("bid", quote.bid), ("bid_size", quote.bid_size), instrument)?;
    let ask = check_side(at, ("ask", quote.ask), ("ask_size", quote.ask_size), instrument)?;
    if let (Some(bid), Some(ask)) = (bid, ask)
        && bid.price_ticks >= ask.price_ticks
    {
        let message = "bid must lie below ask";
        return Err(Rejection::new(ReasonCode::InvalidField, format!("{at}.bid"), message));
    }
    if let Some(last_price) = quote.last_price {
        check_positive(&format!("{at}.last_price"), last_price)?;
    }
    if let Some(volume) = quote.volume.filter(|volume| volume.mantissa < 0) {
        let message = format!("volume is {volume}, and must not be below 0");
        return Err(Rejection::new(ReasonCode::InvalidField, format!("{at}.volume"), message));
    }
    Ok((bid, ask))
}

/// One side: price and size, or neither. A size of 0 triggers orders and trades with none.
fn check_side(
    at: &str,
    (price_name, price): (&str, Option<Decimal>),
    (size_name, size): (&str, Option<Decimal>),
    instrument: &Instrument,
) -> Result<Option<Level>, Rejection> {
    let (price_field, size_field) = (format!("{at}.{price_name}"), format!("{at}.{size_name}"));
    let missing = |field: String, other: &str| {
        let message = format!("{field} must be given where {other} is");
        Err(Rejection::new(ReasonCode::MissingField, field, message))
    };
    match (price, size) {
        (None, None) => Ok(None),
        (None, Some(_)) => missing(price_field, size_name),
        (Some(_), None) => missing(size_field, price_name),
        (Some(price), Some(size)) => {
            let price_ticks = price_ticks(&price_field, price, instrument)?;
            if size.mantissa < 0 {
                let message = format!("{size_field} is {size}, and must not be negative");
                return Err(Rejection::new(ReasonCode::InvalidField, size_field, message));
            }
            let quantity_steps = match size.is_zero() {
                true => 0,
                false => quantity_steps(&size_field, size, instrument)?,
            };
            Ok(Some(Level { price_ticks, quantity_steps }))
        }
    }
}

/// What subscribers of market data get of a quote.
pub(crate) fn market_data(quote: &Quote, instrument: &Instrument, now: UtcNanos) -> MarketData {
    MarketData {
        symbol: instrument.symbol.as_str().into(),
        bid: quote.bid,
        ask: quote.ask,
        last_price: quote.last_price,
        volume: quote.volume,
        bid_size: quote.bid_size,
        ask_size: quote.ask_size,
        timestamp_ns: quote.timestamp_ns.unwrap_or(now),
    }
}
