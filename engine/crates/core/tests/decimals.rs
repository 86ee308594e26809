//! Exact decimals: spelling, order, doubles, and counts of steps.
#![allow(clippy::unwrap_used, missing_docs)]

use bridge_core::{Decimal, DecimalError, StepError};
use proptest::prelude::*;
use std::cmp::Ordering;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn two_spellings_of_a_value_are_the_same_value() {
    assert!(decimal("1.50").same_value(decimal("1.5")));
    assert_ne!(decimal("1.50"), decimal("1.5"));
    assert_eq!(decimal("100").normalised(), Decimal::new(1, 2));
    assert_eq!(decimal("-0.00").normalised(), Decimal::ZERO);
    assert_eq!(Decimal::new(100, 126).normalised(), Decimal::new(10, 127), "the exponent ends here");
}

#[test]
fn a_double_is_its_shortest_text() {
    assert_eq!(Decimal::from_f64(0.1), Ok(Decimal::new(1, -1)));
    assert_eq!(Decimal::from_f64(-15_000.25), Ok(Decimal::new(-1_500_025, -2)));
    assert_eq!(Decimal::from_f64(100.0), Ok(Decimal::new(1, 2)));
    assert_eq!(Decimal::from_f64(-0.0), Ok(Decimal::ZERO));
    assert_eq!(Decimal::from_f64(0.1 + 0.2), Ok(Decimal::new(30_000_000_000_000_004, -17)));
    assert_eq!(Decimal::from_f64(1e140), Ok(Decimal::new(10_000_000_000_000, 127)));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Decimal::from_f64(value), Err(DecimalError::NotFinite));
    }
    for value in [1e300, 5e-324] {
        assert_eq!(Decimal::from_f64(value), Err(DecimalError::OutOfRange));
    }
}

#[test]
fn text_that_is_no_number_is_malformed() {
    for text in ["", ".", "-", "1e", "e5", "1.2.3", "0x1", "1 ", "NaN", "inf", "--1", "1e+-2", "١"] {
        assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Malformed), "{text:?}");
    }
}

#[test]
fn text_that_does_not_fit_is_out_of_range() {
    let long_fraction = format!("1.{}1", "0".repeat(60));
    for text in ["9223372036854775808", "1e999999999", "1e-129", "12345678901234567890.5", &long_fraction] {
        assert_eq!(text.parse::<Decimal>(), Err(DecimalError::OutOfRange), "{text:?}");
    }
    let zeros = format!("1{}", "0".repeat(60));
    assert_eq!(decimal(&zeros).normalised(), Decimal::new(1, 60));
    assert_eq!(decimal("-9223372036854775808"), Decimal::new(i64::MIN, 0));
}

#[test]
fn it_prints_plainly_and_reads_back() {
    for (value, text) in [
        (Decimal::new(150, -2), "1.50"),
        (Decimal::new(-5, -3), "-0.005"),
        (Decimal::new(1, 2), "100"),
        (Decimal::new(0, 5), "0"),
        (Decimal::new(i64::MIN, -1), "-922337203685477580.8"),
        (Decimal::new(7, 127), "7E127"),
    ] {
        assert_eq!(value.to_string(), text);
        assert!(decimal(text).same_value(value));
    }
}

#[test]
fn a_value_is_a_count_of_steps_or_none() {
    let step = decimal("0.01");
    assert_eq!(decimal("15000.25").to_steps(step), Ok(1_500_025));
    assert_eq!(decimal("-1").to_steps(step), Ok(-100));
    assert_eq!(decimal("0.005").to_steps(step), Err(StepError::OffStep));
    assert_eq!(decimal("1e20").to_steps(step), Err(StepError::TooLarge));
    assert_eq!(decimal("1e-120").to_steps(decimal("1e10")), Err(StepError::OffStep));
    assert_eq!(decimal("0.75").to_steps(decimal("0.25")), Ok(3));
    assert_eq!(decimal("1").to_steps(Decimal::ZERO), Err(StepError::OffStep));
    assert_eq!(decimal("10000000000000.01").to_steps(step), Err(StepError::TooLarge), "above 10^15 steps");
    assert_eq!(Decimal::from_steps(1_500_000, step), Some(Decimal::new(15, 3)));
    assert_eq!(Decimal::from_steps(i64::MAX, decimal("25")), None);
}

proptest! {
    #[test]
    fn any_decimal_reads_back_from_its_text(mantissa: i64, exponent: i8) {
        let value = Decimal::new(mantissa, exponent);
        prop_assert!(value.to_string().parse::<Decimal>().unwrap().same_value(value), "{value}");
    }

    #[test]
    fn comparison_is_that_of_the_numbers(a in -10_000i64..10_000, b in -10_000i64..10_000, x in -6i8..6, y in -6i8..6) {
        let scaled = |mantissa: i64, exponent: i8| i128::from(mantissa) * 10i128.pow((exponent + 6) as u32);
        let expected = scaled(a, x).cmp(&scaled(b, y));
        prop_assert_eq!(Decimal::new(a, x).compare(Decimal::new(b, y)), expected);
        prop_assert_eq!(expected == Ordering::Equal, Decimal::new(a, x).same_value(Decimal::new(b, y)));
    }

    #[test]
    fn comparison_takes_any_exponents(a: i64, b: i64, x: i8, y: i8) {
        let (a, b) = (Decimal::new(a, x), Decimal::new(b, y));
        prop_assert_eq!(a.compare(b), b.compare(a).reverse());
        prop_assert_eq!(a.compare(b) == Ordering::Equal, a.same_value(b));
    }

    #[test]
    fn a_double_survives_the_way_there_and_back(value in -1e15f64..1e15) {
        prop_assert_eq!(Decimal::from_f64(value).unwrap().to_f64(), value);
    }

    #[test]
    fn to_f64_is_the_nearest_double(mantissa: i64, exponent in -30i8..30) {
        let nearest: f64 = format!("{mantissa}e{exponent}").parse().unwrap();
        prop_assert_eq!(Decimal::new(mantissa, exponent).to_f64(), nearest);
    }

    #[test]
    fn steps_come_back(steps in -1_000_000_000_000_000i64..=1_000_000_000_000_000, exponent in -12i8..3) {
        let step = Decimal::new(25, exponent);
        let value = Decimal::from_steps(steps, step).unwrap();
        prop_assert_eq!(value.to_steps(step), Ok(steps));
    }
}
