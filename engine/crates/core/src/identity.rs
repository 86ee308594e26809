//! Ids: which are allowed, which carry their age, and which name legs (WIRE.md, section 3).

use crate::{Part, ReasonCode, Rejection, Text};
use smol_str::format_smolstr;

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
    let groups = [&bytes[..8], &bytes[9..13], &bytes[14..18], &bytes[19..23], &bytes[24..]];
    let seen = groups.iter().flat_map(|group| group.iter()).fold(0, |seen, byte| seen | DIGITS[usize::from(*byte)]);
    if seen >= NO_DIGIT {
        return None;
    }
    let digits = bytes[..8].iter().chain(&bytes[9..13]);
    Some(digits.fold(0, |value, byte| value << 4 | u64::from(DIGITS[usize::from(*byte)])))
}

/// Of a byte that is no hexadecimal digit.
const NO_DIGIT: u8 = 16;

/// Values of hexadecimal digits: every order's id is looked at, so it is done with a table.
static DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        let lower = b"0123456789abcdef"[digit as usize];
        values[lower as usize] = digit;
        values[lower.to_ascii_uppercase() as usize] = digit;
        digit += 1;
    }
    values
};

/// What follows the entry's id in a leg's id; empty for the entry.
pub const fn leg_suffix(part: Part) -> &'static str {
    match part {
        Part::Entry => "",
        Part::Stop => "·SL",
        Part::Target => "·TP",
    }
}

/// The id of an entry's leg: one allocation, no more.
pub fn leg_id(entry_id: &str, part: Part) -> Text {
    let mut bytes = [0; MAX_ID_BYTES + 8];
    let suffix = leg_suffix(part);
    let length = entry_id.len() + suffix.len();
    let Some(places) = bytes.get_mut(..length) else { return format_smolstr!("{entry_id}{suffix}") };
    places[..entry_id.len()].copy_from_slice(entry_id.as_bytes());
    places[entry_id.len()..].copy_from_slice(suffix.as_bytes());
    // Two texts behind one another are a text.
    Text::from(str::from_utf8(places).unwrap_or_default())
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
        for id in ["a", &"x".repeat(64), &"x".repeat(100)] {
            assert_eq!(split_leg(&leg_id(id, Part::Target)), (id, Part::Target));
        }
    }
}
