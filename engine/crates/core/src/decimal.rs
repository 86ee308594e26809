//! Exact decimals: a signed 64-bit mantissa and an 8-bit exponent (invariant 5).

use serde::{Deserialize, Serialize};

/// `mantissa * 10^exponent`, exactly. Two spellings of one value (1.50 and 1.5) are different `Decimal`s:
/// compare [`Decimal::normalised`] forms.
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
