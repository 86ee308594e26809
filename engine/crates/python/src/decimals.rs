//! Python's `Decimal` to mantissa and exponent and back, exactly (invariant 5).

use crate::contract::contract;
use bridge_core::{Decimal, ReasonCode};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::sync::Mutex;

/// Digits that are looked at: more than any number on the wire has, few enough to be quick.
const MAX_DIGITS: usize = 256;
/// Numbers that are remembered. Prices of a few instruments repeat; making a `Decimal` costs ten times as much.
const CACHE_SLOTS: usize = 4096;

/// Digits and a point that cannot overflow 64 bits.
const MAX_PLAIN_BYTES: usize = 18;

/// Why a `Decimal` has no form on the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct NoForm(pub &'static str);

impl NoForm {
    /// The code that goes with it.
    pub const CODE: u16 = ReasonCode::OutOfRange as u16;
}

const NOT_FINITE: NoForm = NoForm("is not a finite number");
const NEGATIVE_ZERO: NoForm = NoForm("is a negative zero");
const NO_EXACT_FORM: NoForm = NoForm("has no exact form on the wire (a signed 64-bit mantissa, an 8-bit exponent)");

/// The number that `str(Decimal)` spells. The spelling (1.50 or 1.5) is kept where it fits.
pub fn parse(text: &str) -> Result<Decimal, NoForm> {
    match plain(text.as_bytes()) {
        Some(number) => Ok(number),
        None => parse_any(text),
    }
}

/// The usual spelling: up to 18 digits, perhaps a point; not zero with a sign.
fn plain(text: &[u8]) -> Option<Decimal> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    if digits.len() > MAX_PLAIN_BYTES {
        return None;
    }
    let (mut mantissa, mut point, mut count) = (0_i64, None, 0_usize);
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + i64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    if count == 0 || (negative && mantissa == 0) {
        return None;
    }
    let fraction = point.map_or(0, |index| digits.len() - index - 1) as i8;
    Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, exponent: -fraction })
}

fn parse_any(text: &str) -> Result<Decimal, NoForm> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = match unsigned.split_once(['E', 'e']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i64>().map_err(|_| NO_EXACT_FORM)?),
        None => (unsigned, 0),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Err(NOT_FINITE);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).map_err(|_| NO_EXACT_FORM)?);
    let digits = whole.bytes().chain(fraction.bytes());
    significand(digits, whole.len() + fraction.len(), negative, exponent.ok_or(NO_EXACT_FORM)?)
}

fn significand(
    digits: impl Iterator<Item = u8>,
    count: usize,
    negative: bool,
    exponent: i64,
) -> Result<Decimal, NoForm> {
    if count > MAX_DIGITS {
        return Err(NO_EXACT_FORM);
    }
    let mut mantissa: i128 = 0;
    // Zeros at the end are only written once another digit follows, so that 1000...000 of any length is read.
    let mut zeros = 0_u32;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9).ok_or(NOT_FINITE)?;
        if digit == 0 && mantissa != 0 {
            zeros += 1;
        } else if digit != 0 {
            let shift = 10_i128.checked_pow(zeros + 1).ok_or(NO_EXACT_FORM)?;
            mantissa =
                mantissa.checked_mul(shift).and_then(|m| m.checked_add(i128::from(digit))).ok_or(NO_EXACT_FORM)?;
            zeros = 0;
        }
    }
    if mantissa == 0 {
        return if negative { Err(NEGATIVE_ZERO) } else { Ok(zero(exponent)) };
    }
    fit(if negative { -mantissa } else { mantissa }, zeros, exponent)
}

fn zero(exponent: i64) -> Decimal {
    Decimal { mantissa: 0, exponent: i8::try_from(exponent).unwrap_or(0) }
}

/// `mantissa` x 10^`zeros` x 10^`exponent`, with as many of the zeros in the mantissa as the spelling has and fit.
fn fit(mantissa: i128, zeros: u32, exponent: i64) -> Result<Decimal, NoForm> {
    let mut exponent = exponent.checked_add(i64::from(zeros)).ok_or(NO_EXACT_FORM)?;
    let mut mantissa = i64::try_from(mantissa).map_err(|_| NO_EXACT_FORM)?;
    let spelled = exponent - i64::from(zeros);
    // Written zeros come back as long as both parts fit; beyond the largest exponent, zeros are made to fit.
    while exponent > spelled.min(i64::from(i8::MAX)).max(i64::from(i8::MIN)) {
        let Some(longer) = mantissa.checked_mul(10) else { break };
        mantissa = longer;
        exponent -= 1;
    }
    // What has zeros of its own may still be too small an exponent to say: 10E-129 is 1E-128.
    let exponent = i8::try_from(exponent).map_err(|_| NO_EXACT_FORM)?;
    Ok(Decimal { mantissa, exponent })
}

type ReadSlot = Option<(Py<PyAny>, Decimal)>;
/// Numbers that were read, by the object they were read from: it is kept, so nothing else can have its address.
static READ: PyOnceLock<Mutex<Vec<ReadSlot>>> = PyOnceLock::new();

/// The value of an object whose class is exactly `Decimal` (which is immutable). Clients use constants again, and send
/// prices that they were sent; reading a new one costs ten times as much as finding a known one.
pub fn read(number: &Bound<'_, PyAny>) -> PyResult<Result<Decimal, NoForm>> {
    let py = number.py();
    let slot =
        ((number.as_ptr() as usize as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52) as usize % CACHE_SLOTS;
    let cache = READ.get_or_init(py, || Mutex::new((0..CACHE_SLOTS).map(|_| None).collect()));
    if let Ok(slots) = cache.lock()
        && let Some((known, value)) = &slots[slot]
        && known.is(number)
    {
        return Ok(Ok(*value));
    }
    let value = match parse(number.str()?.to_str()?) {
        Ok(value) => value,
        Err(problem) => return Ok(Err(problem)),
    };
    let fresh = Some((number.clone().unbind(), value));
    let displaced = cache.lock().ok().and_then(|mut slots| std::mem::replace(&mut slots[slot], fresh));
    drop(displaced);
    Ok(Ok(value))
}

type MadeSlot = Option<(Decimal, Py<PyAny>)>;
static CACHE: PyOnceLock<Mutex<Vec<MadeSlot>>> = PyOnceLock::new();

/// The Python `Decimal` of this value: exact, whatever the decimal context is.
pub fn make(py: Python<'_>, mantissa: i64, exponent: i8) -> PyResult<Bound<'_, PyAny>> {
    let value = Decimal { mantissa, exponent };
    // Fibonacci hashing: neighbouring prices go to different slots.
    let mixed = (mantissa as u64 ^ (exponent as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let slot = (mixed >> 52) as usize % CACHE_SLOTS;
    let cache = CACHE.get_or_init(py, || Mutex::new((0..CACHE_SLOTS).map(|_| None).collect()));
    if let Ok(slots) = cache.lock()
        && let Some((known, made)) = &slots[slot]
        && *known == value
    {
        return Ok(made.bind(py).clone());
    }
    let made = contract(py)?.decimal.bind(py).call1((format!("{mantissa}E{exponent}"),))?;
    // The one that is put out is dropped after the lock is let go: dropping may run Python code.
    let fresh = Some((value, made.clone().unbind()));
    let displaced = cache.lock().ok().and_then(|mut slots| std::mem::replace(&mut slots[slot], fresh));
    drop(displaced);
    Ok(made)
}
