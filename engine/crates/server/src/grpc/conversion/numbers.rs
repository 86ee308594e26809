//! Doubles, exact decimals and timestamps (WIRE.md section 2.1).

use crate::proto;
use bridge_core::{Decimal, ReasonCode, Rejection, Text, UtcNanos};
use bridge_wire::codec::unknown_value;
use prost_types::Timestamp;

/// Collects the first thing that a conversion found wrong; the field itself is then left out.
#[derive(Default)]
pub struct Defects {
    /// The first defect.
    pub first: Option<Rejection>,
}

impl Defects {
    /// Notes a defect, unless there is one already.
    pub fn note(&mut self, code: ReasonCode, field: &str, message: impl Into<Text>) {
        if self.first.is_none() {
            self.first = Some(Rejection::new(code, field, message));
        }
    }

    /// Notes an enum's number that has no meaning, in the words of the fast path.
    pub fn note_unknown(&mut self, field: &str, number: i32) {
        if self.first.is_none() {
            self.first = Some(unknown_value(field, i64::from(number)));
        }
    }

    /// A number that is given as a double, exactly, or both.
    pub fn number(&mut self, field: &str, double: f64, exact: Option<proto::Decimal>) -> Option<Decimal> {
        if let Some(same) = exact.as_ref().and_then(|exact| same_number(double, exact)) {
            return Some(same);
        }
        let from_double = match double {
            0.0 => None,
            double => match Decimal::from_f64(double) {
                Ok(decimal) => Some(decimal),
                Err(error) => {
                    self.note(ReasonCode::OutOfRange, field, format!("{field} {error}"));
                    return None;
                }
            },
        };
        let Some(exact) = exact else { return from_double };
        let exact = self.exact(field, Some(exact))?;
        match from_double {
            Some(double) if double.normalised() != exact.normalised() => {
                let message =
                    format!("{field} is {double} as a double and {exact} exactly; give one of them, or equal ones");
                self.note(ReasonCode::ConflictingValues, field, message);
                None
            }
            _ => Some(exact),
        }
    }

    /// A number that has no double beside it.
    pub fn exact(&mut self, field: &str, exact: Option<proto::Decimal>) -> Option<Decimal> {
        let exact = exact?;
        match i8::try_from(exact.exponent) {
            Ok(exponent) => Some(Decimal { mantissa: exact.mantissa, exponent }),
            Err(_) => {
                let message = format!("the exponent of {field} is {}; it must be within -128 to 127", exact.exponent);
                self.note(ReasonCode::OutOfRange, field, message);
                None
            }
        }
    }

    /// UTC nanoseconds of a timestamp.
    pub fn timestamp(&mut self, field: &str, timestamp: Option<Timestamp>) -> Option<UtcNanos> {
        let timestamp = timestamp?;
        if !(0..1_000_000_000).contains(&timestamp.nanos) {
            self.note(ReasonCode::InvalidField, field, format!("nanos of {field} must be within 0 to 999999999"));
            return None;
        }
        let nanos = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
        let nanos = i64::try_from(nanos).ok();
        if nanos.is_none() {
            self.note(ReasonCode::InvalidField, field, format!("{field} must be within the years 1678 to 2262"));
        }
        nanos
    }
}

/// The exact number, where it is the double's shortest text, told without making that text: at most 15 digits always
/// are, since no two numbers of so few digits are the same double. None where this does not tell.
fn same_number(double: f64, exact: &proto::Decimal) -> Option<Decimal> {
    const FIFTEEN_DIGITS: u64 = 1_000_000_000_000_000;
    // Further out, powers of ten are no exact doubles.
    let exponent = i8::try_from(exact.exponent).ok().filter(|exponent| (-22..=22).contains(exponent))?;
    let number = Decimal { mantissa: exact.mantissa, exponent };
    let is_told = exact.mantissa.unsigned_abs() < FIFTEEN_DIGITS && double != 0.0;
    (is_told && number.to_f64().to_bits() == double.to_bits()).then_some(number)
}

/// A decimal as the contract carries it.
pub fn decimal(value: Decimal) -> proto::Decimal {
    proto::Decimal { mantissa: value.mantissa, exponent: value.exponent.into() }
}

/// A timestamp as protobuf carries it.
pub fn timestamp(nanos: UtcNanos) -> Timestamp {
    // rem_euclid by a billion fits an i32.
    Timestamp { seconds: nanos.div_euclid(1_000_000_000), nanos: nanos.rem_euclid(1_000_000_000) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(mantissa: i64, exponent: i32) -> Option<proto::Decimal> {
        Some(proto::Decimal { mantissa, exponent })
    }

    #[test]
    fn a_double_is_taken_by_its_shortest_text_and_must_agree_with_the_exact_number() {
        let mut defects = Defects::default();
        assert_eq!(defects.number("price", 0.1, None), Some(Decimal { mantissa: 1, exponent: -1 }));
        assert_eq!(defects.number("price", 0.1, exact(100, -3)), Some(Decimal { mantissa: 100, exponent: -3 }));
        assert_eq!(defects.number("price", 0.0, None), None);
        assert!(defects.first.is_none());
        assert_eq!(defects.number("price", 0.1, exact(2, -1)), None);
        assert_eq!(defects.first.map(|d| (d.code, d.field)), Some((ReasonCode::ConflictingValues, "price".into())));
    }

    #[test]
    fn a_number_is_told_to_be_the_same_exactly_where_the_double_has_it_as_its_shortest_text() {
        let mantissas = [0, 1, -1, 15, 150, 10_001, 333_333_333_333_333, 999_999_999_999_999, 123_456_789_012_345_678];
        for (mantissa, exponent) in mantissas.into_iter().flat_map(|m| (-30..=30).map(move |e| (m, e))) {
            let number = Decimal { mantissa, exponent };
            let near = number.to_f64();
            for double in [near, f64::from_bits(near.to_bits() + 1), -near, 1.5] {
                let by_text = Decimal::from_f64(double).ok().map(Decimal::normalised);
                let told = same_number(double, &decimal(number));
                assert!(told.is_none() || by_text == Some(number.normalised()), "{number} is not {double}");
                let is_small = mantissa != 0 && mantissa.unsigned_abs() < 1_000_000_000_000_000;
                if is_small && exponent.unsigned_abs() <= 22 && by_text == Some(number.normalised()) {
                    assert_eq!(told, Some(number), "{double}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_exact_form_is_a_defect_with_the_name_of_the_field() {
        for (double, given) in [(f64::NAN, None), (f64::INFINITY, exact(1, 0)), (0.0, exact(1, 128)), (1e300, None)] {
            let mut defects = Defects::default();
            assert_eq!(defects.number("quantity", double, given), None);
            assert_eq!(defects.first.map(|d| (d.code, d.field)), Some((ReasonCode::OutOfRange, "quantity".into())));
        }
    }

    #[test]
    fn timestamps_keep_their_nanoseconds_before_and_after_1970() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, i64::MIN, i64::MAX] {
            let mut defects = Defects::default();
            assert_eq!(defects.timestamp("timestamp", Some(timestamp(nanos))), Some(nanos));
        }
    }
}
