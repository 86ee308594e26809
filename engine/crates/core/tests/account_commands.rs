//! Trading states, cancel-all, updates that are resumed, quotes and configurations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

#[test]
fn halted_refuses_new_orders_and_lets_cancels_through() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.set_state(TradingState::Halted, false);
    let reply = desk.reply_to(limit("b"));
    assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, ReasonCode::TradingHalted));
    let grow = desk.replace("a", 1, Some("11"), None);
    assert_eq!(order_command_reply(desk.send(grow)).code, ReasonCode::TradingHalted);
    let cancel = desk.cancel("a");
    assert!(desk.send(cancel).waits_for.is_some());
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    desk.set_state(TradingState::Active, false);
    desk.work(limit("c"));
    assert!(desk.recovered().state_hash() == desk.core.state_hash());
}

#[test]
fn a_halt_that_cancels_says_how_many() {
    let mut desk = Desk::open();
    let (a, b) = (desk.work(limit("a")), desk.work(limit("b")));
    desk.core.take_concluded();
    let outcome = desk.set_state(TradingState::Halted, true);
    assert!(outcome.reply.is_none(), "waits for the venue");
    desk.reports(&[closed(a, ReasonCode::CancelledByClient)]);
    assert!(desk.core.take_concluded().is_empty());
    desk.fill(b, 10_000, 10_000);
    let reply = desk.concluded_command();
    assert_eq!((reply.code, reply.affected), (ReasonCode::None, 1), "the other one filled");
}

#[test]
fn reducing_lets_through_only_what_strictly_reduces_with_all_that_is_open() {
    let mut desk = Desk::open();
    desk.hold(10_000);
    desk.set_state(TradingState::Reducing, false);
    let refused = |desk: &mut Desk, order: Order| assert_eq!(desk.reply_to(order).code, ReasonCode::ReduceOnly);
    refused(&mut desk, limit("buys more"));
    refused(&mut desk, sell("turns it over", "10.001"));
    refused(&mut desk, Order { symbol: "SP500".into(), ..sell("another symbol", "1") });
    refused(&mut desk, Order { stop_loss: Some(decimal("110")), ..sell("has a leg", "1") });
    let key = desk.work(sell("a", "6"));
    refused(&mut desk, sell("with the open one", "4.001"));
    desk.work(sell("b", "4"));
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    desk.work(sell("c", "6"));

    let grow = desk.replace("c", 1, Some("7"), None);
    assert_eq!(order_command_reply(desk.send(grow)).code, ReasonCode::ReduceOnly);
    let shrink = desk.replace("c", 1, Some("5"), None);
    assert!(desk.send(shrink).waits_for.is_some());
}

#[test]
fn reducing_lets_a_stop_move_and_holds_what_would_open_where_it_is() {
    let mut desk = Desk::open();
    desk.hold(10_000);
    desk.work(sell("a", "6"));
    desk.work(sell("b", "4"));
    desk.work(limit("opens"));
    desk.set_state(TradingState::Reducing, false);
    let closer = desk.replace("a", 1, None, Some("99"));
    assert!(desk.send(closer).waits_for.is_some());
    let closer = desk.replace("opens", 1, None, Some("101"));
    assert_eq!(order_command_reply(desk.send(closer)).code, ReasonCode::ReduceOnly);
}

#[test]
fn reducing_holds_an_order_where_it_is_that_is_larger_than_the_position() {
    let mut desk = Desk::open();
    let short = desk.work(sell("short", "5"));
    desk.fill(short, 5_000, 10_000);
    desk.work(Order { quantity: Some(decimal("6")), ..limit("far away") });
    desk.set_state(TradingState::Reducing, false);
    let closer = desk.replace("far away", 1, None, Some("101"));
    assert_eq!(order_command_reply(desk.send(closer)).code, ReasonCode::ReduceOnly);
    let smaller_and_closer = desk.replace("far away", 1, Some("5"), Some("101"));
    assert!(desk.send(smaller_and_closer).waits_for.is_some());
}

#[test]
fn reducing_counts_two_legs_of_one_position_once() {
    let mut desk = Desk::open();
    let order = Order { stop_loss: Some(decimal("90")), take_profit: Some(decimal("110")), ..limit("a") };
    let key = desk.work(order);
    let [stop, target] = [Part::Stop, Part::Target].map(|part| VenueKey::new(key.order(), part));
    let fill = desk.filled(key, 10_000, 10_000);
    desk.reports(&[
        fill,
        VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 6_000 },
        VenueReport::LegOpened { key: target, trigger_ticks: 11_000, quantity_steps: 6_000 },
    ]);
    desk.set_state(TradingState::Reducing, false);
    assert_eq!(desk.reply_to(sell("too much", "4.001")).code, ReasonCode::ReduceOnly);
    desk.work(sell("fits", "4"));
}

