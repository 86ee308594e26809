//! Quotes of the feed as liquidity.

use crate::floor::{Floor, entry, limit, market, refusal};
use bridge_venue::{CloseReason, Party, Refusal, Side};

#[test]
fn a_quote_replaces_the_former_one_whole() {
    let mut floor = Floor::open();
    floor.quote((99, 10), (101, 10));
    floor.quote((98, 3), (102, 4));
    assert_eq!(floor.best(Side::Buy), Some((98, 3)));
    assert_eq!(floor.best(Side::Sell), Some((102, 4)));
    floor.quote_sides(None, Some((103, 1)));
    assert_eq!(floor.best(Side::Buy), None);
}

#[test]
fn a_quote_trades_with_resting_orders_at_their_price() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 4, 100));
    let events = floor.quote((97, 5), (98, 3));
    assert_eq!(floor.fills(entry(1)), [(3, 100)]);
    assert_eq!(crate::floor::fills(&events, Party::Feed), [(3, 100)]);
    assert_eq!(floor.best(Side::Sell), None, "the ask is used up");
    assert_eq!(floor.best(Side::Buy), Some((100, 1)));
}

#[test]
fn what_a_quote_did_not_trade_at_its_arrival_stands() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 4, 100));
    floor.quote((97, 5), (98, 10));
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Filled));
    assert_eq!(floor.best(Side::Sell), Some((98, 6)));
}

#[test]
fn an_order_that_was_at_the_price_before_the_quote_goes_first() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 101));
    floor.quote((99, 5), (101, 5));
    floor.send(limit(2, Side::Sell, 4, 101));
    floor.send(market(3, Side::Buy, 10));
    assert_eq!(floor.fills(entry(1)), [(4, 101)]);
    assert_eq!(floor.fills(entry(2)), [(1, 101)], "the quote came between the two");
}

#[test]
fn a_quote_that_repeats_its_price_is_as_old_as_its_last_arrival() {
    let mut floor = Floor::open();
    floor.quote((99, 5), (101, 5));
    floor.send(limit(1, Side::Sell, 4, 101));
    floor.quote((99, 5), (101, 5));
    floor.send(market(2, Side::Buy, 4));
    assert_eq!(floor.fills(entry(1)), [(4, 101)]);
}

#[test]
fn a_better_quote_goes_before_an_earlier_order() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 102));
    floor.quote((99, 5), (101, 2));
    floor.send(market(2, Side::Buy, 3));
    assert_eq!(floor.fills(entry(2)), [(2, 101), (1, 102)]);
}

#[test]
fn a_crossed_or_locked_quote_is_refused_and_the_former_one_stands() {
    let mut floor = Floor::open();
    floor.quote((99, 5), (101, 5));
    assert_eq!(refusal(&floor.quote((102, 1), (101, 1))), Refusal::QuoteCrossed);
    assert_eq!(refusal(&floor.quote((101, 1), (101, 1))), Refusal::QuoteCrossed);
    assert_eq!(floor.best(Side::Sell), Some((101, 5)));
}

#[test]
fn a_quote_without_size_has_nothing_to_trade() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 4, 100));
    floor.quote((90, 0), (95, 0));
    assert_eq!(floor.fills(entry(1)), []);
    assert_eq!(floor.best(Side::Sell), None);
}
