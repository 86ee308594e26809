//! Exact decimals: a signed 64-bit mantissa and an 8-bit exponent (invariant 5).

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `mantissa * 10^exponent`, exactly. Two spellings of one value (1.50 and 1.5) are different `Decimal`s:
/// compare [`Decimal::normalised`] forms, or use [`Decimal::same_value`] and [`Decimal::compare`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Decimal {
    /// Signed significand.
    pub mantissa: i64,
    /// Power of ten.
    pub exponent: i8,
}

/// Why a number has no exact `Decimal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecimalError {
    /// NaN or an infinity.
    #[error("is not a finite number")]
    NotFinite,
    /// More digits than a signed 64-bit mantissa holds, or an exponent outside -128..=127.
    #[error("has more digits than can be represented (a signed 64-bit mantissa, an 8-bit exponent)")]
    OutOfRange,
    /// Text that is no decimal number.
    #[error("is not a decimal number")]
    Malformed,
}

/// Why a number is no count of steps (ticks of a price, steps of a quantity).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StepError {
    /// It lies between two steps.
    #[error("is not a multiple of the step")]
    OffStep,
    /// More steps than [`Decimal::MAX_STEPS`], or than can be turned back into a `Decimal`.
    #[error("is too large")]
    TooLarge,
}

impl Decimal {
    /// Zero, normalised.
    pub const ZERO: Decimal = Decimal { mantissa: 0, exponent: 0 };

    /// Most ticks or steps that the book holds: a thousand million times a million. Far above any price or quantity
    /// there is, and low enough that sums of thousands of orders stay inside 64 bits.
    pub const MAX_STEPS: i64 = 1_000_000_000_000_000;

    /// `mantissa * 10^exponent`.
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// The one spelling of this value without trailing zeros in the mantissa (as far as the exponent reaches);
    /// zero is 0, 0.
    pub const fn normalised(self) -> Self {
        if self.mantissa == 0 {
            return Self::ZERO;
        }
        let Self { mut mantissa, mut exponent } = self;
        while mantissa % 10 == 0 && exponent < i8::MAX {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }

    /// Whether the value is above zero.
    pub const fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    /// Whether the value is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether both are the same number, however spelled.
    pub fn same_value(self, other: Self) -> bool {
        self.normalised() == other.normalised()
    }

    /// Compares values, exactly.
    pub fn compare(self, other: Self) -> Ordering {
        let (a, b) = (self.normalised(), other.normalised());
        let signs = a.mantissa.signum().cmp(&b.mantissa.signum());
        if signs != Ordering::Equal || a.mantissa == 0 {
            return signs;
        }
        let by_size = compare_sizes(a, b);
        if a.mantissa > 0 { by_size } else { by_size.reverse() }
    }

    /// How many of `step` this is.
    ///
    /// # Errors
    /// [`StepError::OffStep`] between two steps (or for a step that is not above zero), [`StepError::TooLarge`] above
    /// [`Self::MAX_STEPS`] steps.
    pub fn to_steps(self, step: Self) -> Result<i64, StepError> {
        let (value, step) = (self.normalised(), step.normalised());
        if step.mantissa <= 0 {
            return Err(StepError::OffStep);
        }
        if value.mantissa == 0 {
            return Ok(0);
        }
        let shift = i32::from(value.exponent) - i32::from(step.exponent);
        let scale = power_of_ten(shift.unsigned_abs());
        let (numerator, denominator) = if shift >= 0 {
            let scaled = scale.and_then(|scale| i128::from(value.mantissa).checked_mul(scale));
            (scaled.ok_or(StepError::TooLarge)?, i128::from(step.mantissa))
        } else {
            let scaled = scale.and_then(|scale| i128::from(step.mantissa).checked_mul(scale));
            // A divisor that does not fit is far larger than any mantissa: no multiple.
            (i128::from(value.mantissa), scaled.ok_or(StepError::OffStep)?)
        };
        if numerator % denominator != 0 {
            return Err(StepError::OffStep);
        }
        let steps = i64::try_from(numerator / denominator).map_err(|_| StepError::TooLarge)?;
        let representable = steps.checked_mul(step.mantissa).is_some();
        if steps.unsigned_abs() > Self::MAX_STEPS.unsigned_abs() || !representable {
            return Err(StepError::TooLarge);
        }
        Ok(steps)
    }

    /// `steps * step`, normalised; `None` where it does not fit.
    pub fn from_steps(steps: i64, step: Self) -> Option<Self> {
        let mantissa = steps.checked_mul(step.mantissa)?;
        Some(Self { mantissa, exponent: step.exponent }.normalised())
    }

    /// The number that the double's shortest decimal text says (0.1 is 1E-1), normalised.
    ///
    /// # Errors
    /// [`DecimalError::NotFinite`], [`DecimalError::OutOfRange`].
    pub fn from_f64(value: f64) -> Result<Self, DecimalError> {
        if !value.is_finite() {
            return Err(DecimalError::NotFinite);
        }
        // `{:e}` prints the shortest digits that read back to the same double.
        format!("{value:e}").parse::<Self>().map(Self::normalised)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        // Both are exact as doubles, so the one division or multiplication rounds once (Clinger's fast path).
        const EXACT_POWER: u32 = 22;
        const EXACT_MANTISSA: u64 = 1 << 53;
        let power = i32::from(self.exponent).unsigned_abs();
        if self.mantissa.unsigned_abs() <= EXACT_MANTISSA && power <= EXACT_POWER {
            let scale = 10f64.powi(i32::try_from(power).unwrap_or(0));
            let mantissa = self.mantissa as f64;
            return if self.exponent < 0 { mantissa / scale } else { mantissa * scale };
        }
        // Always a number that parses.
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(0.0)
    }

    /// A value whose digits may not fit: trailing zeros go first, then digits are rounded half to even until the
    /// mantissa holds them. `None` where the exponent ends.
    pub(crate) fn from_wide(mut mantissa: i128, exponent: i32) -> Option<Self> {
        let mut exponent = exponent;
        if let (Ok(mantissa), Ok(exponent)) = (i64::try_from(mantissa), i8::try_from(exponent)) {
            return Some(Self { mantissa, exponent }.normalised()); // the usual size; 128 bits take ten times as long
        }
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        let mut dropped = 1;
        while i64::try_from(divide_half_even(mantissa, dropped)).is_err() {
            dropped *= 10;
            exponent += 1;
        }
        let mantissa = i64::try_from(divide_half_even(mantissa, dropped)).ok()?;
        Some(Self { mantissa, exponent: i8::try_from(exponent).ok()? }.normalised())
    }
}

/// `numerator / denominator` rounded half to even; both not negative, `denominator` above 0.
pub(crate) fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    let round_up = match (rest * 2).cmp(&denominator) {
        Ordering::Less => false,
        Ordering::Equal => quotient % 2 != 0,
        Ordering::Greater => true,
    };
    quotient + i128::from(round_up)
}

