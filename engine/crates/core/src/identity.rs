//! Ids: which are allowed, which carry their age, and which name legs (WIRE.md, section 3).

use crate::{Part, ReasonCode, Rejection};

/// Longest order or command id, bytes.
pub const MAX_ID_BYTES: usize = 64;

/// Checks an order id or command id; `field` is its name.
///
/// # Errors
/// MISSING_FIELD or INVALID_FIELD.
pub fn check_id(field: &str, id: &str) -> Result<(), Rejection> {
    if id.is_empty() {
        let message = format!("{field} must be given: 1 to {MAX_ID_BYTES} bytes of printable ASCII");
        return Err(Rejection::new(ReasonCode::MissingField, field, message));
    }
    if !is_id(id) {
        let message = format!("{field} must be 1 to {MAX_ID_BYTES} bytes of printable ASCII (0x20 to 0x7E)");
        return Err(Rejection::new(ReasonCode::InvalidField, field, message));
    }
    Ok(())
}

/// Whether this is an id that a client may use.
pub fn is_id(id: &str) -> bool {
    // All bytes are looked at, whatever the first ones are: that can be done sixteen at a time.
    let printable = |so_far: bool, byte: u8| so_far & (0x20..=0x7E).contains(&byte);
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().fold(true, printable)
}

/// Unix milliseconds of a UUIDv7 in its 36-character form (RFC 9562, section 5.7); `None` for any other id.
pub fn uuid7_ms(id: &str) -> Option<u64> {
    let bytes = id.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let dashes = [8, 13, 18, 23].map(|at| bytes[at]) == *b"----";
    let version_and_variant = bytes[14] == b'7' && matches!(bytes[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B');
    if !dashes || !version_and_variant {
        return None;
    }
    // All bytes are looked at, whatever the first ones are: that can be done sixteen at a time.
    let hexadecimal = bytes.iter().fold(0, |count, byte| count + u32::from(byte.is_ascii_hexdigit()));
    if hexadecimal != 32 {
        return None;
    }
    let high = u64::from_str_radix(id.get(..8)?, 16).ok()?;
    let low = u64::from_str_radix(id.get(9..13)?, 16).ok()?;
    Some(high << 16 | low)
}

/// What follows the entry's id in a leg's id; empty for the entry.
pub const fn leg_suffix(part: Part) -> &'static str {
    match part {
        Part::Entry => "",
        Part::Stop => "·SL",
        Part::Target => "·TP",
    }
}

/// Splits the id of a leg (or of an entry) into the entry's id and the part.
pub fn split_leg(id: &str) -> (&str, Part) {
    for part in [Part::Stop, Part::Target] {
        if let Some(entry) = id.strip_suffix(leg_suffix(part)) {
            return (entry, part);
        }
    }
    (id, Part::Entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid7_carries_its_milliseconds() {
        // The example of RFC 9562, appendix A.6: 2022-02-22T19:22:22Z.
        assert_eq!(uuid7_ms("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), Some(1_645_557_742_000));
        assert_eq!(uuid7_ms("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), Some(1_645_557_742_000));
    }

    #[test]
    fn other_ids_carry_no_age() {
        for id in [
            "order-1",
            "017F22E2-79B0-4CC3-98C4-DC0C0C07398F",
            "017F22E2-79B0-7CC3-C8C4-DC0C0C07398F",
            "017F22E2x79B0-7CC3-98C4-DC0C0C07398F",
            "+17F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        ] {
            assert_eq!(uuid7_ms(id), None, "{id}");
        }
    }

    #[test]
    fn ids_are_1_to_64_bytes_of_printable_ascii() {
        assert!(is_id(&"x".repeat(64)) && is_id(" ~"));
        for id in ["", "a\n", "é", "a·SL", &"x".repeat(65)] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn leg_ids_lie_outside_the_clients_id_space() {
        assert_eq!(split_leg("a·SL"), ("a", Part::Stop));
        assert_eq!(split_leg("a·TP"), ("a", Part::Target));
        assert_eq!(split_leg("a"), ("a", Part::Entry));
    }
}