#[test]
fn a_short_position_is_reduced_by_buying() {
    let mut desk = Desk::open();
    let key = desk.work(sell("short", "5"));
    desk.fill(key, 5_000, 10_000);
    desk.set_state(TradingState::Reducing, false);
    assert_eq!(desk.reply_to(sell("more", "1")).code, ReasonCode::ReduceOnly);
    desk.work(Order { quantity: Some(decimal("5")), ..limit("back") });
}

#[test]
fn a_trading_state_must_be_named() {
    let mut desk = Desk::open();
    let set = SetTradingState { command_id: "c".into(), ..SetTradingState::default() };
    let Some(CommandOutcome::Command(reply)) = desk.send(Command::SetTradingState(set)).reply else { panic!("waits") };
    assert_eq!((reply.code, reply.field.as_str()), (ReasonCode::MissingField, "state"));
}

fn cancel_all(id: &str, symbol: &str) -> Command {
    Command::CancelAll(CancelAllOrders { command_id: id.into(), symbol: symbol.into(), ..Default::default() })
}

#[test]
fn cancel_all_cancels_the_symbol_or_everything() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let other = desk.work(Order { symbol: "SP500".into(), ..limit("b") });
    desk.core.take_concluded();
    desk.send(cancel_all("one", "SP500"));
    let cancel = Effect::Venue(VenueCommand::Cancel { key: other });
    assert_eq!(desk.effects.iter().filter(|effect| **effect == cancel).count(), 1);
    desk.reports(&[closed(other, ReasonCode::CancelledByClient)]);
    assert_eq!(desk.concluded_command().affected, 1);

    let Some(CommandOutcome::Command(none)) = desk.send(cancel_all("two", "SP500")).reply else { panic!("waits") };
    assert_eq!((none.code, none.affected), (ReasonCode::None, 0));
    let Some(CommandOutcome::Command(unknown)) = desk.send(cancel_all("three", "DAX")).reply else { panic!("waits") };
    assert_eq!((unknown.code, unknown.field.as_str()), (ReasonCode::UnknownSymbol, "symbol"));
    assert!(desk.send(cancel_all("four", "")).waits_for.is_some());
}

#[test]
fn a_subscriber_resumes_where_it_was_or_learns_of_the_gap() {
    let mut desk = Desk::open_with(Configuration { update_history: 3, ..configuration() });
    let first = desk.work(limit("a"));
    for id in ["b", "c", "d", "e"] {
        desk.work(limit(id));
    }
    desk.reports(&[closed(first, ReasonCode::CancelledByClient)]);
    assert_eq!(desk.core.updates_since("default", 3), Replay::Whole { after: 3 });
    assert_eq!(sequences(&desk, 4, 6), [4, 5, 6]);
    assert_eq!(desk.core.updates_since("default", 6), Replay::Whole { after: 6 });
    assert_eq!(desk.core.updates_since("default", 7), Replay::Regressed);
    let Replay::Gap { first, last, open } = desk.core.updates_since("default", 2) else { panic!("no gap") };
    assert_eq!((first, last), (3, 3), "what can no longer be replayed, and nothing else");
    let snapshot: Vec<_> = desk.core.snapshot(&open).collect();
    let told: Vec<_> = snapshot.iter().map(|update| (update.order.order_id.as_str(), update.sequence)).collect();
    assert_eq!(told, [("b", 2), ("c", 3), ("d", 4), ("e", 5)]);
    assert!(snapshot.iter().all(|update| update.snapshot && update.order.sequence == update.sequence));
}

#[test]
fn a_snapshot_that_is_put_in_words_late_leaves_out_what_has_closed_and_tells_the_rest_as_it_is() {
    let mut desk = Desk::open_with(Configuration { update_history: 0, ..configuration() });
    let closing = desk.work(limit("a"));
    desk.work(limit("b"));
    let Replay::Gap { open, .. } = desk.core.updates_since("default", 0) else { panic!("no gap") };
    assert_eq!(open.len(), 2);
    desk.reports(&[closed(closing, ReasonCode::CancelledByClient)]);
    let told: Vec<_> = desk.core.snapshot(&open).map(|update| update.order.order_id.to_string()).collect();
    assert_eq!(told, ["b"]);
}

