//! Bad commands: each is answered by one refusal, changes nothing, and never panics.

use crate::floor::{Floor, bracket, entry, limit, market, refusal, stop, stop_loss};
use bridge_venue::{Command, Key, NewOrder, Quote, Refusal, Side};

/// Sends the order to a floor with one resting order, and gives the refusal, having seen that nothing changed.
fn rejected(order: NewOrder) -> Refusal {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 20));
    floor.send(bracket(market(1, Side::Buy, 5), 95, 110));
    let before = floor.exchange.state_hash();
    let reason = refusal(&floor.send(order));
    assert_eq!(floor.exchange.state_hash(), before);
    reason
}

#[test]
fn an_order_for_an_unknown_instrument_is_rejected() {
    let order = NewOrder { symbol: 9, ..market(2, Side::Buy, 1) };
    assert_eq!(rejected(order), Refusal::UnknownSymbol);
}

#[test]
fn a_key_that_is_taken_by_an_open_leg_or_names_no_entry_is_rejected() {
    assert_eq!(rejected(market(1, Side::Buy, 1)), Refusal::KeyNotUsable);
    assert_eq!(rejected(NewOrder { key: stop(2), ..market(2, Side::Buy, 1) }), Refusal::KeyNotUsable);
    assert_eq!(rejected(NewOrder { key: Key(11), ..market(2, Side::Buy, 1) }), Refusal::KeyNotUsable);
}

#[test]
fn a_quantity_that_is_not_positive_is_rejected() {
    for quantity in [0, -1, i64::MIN] {
        assert_eq!(rejected(market(2, Side::Buy, quantity)), Refusal::BadQuantity);
    }
}

#[test]
fn a_missing_price_or_one_that_is_not_positive_is_rejected() {
    assert_eq!(rejected(NewOrder { price_ticks: None, ..limit(2, Side::Buy, 1, 1) }), Refusal::BadPrice);
    assert_eq!(rejected(stop_loss(2, Side::Buy, 1, 0)), Refusal::BadPrice);
    assert_eq!(rejected(limit(2, Side::Buy, 1, i64::MIN)), Refusal::BadPrice);
    assert_eq!(rejected(bracket(market(2, Side::Buy, 1), 0, 5)), Refusal::BadPrice);
    assert_eq!(rejected(bracket(market(2, Side::Buy, 1), 5, -5)), Refusal::BadPrice);
}

#[test]
fn a_cancel_or_replace_of_an_order_that_is_not_open_is_refused() {
    let mut floor = Floor::open();
    assert_eq!(refusal(&floor.cancel(entry(1))), Refusal::UnknownOrder);
    assert_eq!(refusal(&floor.replace(entry(1), Some(1), None)), Refusal::UnknownOrder);
    floor.send(market(1, Side::Buy, 1));
    assert_eq!(refusal(&floor.cancel(entry(1))), Refusal::UnknownOrder, "it has ended");
}

#[test]
fn a_replace_with_a_number_that_is_not_positive_is_refused() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 5, 100));
    assert_eq!(refusal(&floor.replace(entry(1), Some(-1), None)), Refusal::BadQuantity);
    assert_eq!(refusal(&floor.replace(entry(1), None, Some(0))), Refusal::BadPrice);
}

#[test]
fn a_malformed_quote_is_refused() {
    let mut floor = Floor::open();
    assert_eq!(refusal(&floor.quote((0, 1), (5, 1))), Refusal::BadPrice);
    assert_eq!(refusal(&floor.quote((1, -1), (5, 1))), Refusal::BadQuantity);
    let unknown = Command::Quote(Quote { symbol: 9, bid: None, ask: None });
    assert_eq!(refusal(&floor.run(unknown)), Refusal::UnknownSymbol);
}

#[test]
fn adding_an_instrument_again_changes_nothing() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 5, 100));
    assert_eq!(floor.run(Command::AddInstrument { symbol: 0 }), []);
    assert!(floor.is_open(entry(1)));
}

#[test]
fn the_largest_numbers_are_summed_without_overflow() {
    let mut floor = Floor::open();
    for order_no in 1..=3 {
        floor.send(limit(order_no, Side::Sell, i64::MAX, i64::MAX));
    }
    assert_eq!(floor.best(Side::Sell), Some((i64::MAX, 3 * i128::from(i64::MAX))));
    floor.send(limit(4, Side::Buy, i64::MAX, i64::MAX));
    assert_eq!(floor.fills(entry(4)), [(i64::MAX, i64::MAX)]);
}
