//! Replace: what keeps the place in the queue, what loses it, and what it can set off.

use crate::floor::{Floor, bracket, entry, limit, market, refusal, stop, stop_loss, target, triggered};
use bridge_venue::{CloseReason, Refusal, Side};

/// Two sell orders of 5 at 101, the first of which is replaced; then one buyer takes 5.
fn first_in_queue_after(quantity: Option<i64>, price: Option<i64>) -> bool {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.send(limit(2, Side::Sell, 5, 101));
    floor.replace(entry(1), quantity, price);
    floor.send(market(3, Side::Buy, 1));
    floor.fills(entry(1)) == [(1, 101)]
}

#[test]
fn a_smaller_quantity_keeps_the_place_in_the_queue() {
    assert!(first_in_queue_after(Some(2), None));
    assert!(first_in_queue_after(Some(2), Some(101)));
}

#[test]
fn the_same_terms_keep_the_place_in_the_queue() {
    assert!(first_in_queue_after(Some(5), Some(101)));
}

#[test]
fn a_larger_quantity_loses_the_place_in_the_queue() {
    assert!(!first_in_queue_after(Some(6), None));
}

#[test]
fn another_price_and_back_loses_the_place_in_the_queue() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.send(limit(2, Side::Sell, 5, 101));
    floor.replace(entry(1), None, Some(102));
    floor.replace(entry(1), None, Some(101));
    floor.send(market(3, Side::Buy, 5));
    assert_eq!(floor.fills(entry(2)), [(5, 101)]);
    assert_eq!(floor.best(Side::Sell), Some((101, 5)));
}

#[test]
fn a_price_that_can_trade_does_so_at_the_resting_price() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Buy, 5, 99));
    floor.send(limit(2, Side::Sell, 3, 101));
    floor.replace(entry(1), None, Some(102));
    assert_eq!(floor.fills(entry(1)), [(3, 101)]);
    assert_eq!(floor.best(Side::Buy), Some((102, 2)));
}

#[test]
fn the_new_total_counts_what_is_executed() {
    let mut floor = Floor::open();
    floor.send(limit(1, Side::Sell, 5, 101));
    floor.send(market(2, Side::Buy, 3));
    floor.replace(entry(1), Some(4), None);
    assert_eq!(floor.best(Side::Sell), Some((101, 1)));
    assert_eq!(refusal(&floor.replace(entry(1), Some(3), None)), Refusal::QuantityBelowExecuted);
    assert_eq!(floor.best(Side::Sell), Some((101, 1)), "a refused replace changes nothing");
}

#[test]
fn a_trigger_moved_to_where_the_market_is_triggers_at_once() {
    let mut floor = Floor::open();
    floor.quote((99, 10), (101, 10));
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    floor.replace(entry(1), None, Some(99));
    assert_eq!(floor.fills(entry(1)), [(5, 99)]);
}

#[test]
fn a_moved_trigger_no_longer_fires_at_its_old_price() {
    let mut floor = Floor::open();
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    floor.replace(entry(1), None, Some(90));
    assert_eq!(triggered(&floor.quote((94, 10), (96, 10))), []);
    assert_eq!(triggered(&floor.quote((90, 10), (96, 10))), [entry(1)]);
}

#[test]
fn a_triggered_order_can_change_its_quantity_but_has_no_price() {
    let mut floor = Floor::open();
    floor.quote((94, 0), (96, 0));
    floor.send(stop_loss(1, Side::Sell, 5, 95));
    assert_eq!(refusal(&floor.replace(entry(1), None, Some(90))), Refusal::AlreadyTriggered);
    floor.replace(entry(1), Some(2), None);
    floor.quote((94, 10), (96, 0));
    assert_eq!(floor.fills(entry(1)), [(2, 94)]);
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::Filled));
}

#[test]
fn of_a_leg_the_trigger_can_be_replaced_and_the_quantity_cannot() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 20));
    floor.send(bracket(market(1, Side::Buy, 5), 95, 110));
    assert_eq!(refusal(&floor.replace(stop(1), Some(3), None)), Refusal::LegQuantityFixed);
    floor.replace(stop(1), Some(5), Some(97));
    floor.quote((97, 20), (98, 20));
    assert_eq!(floor.fills(stop(1)), [(5, 97)]);
    assert_eq!(floor.ended(target(1)), Some(CloseReason::LegDone));
}
