//! Ids of orders and commands: UUIDv7 (RFC 9562), as `transport/contract/ids.py` makes them, at a tenth of the cost.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use rustix::rand::{GetRandomFlags, getrandom};
use std::time::{SystemTime, UNIX_EPOCH};

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Where the hyphens stand in the 36 characters.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A fresh UUIDv7: 48 bits of milliseconds, 12 bits of the millisecond's fraction, 62 random bits of the operating
/// system, asked for each time (safe across fork).
#[pyfunction]
pub fn uuid7(py: Python<'_>) -> PyResult<Bound<'_, PyString>> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let (milli, rest_ns) = (now_ns / NANOS_PER_MILLI, now_ns % NANOS_PER_MILLI);
    let fraction = (rest_ns << 12) / NANOS_PER_MILLI;
    let time_bits = milli << 16 | 0x7000 | fraction;
    let random_bits = random()? & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
    let bits = u128::from(time_bits) << 64 | u128::from(random_bits);
    let mut text = [b'-'; 36];
    let mut shift = 128;
    for (place, byte) in text.iter_mut().enumerate() {
        if !HYPHENS.contains(&place) {
            shift -= 4;
            *byte = HEX[(bits >> shift) as usize & 0xF];
        }
    }
    // Hexadecimal digits and hyphens only.
    Ok(PyString::new(py, std::str::from_utf8(&text).unwrap_or_default()))
}

fn random() -> PyResult<u64> {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(8) => Ok(u64::from_ne_bytes(bytes)),
        Ok(_) => Err(PyOSError::new_err("the operating system gave too few random bytes")),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}
