//! STOP_LOSS and TAKE_PROFIT: what triggers them, and how they work from then on.

use crate::floor::{Floor, entry, limit, market, stop_loss, take_profit, triggered, with};
use bridge_venue::{CloseReason, Event, NewOrder, Side, TimeInForce};

/// Opens a floor at 99/101, sends the order, and tells whether a quote with this bid and ask triggers it.
fn is_triggered_by(order: NewOrder, bid: i64, ask: i64) -> bool {
    let mut floor = Floor::open();
    floor.quote((99, 100), (101, 100));
    assert_eq!(triggered(&floor.send(order)), [], "it waits at 99/101");
    triggered(&floor.quote((bid, 100), (ask, 100))) == [order.key]
}

#[test]
fn a_sell_stop_triggers_when_the_bid_is_at_or_below_its_price() {
    assert!(!is_triggered_by(stop_loss(1, Side::Sell, 5, 95), 96, 97));
    assert!(is_triggered_by(stop_loss(1, Side::Sell, 5, 95), 95, 97));
    assert!(is_triggered_by(stop_loss(1, Side::Sell, 5, 95), 90, 97));
}

#[test]
fn a_buy_stop_triggers_when_the_ask_is_at_or_above_its_price() {
    assert!(!is_triggered_by(stop_loss(1, Side::Buy, 5, 105), 103, 104));
    assert!(is_triggered_by(stop_loss(1, Side::Buy, 5, 105), 103, 105));
    assert!(is_triggered_by(stop_loss(1, Side::Buy, 5, 105), 103, 110));
}

#[test]
fn a_sell_target_triggers_when_the_bid_is_at_or_above_its_price() {
    assert!(!is_triggered_by(take_profit(1, Side::Sell, 5, 105), 104, 106));
    assert!(is_triggered_by(take_profit(1, Side::Sell, 5, 105), 105, 106));
    assert!(is_triggered_by(take_profit(1, Side::Sell, 5, 105), 107, 108));
}

#[test]
fn a_buy_target_triggers_when_the_ask_is_at_or_below_its_price() {
    assert!(!is_triggered_by(take_profit(1, Side::Buy, 5, 95), 94, 96));
    assert!(is_triggered_by(take_profit(1, Side::Buy, 5, 95), 94, 95));
    assert!(is_triggered_by(take_profit(1, Side::Buy, 5, 95), 80, 81));
}

#[test]
fn a_triggered_order_executes_at_market() {
    let mut floor = Floor::open();
    floor.quote((99, 10), (101, 10));
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    floor.quote((93, 10), (94, 10));
    assert_eq!(floor.fills(entry(1)), [(5, 93)]);
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Filled));
}

#[test]
fn an_order_that_would_trigger_on_the_present_quote_does_so_at_once() {
    let mut floor = Floor::open();
    floor.quote((93, 10), (94, 10));
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    assert_eq!(floor.fills(entry(1)), [(5, 93)]);
}

#[test]
fn the_present_quote_still_triggers_when_its_size_is_traded_away() {
    let mut floor = Floor::open();
    floor.quote((93, 4), (94, 10));
    floor.send(market(1, Side::Sell, 4));
    let events = floor.send(stop_loss(2, Side::Sell, 5, 95));
    assert_eq!(triggered(&events), [entry(2)]);
    assert_eq!(floor.fills(entry(2)), []);
}

#[test]
fn trades_between_orders_trigger_nothing() {
    let mut floor = Floor::open();
    floor.quote((99, 10), (101, 10));
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    floor.quote_sides(None, None);
    floor.send(limit(2, Side::Buy, 1, 90));
    floor.send(market(3, Side::Sell, 1));
    assert_eq!(floor.fills(entry(3)), [(1, 90)]);
    assert!(!floor.order(entry(1)).triggered);
}

#[test]
fn an_absent_side_triggers_nothing() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    assert_eq!(triggered(&floor.quote_sides(None, Some((90, 1)))), []);
}

