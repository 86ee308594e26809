//! Requests and their answers: duplicates, batches, queries, subscriptions, quotes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{CancelAllOrders, Command, Configuration, ExecutionStatus, ReasonCode, Side};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{OpenError, Options, Output, Path, Replay, Reply, Request, Sequencer, UpdateRange, VenueKind};
use support::*;

#[test]
fn the_same_order_on_both_paths_executes_once_and_the_copy_is_counted_on_its_path() {
    let mut rig = Rig::new(options());
    let first = rig.execute(market("a", Side::Buy, "5"));
    rig.path = Path::Grpc;
    let second = rig.execute(market("a", Side::Buy, "5"));
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.reply, second.reply);
    assert_eq!(first.reply.status, ExecutionStatus::Filled);
    assert_eq!((rig.counter("duplicates_zmq"), rig.counter("duplicates_grpc"), rig.counter("orders")), (0, 1, 1));
    assert_eq!(rig.sequencer.health(rig.now).duplicates, 1);
}

#[test]
fn a_duplicate_leaves_no_record() {
    let mut rig = Rig::new(options());
    rig.execute(market("a", Side::Buy, "5"));
    let records = rig.counter("records");
    rig.execute(market("a", Side::Buy, "5"));
    assert_eq!(rig.counter("records"), records);
}

#[test]
fn other_content_under_the_same_id_is_rejected_and_the_first_stands() {
    let mut rig = Rig::new(options());
    rig.execute(market("a", Side::Buy, "5"));
    assert_eq!(rig.execute(market("a", Side::Buy, "6")).reply.code, ReasonCode::DuplicateOrderId);
    assert!(rig.execute(market("a", Side::Buy, "5")).duplicate);
}

#[test]
fn a_batch_is_answered_once_by_index_and_each_order_is_a_record() {
    let mut rig = Rig::new(options());
    let records = rig.counter("records");
    let bad = limit("bad", Side::Buy, "1", "100.005");
    let orders = vec![market("a", Side::Buy, "5"), bad, market("a", Side::Buy, "5"), market("b", Side::Sell, "2")];
    let Reply::Batch(replies) = rig.ask(Request::ExecuteBatch(orders)) else { panic!("not a batch") };
    let ids: Vec<_> = replies.iter().map(|reply| reply.reply.order_id.as_str()).collect();
    assert_eq!(ids, ["a", "bad", "a", "b"]);
    assert_eq!(replies[1].reply.code, ReasonCode::PriceOffTick);
    assert_eq!(replies[1].reply.status, ExecutionStatus::Rejected);
    assert!(replies[2].duplicate && !replies[0].duplicate);
    assert_eq!(rig.counter("records") - records, 3);
}

#[test]
fn an_empty_batch_is_answered_by_an_empty_one() {
    let mut rig = Rig::new(options());
    assert_eq!(rig.ask(Request::ExecuteBatch(Vec::new())), Reply::Batch(Vec::new()));
}

#[test]
fn a_batch_that_is_too_large_or_finds_no_room_is_refused_whole() {
    let limits = Options { max_batch_orders: 3, max_parked_outputs: 2, ..options() };
    let mut rig = Rig::new(limits);
    let records = rig.counter("records");
    let orders = |count| (0..count).map(|i| market(&format!("a{i}"), Side::Buy, "1")).collect();
    assert_eq!(refusal(rig.ask(Request::ExecuteBatch(orders(4)))).code, ReasonCode::BatchTooLarge);
    assert_eq!(refusal(rig.ask(Request::ExecuteBatch(orders(3)))).code, ReasonCode::Busy);
    assert_eq!(rig.counter("records"), records);
    assert_eq!(rig.counter("refused"), 2);
}

#[test]
fn an_order_beyond_the_quota_is_refused_alone_and_fails_inside_a_batch() {
    let configuration = Configuration { foreign_id_quota: 2, ..configuration() };
    let disk = FakeDisk::new(1);
    let (sequencer, _) = Sequencer::open(disk.clone(), options(), configuration, START_NS).unwrap();
    let mut rig = Rig::new(options());
    (rig.sequencer, rig.disk) = (sequencer, disk);
    let orders = ["a", "b", "c"].iter().map(|id| market(id, Side::Buy, "1")).collect();
    let Reply::Batch(replies) = rig.ask(Request::ExecuteBatch(orders)) else { panic!("not a batch") };
    let statuses: Vec<_> = replies.iter().map(|reply| reply.reply.status).collect();
    assert_eq!(statuses, [ExecutionStatus::Filled, ExecutionStatus::Filled, ExecutionStatus::Failed]);
    assert_eq!(replies[2].reply.code, ReasonCode::IdQuotaExceeded);
    assert_eq!(refusal(rig.ask(execute(market("d", Side::Buy, "1")))).code, ReasonCode::IdQuotaExceeded);
}

