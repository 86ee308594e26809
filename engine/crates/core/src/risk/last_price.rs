//! The last price of a symbol: what collars, and the notional of orders without a price, are judged by.
//!
//! The newest of: the price of an execution; a quote's `last_price`; where a quote has none, the middle of its bid and
//! ask. In half ticks, so that a middle needs no rounding.

use crate::decimal::divide_half_even;
use crate::{Decimal, Instrument, Level, Quote};

/// A price in ticks as one in half ticks; `None` for what is no price.
pub(crate) fn half_ticks(price_ticks: i64) -> Option<i64> {
    if price_ticks > 0 { price_ticks.checked_mul(2) } else { None }
}

/// What a quote says that the last price is; `None` where it says nothing that a book could hold.
pub(crate) fn price_of_quote(
    quote: &Quote,
    instrument: &Instrument,
    bid: Option<Level>,
    ask: Option<Level>,
) -> Option<i64> {
    if let Some(last_price) = quote.last_price {
        return nearest_half_tick(last_price, instrument.tick);
    }
    bid?.price_ticks.checked_add(ask?.price_ticks).filter(|sum| *sum > 0)
}

/// A feed's last price need not lie on the tick.
fn nearest_half_tick(price: Decimal, tick: Decimal) -> Option<i64> {
    let (price, tick) = (price.normalised(), tick.normalised());
    let shift = i32::from(price.exponent) - i32::from(tick.exponent);
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let (numerator, denominator) = match shift >= 0 {
        true => (i128::from(price.mantissa).checked_mul(2)?.checked_mul(power)?, i128::from(tick.mantissa)),
        false => (i128::from(price.mantissa) * 2, i128::from(tick.mantissa).checked_mul(power)?),
    };
    if numerator <= 0 || denominator <= 0 || numerator > i128::MAX / 4 || denominator > i128::MAX / 4 {
        return None;
    }
    let halves = i64::try_from(divide_half_even(numerator, denominator)).ok()?;
    (1..=2 * Decimal::MAX_STEPS).contains(&halves).then_some(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<Decimal> {
        text.parse().ok()
    }

    fn instrument() -> Instrument {
        Instrument {
            symbol: "X".to_owned(),
            tick: Decimal::new(1, -2),
            quantity_step: Decimal::new(1, 0),
            opening_quote: None,
        }
    }

    fn level(price_ticks: i64) -> Option<Level> {
        Some(Level { price_ticks, quantity_steps: 1 })
    }

    #[test]
    fn a_quotes_last_price_counts_before_its_middle() {
        let quote = Quote { last_price: decimal("100.01"), ..Quote::default() };
        assert_eq!(price_of_quote(&quote, &instrument(), level(9_000), level(9_001)), Some(20_002));
        assert_eq!(price_of_quote(&Quote::default(), &instrument(), level(9_000), level(9_001)), Some(18_001));
        assert_eq!(price_of_quote(&Quote::default(), &instrument(), level(9_000), None), None);
    }

    #[test]
    fn a_last_price_off_the_tick_is_the_nearest_half_tick() {
        let half_ticks = |text| decimal(text).and_then(|price| nearest_half_tick(price, Decimal::new(1, -2)));
        assert_eq!(half_ticks("1.0049"), Some(201));
        assert_eq!(half_ticks("1.0026"), Some(201));
        assert_eq!(half_ticks("1.0025"), Some(200));
        assert_eq!(half_ticks("0.0001"), None);
        assert_eq!(half_ticks("1E127"), None);
        assert_eq!(half_ticks("1E-128"), None);
    }
}