#[test]
fn what_a_subscriber_has_not_reached_is_kept_beyond_the_history() {
    let mut desk = Desk::open_with(Configuration { update_history: 1, ..configuration() });
    for id in ["a", "b", "c"] {
        desk.work(limit(id));
    }
    assert_eq!(sequences(&desk, 1, 3), [3], "nobody lags");
    for id in ["d", "e", "f"] {
        let rejected = Input::Command(Command::Execute(Order { quantity: None, ..limit(id) }));
        desk.core.apply(&rejected, desk.now, &mut Vec::new(), &mut Vec::new());
        let ranges: Vec<_> = desk.core.take_new_updates().collect();
        ranges.iter().for_each(|range| desk.core.release_updates(range, 2));
    }
    assert_eq!(desk.core.last_sequence("default"), 6);
    assert_eq!(sequences(&desk, 1, 6), [4, 5, 6], "one that can be replayed, and two for who lags");
    assert!(matches!(desk.core.updates_since("default", 4), Replay::Gap { last: 5, .. }), "they are not for resuming");
}

fn sequences(desk: &Desk, first: u64, last: u64) -> Vec<u64> {
    let range = UpdateRange { account: "default".into(), first, last };
    desk.core.updates(&range).map(|update| update.sequence).collect()
}

fn quote(symbol: &str, bid: &str, ask: &str) -> Quote {
    Quote {
        symbol: symbol.into(),
        bid: Some(decimal(bid)),
        ask: Some(decimal(ask)),
        bid_size: Some(decimal("5")),
        ask_size: Some(decimal("0")),
        ..Quote::default()
    }
}

