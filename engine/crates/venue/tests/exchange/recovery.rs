//! Recovery: events alone rebuild the book.

use crate::floor::{Floor, bracket, entry, limit, market, stop, stop_loss};
use bridge_venue::{Answer, Command, Event, Exchange, External, Side, Venue};

/// A floor with something of everything.
fn busy() -> Floor {
    let mut floor = Floor::open();
    floor.quote((99, 5), (101, 5));
    floor.send(bracket(limit(1, Side::Buy, 8, 101), 95, 110));
    floor.send(limit(2, Side::Sell, 8, 103));
    floor.send(stop_loss(3, Side::Sell, 4, 90));
    floor.send(stop_loss(4, Side::Buy, 20, 102));
    floor.replace(entry(2), Some(6), Some(104));
    floor.quote((97, 2), (102, 5));
    floor.cancel(stop(1));
    floor
}

fn folded(events: &[Event]) -> Exchange {
    let mut exchange = Exchange::new();
    for event in events {
        exchange.fold(event);
    }
    exchange
}

#[test]
fn folding_the_recorded_events_gives_the_same_hash() {
    let mut floor = busy();
    assert_eq!(folded(&floor.history).state_hash(), floor.exchange.state_hash());
}

#[test]
fn a_recovered_exchange_goes_on_exactly_like_the_one_that_never_stopped() {
    let mut floor = busy();
    let mut recovered = folded(&floor.history);
    let commands = [Command::New(market(9, Side::Buy, 20)), Command::Cancel { key: entry(3) }];
    for command in commands {
        let mut events = Vec::new();
        recovered.execute(&command, &mut events);
        assert_eq!(events, floor.run(command));
    }
    assert_eq!(recovered.state_hash(), floor.exchange.state_hash());
}

#[test]
fn a_lost_event_shows_in_the_hash() {
    let mut floor = busy();
    // Of a trade whose two parties have ended nothing is left; here one party of each trade is still open.
    for lost in 0..floor.history.len() {
        let mut events = floor.history.clone();
        events.remove(lost);
        assert_ne!(folded(&events).state_hash(), floor.exchange.state_hash(), "without {:?}", floor.history[lost]);
    }
}

#[test]
fn two_orders_in_another_order_of_time_give_another_hash() {
    let hash = |first, second| {
        let mut floor = Floor::open();
        floor.send(limit(first, Side::Buy, 5, 100));
        floor.send(limit(second, Side::Buy, 5, 100));
        floor.exchange.state_hash()
    };
    assert_ne!(hash(1, 2), hash(2, 1));
}

#[test]
fn the_hash_is_the_same_on_every_machine() {
    // Written down once. A change here breaks every journal that carries a hash: it needs a new format version.
    let written = |hash: u128| format!("{hash:032x}");
    assert_eq!(written(Exchange::new().state_hash()), "9052da69c02c98d050d82082657d1d21");
    assert_eq!(written(busy().exchange.state_hash()), "a755293e9fa9341b4967739b5886023c");
}

#[test]
fn events_survive_the_journals_encoding_and_are_small() {
    for event in busy().history {
        let bytes = postcard::to_allocvec(&event).unwrap();
        assert!(bytes.len() <= 32, "{event:?} takes {} bytes", bytes.len());
        assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event);
    }
}

#[test]
fn events_that_fit_no_state_do_not_panic() {
    let history = busy().history;
    let mut exchange = folded(&history);
    for event in history.iter().rev().chain(&history) {
        exchange.fold(event);
    }
    assert_eq!(exchange.state_hash(), exchange.recomputed_state_hash());
}

#[test]
fn the_embedded_venue_answers_now_and_an_external_one_once_the_intent_is_durable() {
    let mut events = Vec::new();
    let command = Command::AddInstrument { symbol: 0 };
    assert_eq!(Venue::execute(&mut Exchange::new(), &command, &mut events), Answer::Now);
    assert_eq!(events.len(), 1);
    assert_eq!(External.execute(&command, &mut events), Answer::AfterDurable);
    assert_eq!(events.len(), 1);
}