#[test]
fn what_is_left_of_a_triggered_order_works_at_market_as_quotes_come() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 10, 95));
    floor.quote((94, 4), (96, 4));
    assert_eq!(floor.fills(entry(1)), [(4, 94)]);
    floor.quote((98, 4), (99, 4));
    assert_eq!(floor.fills(entry(1)), [(4, 94), (4, 98)], "also above its trigger");
    floor.quote((97, 4), (99, 4));
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Filled));
    assert_eq!(floor.best(Side::Buy), Some((97, 2)));
}

#[test]
fn what_works_at_market_takes_the_next_limit_orders_price() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 10, 95));
    floor.quote((94, 0), (120, 1));
    floor.send(limit(2, Side::Buy, 3, 90));
    assert_eq!(floor.fills(entry(1)), [(3, 90)]);
}

#[test]
fn what_works_at_market_joins_the_best_price_of_its_own_side() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 10, 95));
    floor.quote((94, 0), (96, 5));
    floor.send(limit(2, Side::Buy, 3, 100));
    assert_eq!(floor.fills(entry(2)), [(3, 96)], "the buyer pays no more than the best ask");
    assert_eq!(floor.fills(entry(1)), [(3, 96)], "and who works at market goes first");
}

#[test]
fn two_orders_that_work_at_market_do_not_trade_with_one_another() {
    let mut floor = Floor::open();
    floor.quote((94, 0), (96, 0));
    floor.send(stop_loss(1, Side::Sell, 10, 95));
    floor.send(stop_loss(2, Side::Buy, 10, 95));
    assert_eq!(floor.fills(entry(1)), []);
    assert!(floor.order(entry(1)).triggered && floor.order(entry(2)).triggered);
}

#[test]
fn a_triggered_ioc_order_ends_with_its_remainder_and_a_fok_one_with_nothing() {
    let mut floor = Floor::open();
    floor.send(with(TimeInForce::Ioc, stop_loss(1, Side::Sell, 5, 95)));
    floor.send(with(TimeInForce::Fok, stop_loss(2, Side::Sell, 5, 94)));
    assert!(floor.is_open(entry(1)) && floor.is_open(entry(2)), "until triggered they wait");
    floor.quote((93, 8), (94, 1));
    assert_eq!(floor.fills(entry(1)), [(5, 93)]);
    assert_eq!(floor.ended(entry(2)), Some(CloseReason::FokUnfillable));
    floor.send(with(TimeInForce::Ioc, stop_loss(3, Side::Sell, 5, 95)));
    assert_eq!(floor.fills(entry(3)), [(3, 93)]);
    assert_eq!(floor.ended(entry(3)), Some(CloseReason::IocRemainder));
}

#[test]
fn of_stops_that_one_quote_triggers_the_nearest_goes_first_and_then_the_earliest() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 1, 94));
    floor.send(stop_loss(2, Side::Sell, 1, 95));
    floor.send(stop_loss(3, Side::Sell, 1, 95));
    let events = floor.quote((90, 10), (91, 10));
    assert_eq!(triggered(&events), [entry(2), entry(3), entry(1)]);
}

#[test]
fn resting_orders_trade_with_a_quote_before_what_it_triggers() {
    let mut floor = Floor::open();
    floor.send(take_profit(1, Side::Buy, 5, 95));
    floor.send(limit(2, Side::Buy, 5, 95));
    floor.quote((93, 1), (95, 5));
    assert_eq!(floor.fills(entry(2)), [(5, 95)]);
    assert!(floor.order(entry(1)).triggered);
    assert_eq!(floor.fills(entry(1)), []);
}

#[test]
fn a_waiting_order_can_be_cancelled() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    let events = floor.cancel(entry(1));
    assert!(matches!(events[..], [Event::Closed { reason: CloseReason::Cancelled, .. }]));
    assert_eq!(triggered(&floor.quote((90, 1), (91, 1))), []);
}