#[test]
fn a_fence_ends_an_unknown_id_and_is_a_record() {
    let mut rig = Rig::new(options());
    let records = rig.counter("records");
    assert!(matches!(rig.ask(get("a", true)), Reply::GetOrder(reply) if reply.fenced && !reply.found));
    assert_eq!(rig.counter("records") - records, 1);
    assert_eq!(rig.execute(market("a", Side::Buy, "1")).reply.code, ReasonCode::Fenced);
    assert_eq!(rig.sequencer.health(rig.now).duplicates, 0);
}

#[test]
fn a_cancelled_order_is_closed_once_however_often_the_command_comes() {
    let mut rig = Rig::new(options());
    assert_eq!(rig.execute(limit("a", Side::Buy, "5", "50.00")).reply.status, ExecutionStatus::Pending);
    let Reply::OrderCommand(first) = rig.ask(cancel("c1", "a")) else { panic!() };
    let Reply::OrderCommand(second) = rig.ask(cancel("c1", "a")) else { panic!() };
    assert_eq!((first.code, first.duplicate, second.duplicate), (ReasonCode::None, false, true));
    assert_eq!(first.order, second.order);
    assert_eq!(first.order.unwrap().status, ExecutionStatus::Cancelled);
}

#[test]
fn of_one_message_the_last_quote_of_a_symbol_counts_and_is_published_when_durable() {
    let mut rig = Rig::new(options());
    rig.execute(limit("a", Side::Buy, "5", "99.00"));
    let quotes = vec![quote("98.00", "98.50", "10"), quote("99.50", "99.60", "10")];
    rig.submit(publish("q1", quotes));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(rig.outputs(), []);
    rig.finish(job);
    let outputs = rig.outputs();
    let market: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Market(data) => Some((data.symbol.as_str(), data.bid)),
            _ => None,
        })
        .collect();
    assert_eq!(market, [("ACME", Some(decimal("99.50")))]);
    let Reply::GetOrder(order) = rig.ask(get("a", false)) else { panic!() };
    assert_eq!(order.order.unwrap().status, ExecutionStatus::Pending, "the first quote never traded");
}

#[test]
fn a_subscriber_gets_what_it_missed_and_then_what_comes_without_a_hole() {
    let mut rig = Rig::new(options());
    rig.execute(market("a", Side::Buy, "5"));
    let seen = 1;
    let token = rig.submit(Request::Subscribe { account: String::new(), resume_from: Some(seen), accept_gaps: false });
    rig.submit(execute(market("b", Side::Buy, "5")));
    let outputs = rig.turn();
    let position = outputs.iter().position(|output| matches!(output, Output::Reply { token: t, .. } if *t == token));
    let Some(Reply::Subscribed { last_sequence, replay: Replay::Whole { after }, .. }) = reply_to(&outputs, token)
    else {
        panic!("not subscribed")
    };
    assert_eq!(after, seen);
    let missed = UpdateRange { account: "default".into(), first: after + 1, last: last_sequence };
    let missed: Vec<_> = rig.sequencer.updates(&missed).collect();
    let later = rig.updates(&outputs[position.unwrap()..]);
    let later = later.iter().map(|update| update.sequence);
    let sequences: Vec<u64> = missed.iter().map(|update| update.sequence).chain(later).collect();
    let expected: Vec<u64> = (seen + 1..=rig.sequencer.last_sequence("")).collect();
    assert_eq!(sequences, expected);
    assert!(expected.contains(&(last_sequence + 1)));
}

#[test]
fn open_orders_are_listed_in_pages_that_wait_for_the_disk() {
    let mut rig = Rig::new(options());
    let orders: Vec<_> = (0..300).map(|n| limit(&format!("o{n}"), Side::Buy, "1", "50.00")).collect();
    rig.submit(Request::ExecuteBatch(orders));
    let listed = |after: &str| Request::ListOpenOrders { account: String::new(), after_order_id: after.into() };
    let token = rig.submit(listed(""));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(reply_to(&rig.outputs(), token), None, "it tells of orders that are not durable yet");
    rig.finish(job);
    let Some(Reply::OpenOrders(first)) = reply_to(&rig.outputs(), token) else { panic!("no page") };
    assert_eq!((first.orders.len(), first.more, first.last_sequence), (256, true, 300));
    let Reply::OpenOrders(rest) = rig.ask(listed("o255")) else { panic!("no page") };
    assert_eq!((rest.orders.len(), rest.more), (44, false));
    assert_eq!(rest.orders[0].order_id, "o256");
}

