//! MARKET orders, and the times in force that end an order at once.

use crate::floor::{Floor, entry, limit, market, with};
use bridge_venue::{CloseReason, Event, Side, TimeInForce};

#[test]
fn a_market_order_takes_the_best_prices_first_and_then_the_next_ones() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 102));
    floor.send(limit(2, Side::Sell, 5, 101));
    floor.send(market(3, Side::Buy, 7));
    assert_eq!(floor.fills(entry(3)), [(5, 101), (2, 102)]);
    assert_eq!(floor.ended(entry(3)), Some(CloseReason::Filled));
    assert_eq!(floor.order(entry(1)).remaining_steps(), 3);
}

#[test]
fn a_market_order_trades_with_the_feeds_quote_up_to_its_size_and_the_rest_finds_no_liquidity() {
    let mut floor = Floor::open();
    floor.quote((99, 4), (101, 4));
    floor.send(market(1, Side::Buy, 10));
    assert_eq!(floor.fills(entry(1)), [(4, 101)]);
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::NoLiquidity));
    floor.send(market(2, Side::Buy, 1));
    assert_eq!(floor.fills(entry(2)), [], "the quote's size trades once");
}

#[test]
fn a_market_order_is_not_bound_by_its_reference_price() {
    let mut floor = Floor::open();
    floor.quote((99, 4), (101, 4));
    let mut order = market(1, Side::Buy, 4);
    order.price_ticks = Some(50);
    floor.send(order);
    assert_eq!(floor.fills(entry(1)), [(4, 101)]);
}

#[test]
fn an_ioc_limit_order_takes_what_there_is_within_its_limit_and_the_rest_is_cancelled() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.send(limit(2, Side::Sell, 5, 103));
    floor.send(with(TimeInForce::Ioc, limit(3, Side::Buy, 8, 102)));
    assert_eq!(floor.fills(entry(3)), [(5, 101)]);
    assert_eq!(floor.ended(entry(3)), Some(CloseReason::IocRemainder));
    assert_eq!(floor.best(Side::Buy), None, "an IOC order never rests");
}

#[test]
fn a_fok_order_one_step_too_large_executes_nothing() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.quote((99, 1), (102, 4));
    let events = floor.send(with(TimeInForce::Fok, limit(2, Side::Buy, 10, 102)));
    assert!(matches!(events[..], [Event::Opened(_), Event::Closed { reason: CloseReason::FokUnfillable, .. }]));
    assert_eq!(floor.order(entry(1)).remaining_steps(), 5);
}

#[test]
fn a_fok_order_that_exactly_fits_orders_and_quote_together_executes_whole() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.quote((99, 1), (102, 4));
    floor.send(with(TimeInForce::Fok, limit(2, Side::Buy, 9, 102)));
    assert_eq!(floor.fills(entry(2)), [(5, 101), (4, 102)]);
    assert_eq!(floor.ended(entry(2)), Some(CloseReason::Filled));
}

#[test]
fn a_fok_market_order_executes_whole_or_not_at_all() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.send(with(TimeInForce::Fok, market(2, Side::Buy, 6)));
    assert_eq!(floor.ended(entry(2)), Some(CloseReason::FokUnfillable));
    floor.send(with(TimeInForce::Fok, market(3, Side::Buy, 5)));
    assert_eq!(floor.ended(entry(3)), Some(CloseReason::Filled));
}
