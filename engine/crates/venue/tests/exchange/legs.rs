//! Legs: how they open, grow, reduce one another and end.

use crate::floor::{Floor, bracket, entry, limit, market, stop, target, triggered};
use bridge_venue::{CloseReason, Event, Side};

/// A floor at 99/101 where BUY 10 at 101 with stop 95 and target 110 was filled by as much as the quote had.
fn bought(ask_size: i64) -> Floor {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, ask_size));
    floor.send(bracket(limit(1, Side::Buy, 10, 101), 95, 110));
    floor
}

#[test]
fn legs_open_with_the_first_fill_on_the_opposite_side() {
    let mut floor = Floor::open();
    floor.send(bracket(limit(1, Side::Buy, 10, 101), 95, 110));
    assert!(!floor.is_open(stop(1)) && !floor.is_open(target(1)), "nothing is executed yet");
    floor.quote((99, 1), (101, 4));
    for leg in [stop(1), target(1)] {
        assert_eq!(floor.order(leg).remaining_steps(), 4);
        assert_eq!(floor.order(leg).side, Side::Sell);
    }
}

#[test]
fn legs_grow_with_each_fill_of_the_entry() {
    let mut floor = bought(4);
    floor.quote((99, 20), (100, 3));
    assert_eq!(floor.order(stop(1)).total_steps, 7);
    assert_eq!(floor.order(target(1)).total_steps, 7);
}

#[test]
fn a_market_entry_opens_legs_too() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 6));
    floor.send(bracket(market(1, Side::Buy, 10), 95, 110));
    assert_eq!(floor.ended(entry(1)), Some(CloseReason::NoLiquidity));
    assert_eq!(floor.order(stop(1)).remaining_steps(), 6);
}

#[test]
fn the_stop_closes_the_position_and_the_target_is_done() {
    let mut floor = bought(10);
    floor.quote((94, 20), (96, 20));
    assert_eq!(floor.fills(stop(1)), [(10, 94)]);
    assert_eq!(floor.ended(stop(1)), Some(CloseReason::Filled));
    assert_eq!(floor.ended(target(1)), Some(CloseReason::LegDone));
}

#[test]
fn the_target_closes_the_position_and_the_stop_is_done() {
    let mut floor = bought(10);
    floor.quote((111, 20), (112, 20));
    assert_eq!(floor.fills(target(1)), [(10, 111)]);
    assert_eq!(floor.ended(target(1)), Some(CloseReason::Filled));
    assert_eq!(floor.ended(stop(1)), Some(CloseReason::LegDone));
}

#[test]
fn legs_of_a_sell_entry_buy() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 20));
    floor.send(bracket(market(1, Side::Sell, 10), 105, 90));
    floor.quote((104, 20), (106, 20));
    assert_eq!(floor.fills(stop(1)), [(10, 106)]);
}

#[test]
fn a_fill_of_one_leg_reduces_the_other_by_as_much() {
    let mut floor = bought(10);
    floor.quote((94, 3), (96, 20));
    assert_eq!(floor.order(stop(1)).remaining_steps(), 7);
    assert_eq!(floor.order(target(1)).total_steps, 7);
}

#[test]
fn when_one_quote_triggers_both_legs_the_stop_wins() {
    let mut floor = bought(10);
    // The target is moved below the stop, so that every bid in between reaches both.
    floor.quote((99, 20), (150, 1));
    floor.replace(stop(1), None, Some(98));
    floor.quote_sides(None, None);
    floor.replace(target(1), None, Some(90));
    let events = floor.quote((94, 20), (96, 20));
    assert_eq!(triggered(&events), [stop(1)]);
    assert_eq!(floor.fills(stop(1)), [(10, 94)]);
    assert_eq!(floor.fills(target(1)), []);
    assert_eq!(floor.ended(target(1)), Some(CloseReason::LegDone));
}

#[test]
fn a_leg_that_works_at_market_holds_the_other_back_until_it_is_cancelled() {
    let mut floor = bought(10);
    floor.quote((94, 3), (96, 1));
    assert_eq!(triggered(&floor.quote((111, 0), (112, 0))), [], "the stop is closing the position");
    let events = floor.cancel(stop(1));
    assert_eq!(triggered(&events), [target(1)], "now the target may, and its price is there");
    floor.quote((109, 20), (112, 20));
    assert_eq!(floor.fills(target(1)), [(7, 109)]);
}

#[test]
fn a_leg_whose_trigger_is_already_reached_triggers_as_soon_as_the_entry_has_traded() {
    let mut floor = Floor::open();
    floor.quote((94, 20), (101, 6));
    floor.send(bracket(market(1, Side::Buy, 6), 95, 110));
    assert_eq!(floor.fills(entry(1)), [(6, 101)]);
    assert_eq!(floor.fills(stop(1)), [(6, 94)]);
}