fn publish(desk: &mut Desk, quotes: Vec<Quote>) -> CommandReply {
    let command_id = desk.command_id();
    let publish = PublishQuotes { command_id, quotes, ..PublishQuotes::default() };
    match desk.send(Command::PublishQuotes(publish)).reply {
        Some(CommandOutcome::Command(reply)) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

#[test]
fn of_one_message_the_last_quote_of_a_symbol_counts() {
    let mut desk = Desk::open();
    let last = Quote { last_price: Some(decimal("99.995")), timestamp_ns: Some(7), ..quote("NASDAQ", "99", "101") };
    let reply = publish(&mut desk, vec![quote("NASDAQ", "98", "99"), quote("SP500", "1", "2"), last]);
    assert_eq!((reply.code, reply.affected), (ReasonCode::None, 2));
    let level = |price_ticks, quantity_steps| Some(Level { price_ticks, quantity_steps });
    let told = VenueCommand::Quote { symbol: 0, bid: level(9_900, 5_000), ask: level(10_100, 0) };
    assert_eq!(desk.effects[0], Effect::Venue(told));
    let Effect::Market(market) = &desk.effects[1] else { panic!("no market data") };
    assert_eq!(
        (market.symbol.as_str(), market.last_price, market.timestamp_ns),
        ("NASDAQ", Some(decimal("99.995")), 7)
    );
    let Effect::Market(market) = &desk.effects[3] else { panic!("no market data") };
    assert_eq!((market.symbol.as_str(), market.timestamp_ns), ("SP500", START_NS));
    assert_eq!(desk.effects.len(), 4);
}

#[test]
fn one_bad_quote_refuses_the_message_and_names_the_field() {
    let mut desk = Desk::open();
    let good = || quote("NASDAQ", "99", "101");
    for (bad, code, field) in [
        (quote("DAX", "1", "2"), ReasonCode::UnknownSymbol, "quotes[1].symbol"),
        (quote("SP500", "2", "2"), ReasonCode::InvalidField, "quotes[1].bid"),
        (quote("SP500", "1.001", "2"), ReasonCode::PriceOffTick, "quotes[1].bid"),
        (quote("SP500", "1", "2.001"), ReasonCode::PriceOffTick, "quotes[1].ask"),
        (Quote { bid_size: Some(decimal("0.0001")), ..good() }, ReasonCode::QuantityOffStep, "quotes[1].bid_size"),
        (Quote { ask_size: Some(decimal("-1")), ..good() }, ReasonCode::InvalidField, "quotes[1].ask_size"),
        (Quote { ask_size: None, ..good() }, ReasonCode::MissingField, "quotes[1].ask_size"),
        (Quote { bid: None, ..good() }, ReasonCode::MissingField, "quotes[1].bid"),
        (Quote { volume: Some(decimal("-1")), ..good() }, ReasonCode::InvalidField, "quotes[1].volume"),
    ] {
        let reply = publish(&mut desk, vec![good(), bad]);
        assert_eq!((reply.code, reply.field.as_str(), reply.affected), (code, field, 0));
    }
    assert_eq!(publish(&mut desk, Vec::new()).code, ReasonCode::MissingField);
    let negative = publish(&mut desk, vec![Quote { ask_size: Some(decimal("-1")), ..good() }]);
    assert_eq!(negative.message, "quotes[0].ask_size is -1, and must not be negative", "0 is allowed");
    assert!(desk.effects.is_empty());
}

#[test]
fn instruments_that_are_new_open_with_their_quote() {
    let mut with_quote = configuration();
    with_quote.instruments[1].opening_quote = Some(Quote { symbol: String::new(), ..quote("", "10", "11") });
    let mut core = Core::new();
    let (mut events, mut effects) = (Vec::new(), Vec::new());
    core.apply(&Input::Configured(with_quote.clone()), START_NS, &mut events, &mut effects);
    assert_eq!(effects[0], Effect::Venue(VenueCommand::AddInstrument { symbol: 0 }));
    assert_eq!(effects[1], Effect::Venue(VenueCommand::AddInstrument { symbol: 1 }));
    assert!(matches!(effects[2], Effect::Venue(VenueCommand::Quote { symbol: 1, .. })));
    assert!(matches!(&effects[3], Effect::Market(market) if market.symbol == "SP500"));
    effects.clear();
    core.apply(&Input::Configured(with_quote), START_NS, &mut events, &mut effects);
    assert!(effects.is_empty(), "they are there already");
}

#[test]
fn an_instrument_with_orders_may_not_vanish_or_change() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let mut other_tick = configuration();
    other_tick.instruments[0].tick = decimal("0.05");
    let error = desk.core.check_configuration(&other_tick).unwrap_err();
    assert_eq!(error.field, "instruments[0].tick");
    let mut missing = configuration();
    missing.instruments.remove(0);
    assert_eq!(desk.core.check_configuration(&missing).unwrap_err().field, "instruments");
    let hash = desk.core.state_hash();
    desk.apply(&Input::Configured(missing));
    assert!(desk.core.instrument(0).is_some() && desk.core.state_hash() == hash);

    let mut without_orders = configuration();
    without_orders.instruments.remove(1);
    desk.core.check_configuration(&without_orders).unwrap();
    desk.apply(&Input::Configured(without_orders));
    assert_eq!(desk.effects.last(), Some(&Effect::Venue(VenueCommand::Quote { symbol: 1, bid: None, ask: None })));
    assert_eq!(desk.reply_to(Order { symbol: "SP500".into(), ..limit("b") }).code, ReasonCode::UnknownSymbol);
}

#[test]
fn a_wrong_configuration_names_the_field() {
    type Spoil = fn(&mut Configuration);
    let cases: &[(&str, Spoil)] = &[
        ("instruments", |one| one.instruments.clear()),
        ("instruments[0].symbol", |one| one.instruments[0].symbol = "NAS DAQ".into()),
        ("instruments[1].symbol", |one| one.instruments[1].symbol = "NASDAQ".into()),
        ("instruments[0].tick", |one| one.instruments[0].tick = Decimal::ZERO),
        ("instruments[1].quantity_step", |one| one.instruments[1].quantity_step = decimal("-0.1")),
        ("instruments[0].tick", |one| one.instruments[0].tick = decimal("0.12345678")),
        ("instruments[0].opening_quote.bid", |one| one.instruments[0].opening_quote = Some(quote("", "2", "1"))),
        ("instruments[0].opening_quote.symbol", |one| one.instruments[0].opening_quote = Some(quote("DAX", "1", "2"))),
        ("retention_ms", |one| one.retention_ms = 0),
        ("max_skew_ms", |one| one.max_skew_ms = u64::MAX),
        ("update_history", |one| one.update_history = u32::MAX),
    ];
    configuration().validate().unwrap();
    for (field, spoil) in cases {
        let mut wrong = configuration();
        spoil(&mut wrong);
        assert_eq!(wrong.validate().unwrap_err().field, *field);
    }
}

#[test]
fn the_epoch_and_the_configuration_are_not_in_the_state_hash() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let hash = desk.core.state_hash();
    desk.apply(&Input::Started { epoch: 9 });
    desk.apply(&Input::Configured(Configuration { foreign_id_quota: 7, ..configuration() }));
    assert_eq!((desk.core.state_hash(), desk.core.epoch()), (hash, 9));
    desk.send(Command::Fence(FenceOrder { order_id: "b".into(), ..FenceOrder::default() }));
    assert_ne!(desk.core.state_hash(), hash);
}
