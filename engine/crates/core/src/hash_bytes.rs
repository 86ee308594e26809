//! Values as bytes for the state hash: little-endian, what is optional behind a byte that says whether it is there,
//! texts behind their length. So no two states have the same bytes.

use crate::Decimal;

/// A number that may be absent.
pub(crate) fn put_optional(bytes: &mut Vec<u8>, value: Option<i64>) {
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(&value.unwrap_or(0).to_le_bytes());
}

/// A decimal as it is spelled (1.50 and 1.5 differ: a reply repeats the client's spelling).
pub(crate) fn put_decimal(bytes: &mut Vec<u8>, value: Option<Decimal>) {
    bytes.push(u8::from(value.is_some()));
    let Decimal { mantissa, exponent } = value.unwrap_or(Decimal::ZERO);
    bytes.extend_from_slice(&mantissa.to_le_bytes());
    bytes.extend_from_slice(&exponent.to_le_bytes());
}

/// A text.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