fn power_of_ten(power: u32) -> Option<i128> {
    10i128.checked_pow(power)
}

/// Compares the sizes of two values of one sign, not zero.
fn compare_sizes(a: Decimal, b: Decimal) -> Ordering {
    let (size_a, size_b) = (a.mantissa.unsigned_abs(), b.mantissa.unsigned_abs());
    let magnitude = |size: u64, exponent: i8| size.ilog10() as i32 + i32::from(exponent);
    let by_magnitude = magnitude(size_a, a.exponent).cmp(&magnitude(size_b, b.exponent));
    if by_magnitude != Ordering::Equal {
        return by_magnitude;
    }
    // Same magnitude: the exponents differ by at most 18, and 19 digits scaled by 10^18 fit in 128 bits.
    let shift = i32::from(a.exponent) - i32::from(b.exponent);
    let scale = 10u128.pow(shift.unsigned_abs());
    if shift >= 0 {
        (u128::from(size_a) * scale).cmp(&u128::from(size_b))
    } else {
        u128::from(size_a).cmp(&(u128::from(size_b) * scale))
    }
}

impl fmt::Display for Decimal {
    /// Plain notation where it is not absurdly long, else `mantissaEexponent`; reads back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exponent {
            0 => write!(f, "{}", self.mantissa),
            1..=20 => {
                let zeros = if self.mantissa == 0 { 0 } else { usize::from(self.exponent.unsigned_abs()) };
                write!(f, "{}{:0<zeros$}", self.mantissa, "")
            }
            -20..=-1 => {
                let sign = if self.mantissa < 0 { "-" } else { "" };
                let places = usize::from(self.exponent.unsigned_abs());
                let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                write!(f, "{sign}{whole}.{fraction}")
            }
            _ => write!(f, "{}E{}", self.mantissa, self.exponent),
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `[+-]digits[.digits][(e|E)[+-]digits]`, exactly. Keeps the spelling (1.50 is 150, -2) where it fits,
    /// else takes trailing zeros away.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (negative, number) = match number.as_bytes().first() {
            Some(b'-') => (true, &number[1..]),
            Some(b'+') => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits {
            return Err(DecimalError::Malformed);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| DecimalError::OutOfRange)?;
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
        from_digits(negative, digits, exponent - places)
    }
}

fn parse_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    // Six digits are more than any exponent here can use, and keep the sums below from overflowing.
    if digits.len() > 6 {
        return Err(DecimalError::OutOfRange);
    }
    text.parse().map_err(|_| DecimalError::Malformed)
}

fn from_digits(negative: bool, digits: impl Iterator<Item = u8>, mut exponent: i64) -> Result<Decimal, DecimalError> {
    let mut mantissa: i128 = 0;
    // Zeros that may turn out to be trailing: they cost digits only when another digit follows.
    let mut zeros = 0u32;
    for digit in digits {
        if digit == 0 && mantissa != 0 {
            zeros += 1;
            continue;
        }
        let scale = power_of_ten(zeros + 1).ok_or(DecimalError::OutOfRange)?;
        mantissa = mantissa
            .checked_mul(scale)
            .and_then(|value| value.checked_add(i128::from(digit)))
            .ok_or(DecimalError::OutOfRange)?;
        zeros = 0;
    }
    if negative {
        mantissa = -mantissa;
    }
    // Keep trailing zeros as spelled while they fit.
    let fits = |value: i128| i64::try_from(value).is_ok();
    while zeros > 0 && fits(mantissa) && fits(mantissa * 10) && exponent <= 127 {
        mantissa *= 10;
        zeros -= 1;
    }
    exponent += i64::from(zeros);
    fit(mantissa, exponent)
}

/// Moves digits between mantissa and exponent until both fit.
fn fit(mut mantissa: i128, mut exponent: i64) -> Result<Decimal, DecimalError> {
    if mantissa == 0 {
        let exponent = i8::try_from(exponent).unwrap_or(0);
        return Ok(Decimal { mantissa: 0, exponent });
    }
    while exponent > 127 && i64::try_from(mantissa).is_ok() {
        mantissa *= 10;
        exponent -= 1;
    }
    while exponent < -128 && mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    Ok(Decimal {
        mantissa: i64::try_from(mantissa).map_err(|_| DecimalError::OutOfRange)?,
        exponent: i8::try_from(exponent).map_err(|_| DecimalError::OutOfRange)?,
    })
}
