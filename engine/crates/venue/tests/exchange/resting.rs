//! LIMIT orders that rest: priority, prices of trades, cancels.

use crate::floor::{Floor, entry, limit, market};
use bridge_venue::{CloseReason, Event, Side};

#[test]
fn a_limit_order_without_a_counterparty_rests_at_its_price() {
    let mut floor = Floor::open();
    let events = floor.send(limit(1, Side::Buy, 5, 100));
    assert!(matches!(events[..], [Event::Opened(_)]));
    assert_eq!(floor.best(Side::Buy), Some((100, 5)));
}

#[test]
fn a_limit_order_trades_at_the_resting_orders_price_and_its_rest_stays() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 100));
    floor.send(limit(2, Side::Buy, 10, 105));
    assert_eq!(floor.fills(entry(2)), [(4, 100)]);
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Filled));
    assert_eq!(floor.best(Side::Buy), Some((105, 6)));
}

#[test]
fn at_one_price_the_earlier_order_is_filled_before_the_later_one() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 100));
    floor.send(limit(2, Side::Sell, 4, 100));
    floor.send(market(3, Side::Buy, 5));
    assert_eq!(floor.fills(entry(1)), [(4, 100)]);
    assert_eq!(floor.fills(entry(2)), [(1, 100)]);
}

#[test]
fn both_sides_of_a_trade_carry_one_number_and_the_next_trade_the_next() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 100));
    floor.send(limit(2, Side::Sell, 4, 101));
    let events = floor.send(market(3, Side::Buy, 8));
    let numbers = events.iter().filter_map(|event| match event {
        Event::Trade(trade) => Some(trade.number),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_cancelled_order_trades_no_more() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 100));
    floor.cancel(entry(1));
    floor.send(market(2, Side::Buy, 4));
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Cancelled));
    assert_eq!(floor.fills(entry(2)), []);
}

#[test]
fn a_partly_filled_order_can_be_cancelled_for_its_rest() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 4, 100));
    floor.send(market(2, Side::Buy, 1));
    floor.cancel(entry(1));
    assert_eq!(floor.fills(entry(1)), [(1, 100)]);
    assert!(!floor.is_open(entry(1)));
}

#[test]
fn instruments_do_not_trade_with_one_another() {
    let mut floor = Floor::open();
    floor.run(bridge_venue::Command::AddInstrument { symbol: 7 });
    let mut elsewhere = limit(1, Side::Sell, 4, 100);
    elsewhere.symbol = 7;
    floor.send(elsewhere);
    floor.send(market(2, Side::Buy, 4));
    assert_eq!(floor.fills(entry(2)), []);
}