#[test]
fn pages_that_wait_for_the_disk_are_bounded() {
    let mut rig = Rig::new(options());
    let orders: Vec<_> = (0..256).map(|n| limit(&format!("o{n}"), Side::Buy, "1", "50.00")).collect();
    rig.submit(Request::ExecuteBatch(orders));
    let list = || Request::ListOpenOrders { account: String::new(), after_order_id: String::new() };
    let tokens: Vec<_> = (0..300).map(|_| rig.submit(list())).collect();
    let early = rig.outputs();
    let busy = tokens.iter().filter_map(|token| reply_to(&early, *token)).map(|reply| refusal(reply).code);
    assert_eq!(busy.collect::<Vec<_>>(), vec![ReasonCode::Busy; 44], "256 pages of 256 orders wait");
    rig.turn();
    assert!(matches!(rig.ask(list()), Reply::OpenOrders(page) if page.orders.len() == 256), "there is room again");
}

#[test]
fn a_resume_point_beyond_the_last_update_is_refused_loudly() {
    let mut rig = Rig::new(options());
    let beyond = Request::Subscribe { account: String::new(), resume_from: Some(99), accept_gaps: true };
    assert_eq!(refusal(rig.ask(beyond)).code, ReasonCode::StateRegressed);
}

#[test]
fn the_updates_of_another_account_are_not_given_out() {
    let mut rig = Rig::new(options());
    let other = Request::Subscribe { account: "other".into(), resume_from: None, accept_gaps: true };
    assert_eq!(refusal(rig.ask(other)).code, ReasonCode::PermissionDenied);
}

#[test]
fn each_start_has_its_epoch_and_an_unchanged_configuration_is_not_recorded_again() {
    let rig = Rig::new(options());
    assert_eq!((rig.sequencer.epoch(), rig.counter("records")), (1, 2));
    let (id, hash) = (rig.sequencer.journal_id(), rig.state_hash());
    let again = rig.after_crash(options());
    assert_eq!((again.sequencer.epoch(), again.counter("records")), (2, 1));
    assert_eq!((again.sequencer.journal_id(), again.state_hash()), (id, hash));
}

#[test]
fn an_invalid_configuration_and_another_kind_of_venue_do_not_open() {
    let rig = Rig::new(options());
    let mut bad = configuration();
    bad.instruments[0].tick = decimal("0");
    let opened = Sequencer::open(rig.disk.kill(), options(), bad, START_NS);
    assert!(matches!(opened.err(), Some(OpenError::Configuration(_))));
    let external = Options { venue: VenueKind::External { ack_timeout_ms: 1 }, ..options() };
    let opened = Sequencer::open(rig.disk.kill(), external, configuration(), START_NS);
    assert!(matches!(opened.err(), Some(OpenError::OtherVenue { recorded: "an embedded" })));
}

#[test]
fn engine_time_never_goes_back() {
    let mut rig = Rig::new(options());
    let first = rig.execute(market("a", Side::Buy, "1")).reply.execution_time_ns.unwrap();
    rig.now -= 1_000 * MS;
    let second = rig.execute(market("b", Side::Buy, "1")).reply.execution_time_ns.unwrap();
    assert!(second >= first);
    let mut again = rig.after_crash(options());
    assert!(again.execute(market("c", Side::Buy, "1")).reply.execution_time_ns.unwrap() >= second);
}

#[test]
fn one_cancel_of_more_orders_than_the_history_holds_is_told_whole() {
    let configuration = Configuration { update_history: 3, ..configuration() };
    let limits = Options { update_lag: 5, ..options() };
    let mut rig = Rig::configured(FakeDisk::new(1), limits, configuration, START_NS);
    for number in 0..20 {
        rig.execute(limit(&format!("bid-{number}"), Side::Buy, "1", "1"));
    }
    let (command_id, account) = ("all".into(), "default".into());
    rig.submit(Request::Command(Command::CancelAll(CancelAllOrders {
        command_id,
        account,
        ..CancelAllOrders::default()
    })));
    let outputs = rig.turn();
    let told = |rig: &Rig| rig.updates(&outputs).iter().map(|update| update.sequence).collect::<Vec<_>>();
    assert_eq!(told(&rig), (21..=40).collect::<Vec<_>>());
    rig.execute(limit("next", Side::Buy, "1", "1"));
    assert_eq!(told(&rig), (33..=40).collect::<Vec<_>>(), "3 to replay and 5 of lag besides the newest");
}
