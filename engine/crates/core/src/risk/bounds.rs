//! Limits in the integers of one instrument: what an order is compared with.

use crate::{Decimal, Instrument, RiskLimits};

/// Quantity times price, in steps times half ticks. Of an order at most 2 * 10^30.
pub(crate) type Notional = i128;

/// More than any order or position can come to: no bound.
const UNBOUNDED: i128 = i128::MAX;

/// What one account's orders in one instrument may be. All bounds may be reached, and not exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    pub quantity_steps: i128,
    pub notional: Notional,
    pub collar: Option<Decimal>,
    pub open_orders: u64,
    pub position_steps: i128,
}

impl Bounds {
    /// No order is refused.
    pub const NONE: Self = Self {
        quantity_steps: UNBOUNDED,
        notional: UNBOUNDED,
        collar: None,
        open_orders: u64::MAX,
        position_steps: UNBOUNDED,
    };

    /// These limits in the units of this instrument.
    pub fn new(limits: &RiskLimits, instrument: &Instrument) -> Self {
        let (tick, step) = (instrument.tick.normalised(), instrument.quantity_step.normalised());
        let steps = |limit: Decimal| whole_units(limit, i128::from(step.mantissa), i32::from(step.exponent));
        let half_ticks_and_steps = |limit: Decimal| {
            let unit = i128::from(tick.mantissa) * i128::from(step.mantissa);
            let exponent = i32::from(tick.exponent) + i32::from(step.exponent);
            // Half of it: times 5 * 10^-1.
            whole_units(limit, unit * 5, exponent - 1)
        };
        Self {
            quantity_steps: limits.max_order_quantity.map_or(UNBOUNDED, steps),
            notional: limits.max_order_notional.map_or(UNBOUNDED, half_ticks_and_steps),
            collar: limits.price_collar,
            open_orders: limits.max_open_orders.map_or(u64::MAX, u64::from),
            position_steps: limits.max_position.map_or(UNBOUNDED, steps),
        }
    }

    /// Whether a price lies within the collar around the last price, both in half ticks above 0.
    pub fn is_in_collar(&self, price: i64, last_price: i64) -> bool {
        let Some(fraction) = self.collar else { return true };
        let Decimal { mantissa, exponent } = fraction;
        let product = i128::from(mantissa) * i128::from(last_price);
        let power = 10i128.checked_pow(i32::from(exponent).unsigned_abs());
        let most = match (exponent < 0, power) {
            (true, Some(power)) => product / power,
            (true, None) => 0,
            (false, power) => power.and_then(|power| product.checked_mul(power)).unwrap_or(UNBOUNDED),
        };
        (i128::from(price) - i128::from(last_price)).abs() <= most
    }
}

/// How many whole units (`mantissa * 10^exponent`, above 0) there are in a value that is not below 0. More than any
/// order could come to is [`UNBOUNDED`].
fn whole_units(value: Decimal, mantissa: i128, exponent: i32) -> i128 {
    /// Above the largest quantity times price, and so small that ten times as much still fits.
    const ENOUGH: i128 = 1_000_000_000_000_000_000_000_000_000_000_000;
    let value = value.normalised();
    let shift = i32::from(value.exponent) - exponent;
    let numerator = i128::from(value.mantissa);
    if numerator <= 0 || mantissa <= 0 {
        return 0;
    }
    if shift < 0 {
        let scaled = 10i128.checked_pow(shift.unsigned_abs()).and_then(|power| mantissa.checked_mul(power));
        return scaled.map_or(0, |scaled| numerator / scaled); // a divisor that does not fit is larger than any value
    }
    // Long division, digit by digit, until it is done or larger than it need be.
    let (mut whole, mut rest) = (numerator / mantissa, numerator % mantissa);
    for _ in 0..shift {
        if whole > ENOUGH {
            return UNBOUNDED;
        }
        (whole, rest) = (whole * 10 + rest * 10 / mantissa, rest * 10 % mantissa);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap_or(Decimal::ZERO)
    }

    fn bounds(limits: RiskLimits) -> Bounds {
        let instrument = Instrument {
            symbol: "X".to_owned(),
            tick: decimal("0.25"),
            quantity_step: decimal("0.001"),
            opening_quote: None,
        };
        Bounds::new(&limits, &instrument)
    }

    #[test]
    fn a_limit_between_two_steps_is_the_lower_one() {
        let quantity =
            |text| bounds(RiskLimits { max_order_quantity: Some(decimal(text)), ..RiskLimits::NONE }).quantity_steps;
        assert_eq!(quantity("10"), 10_000);
        assert_eq!(quantity("0.0019"), 1);
        assert_eq!(quantity("0.0009"), 0);
        assert_eq!(quantity("1E-128"), 0);
        assert!(quantity("1E127") > i128::from(Decimal::MAX_STEPS));
        assert_eq!(quantity("9223372036854775807E9"), 9_223_372_036_854_775_807_000_000_000_000);
    }

    #[test]
    fn a_notional_counts_in_steps_and_half_ticks() {
        let notional =
            |text| bounds(RiskLimits { max_order_notional: Some(decimal(text)), ..RiskLimits::NONE }).notional;
        // 100 = 400 ticks of 0.25 times 1,000 steps of 0.001, and a tick has two halves.
        assert_eq!(notional("100"), 800_000);
        assert_eq!(notional("0.000125"), 1);
        assert_eq!(notional("0.00012"), 0);
        let largest_order = 2 * i128::from(Decimal::MAX_STEPS) * i128::from(Decimal::MAX_STEPS);
        assert!(notional("1E60") > largest_order);
    }

    #[test]
    fn a_collar_may_be_reached_and_not_passed() {
        let bounds = |text| bounds(RiskLimits { price_collar: Some(decimal(text)), ..RiskLimits::NONE });
        let five_percent = bounds("0.05");
        assert!(five_percent.is_in_collar(21_000, 20_000) && five_percent.is_in_collar(19_000, 20_000));
        assert!(!five_percent.is_in_collar(21_001, 20_000) && !five_percent.is_in_collar(18_999, 20_000));
        assert!(bounds("1E127").is_in_collar(i64::MAX, 1) && !bounds("1E-128").is_in_collar(2, 1));
        assert!(bounds("9223372036854775807").is_in_collar(i64::MAX, i64::MAX));
    }
}