#[test]
fn cancelling_the_entry_keeps_the_legs_for_what_it_executed() {
    let mut floor = bought(4);
    floor.cancel(entry(1));
    assert_eq!(floor.order(stop(1)).remaining_steps(), 4);
    floor.quote((111, 20), (112, 20));
    assert_eq!(floor.fills(target(1)), [(4, 111)]);
    assert_eq!(floor.ended(stop(1)), Some(CloseReason::LegDone));
}

#[test]
fn cancelling_an_entry_without_fills_leaves_no_legs() {
    let mut floor = Floor::open();
    floor.send(bracket(limit(1, Side::Buy, 10, 101), 95, 110));
    floor.cancel(entry(1));
    assert_eq!(floor.exchange.orders().count(), 0);
}

#[test]
fn a_cancelled_leg_does_not_grow_again_and_leaves_the_other_alone() {
    let mut floor = bought(4);
    floor.cancel(target(1));
    floor.quote((99, 20), (101, 3));
    assert!(!floor.is_open(target(1)));
    assert_eq!(floor.order(stop(1)).remaining_steps(), 7);
}

#[test]
fn an_entry_with_one_leg_only_gets_that_leg_only() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 20));
    let mut order = market(1, Side::Buy, 5);
    order.take_profit_ticks = Some(110);
    floor.send(order);
    assert!(!floor.is_open(stop(1)));
    floor.quote((110, 20), (111, 20));
    assert_eq!(floor.ended(target(1)), Some(CloseReason::Filled));
}

#[test]
fn legs_that_closed_all_so_far_protect_the_entrys_later_fills_anew() {
    let mut floor = bought(4);
    floor.quote((111, 4), (112, 20));
    assert_eq!(floor.fills(target(1)), [(4, 111)]);
    assert_eq!(floor.ended(target(1)), None, "the entry can still fill");
    floor.quote((99, 20), (101, 6));
    assert_eq!(floor.order(target(1)).remaining_steps(), 6);
    assert_eq!(floor.order(stop(1)).remaining_steps(), 6);
    assert!(!floor.order(target(1)).triggered, "what is new waits for its price");
    floor.quote((90, 20), (91, 20));
    assert_eq!(floor.fills(stop(1)), [(6, 90)]);
}

#[test]
fn legs_with_nothing_left_end_when_their_entry_does() {
    let mut floor = bought(4);
    floor.quote((111, 4), (112, 20));
    let events = floor.cancel(entry(1));
    let closed = |key, reason| Event::Closed { key, reason };
    assert_eq!(
        events,
        [
            closed(entry(1), CloseReason::Cancelled),
            closed(target(1), CloseReason::Filled),
            closed(stop(1), CloseReason::LegDone),
        ]
    );
}

#[test]
fn a_stop_entry_opens_its_legs_once_it_is_triggered_and_filled() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 20));
    floor.send(bracket(crate::floor::stop_loss(1, Side::Buy, 5, 105), 100, 120));
    floor.quote((104, 20), (105, 20));
    assert_eq!(floor.fills(entry(1)), [(5, 105)]);
    assert_eq!(floor.order(stop(1)).remaining_steps(), 5);
}

#[test]
fn a_leg_does_not_trade_with_its_own_entry() {
    let mut floor = Floor::open();
    floor.quote((99, 20), (101, 4));
    floor.send(bracket(limit(1, Side::Buy, 10, 101), 99, 110));
    assert_eq!(floor.best(Side::Buy), Some((101, 6)), "the entry's rest is the best bid");
    assert_eq!(floor.fills(stop(1)), [(4, 99)], "and yet the stop sells to the feed");
}

#[test]
fn an_entry_with_a_new_price_does_not_trade_with_its_own_leg() {
    let mut floor = Floor::open();
    floor.quote((99, 0), (101, 4));
    floor.send(bracket(limit(1, Side::Buy, 10, 101), 99, 110));
    assert!(floor.order(stop(1)).triggered);
    floor.replace(entry(1), None, Some(102));
    assert_eq!(floor.fills(stop(1)), []);
    floor.send(limit(2, Side::Buy, 4, 98));
    assert_eq!(floor.fills(stop(1)), [(4, 98)], "somebody else's bid it takes, although its entry's is better");
}

#[test]
fn two_brackets_that_could_fill_one_another_for_ever_do_so_once_per_quote() {
    let mut floor = Floor::open();
    floor.quote((98, 0), (101, 4));
    floor.send(bracket(limit(1, Side::Buy, 1_000_000, 101), 99, 110));
    let events = floor.send(bracket(limit(2, Side::Buy, 1_000_000, 101), 99, 110));
    assert_eq!(triggered(&events), [stop(2)]);
    for _ in 0..3 {
        let events = floor.quote((98, 0), (102, 0));
        assert!(triggered(&events).len() <= 2 && !triggered(&events).is_empty());
    }
    assert_eq!(floor.order(stop(1)).remaining_steps() + floor.order(stop(2)).remaining_steps(), 4);
}
