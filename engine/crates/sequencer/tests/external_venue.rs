//! A venue outside: nothing is sent before its intent is durable, nothing twice, and what is unknown is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{ExecutionStatus, ReasonCode, Side, VenueCommand, VenueReport};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{Options, Output, Reply, Request, Sequencer, VenueKind, verify};
use support::venue::{FarVenue, questions, sends};
use support::*;

const ACK_TIMEOUT_MS: u64 = 500;

fn external() -> Options {
    Options { venue: VenueKind::External { ack_timeout_ms: ACK_TIMEOUT_MS }, ..options() }
}

/// A new engine and a venue that knows its instrument and opening quote.
fn engine_and_venue() -> (Rig, FarVenue) {
    let disk = FakeDisk::new(7);
    let (mut sequencer, _) = Sequencer::open(disk.clone(), external(), configuration(), START_NS).unwrap();
    let mut venue = FarVenue::default();
    while let Some(output) = sequencer.next_output() {
        if let Output::SendToVenue(command) = output {
            venue.receive(&command);
        }
    }
    let mut rig = Rig::new(options());
    (rig.sequencer, rig.disk, rig.now) = (sequencer, disk, START_NS);
    (rig, venue)
}

fn carry(rig: &mut Rig, venue: &mut FarVenue, outputs: &[Output]) -> Vec<Output> {
    for command in sends(outputs) {
        for report in venue.receive(&command) {
            rig.sequencer.venue_report(report, rig.now).unwrap();
        }
    }
    rig.turn()
}

fn reconcile(rig: &mut Rig, venue: &mut FarVenue) -> usize {
    rig.sequencer.reconcile();
    let outputs = rig.turn();
    assert_eq!(sends(&outputs), [], "nothing is sent again");
    let questions = questions(&outputs);
    for question in &questions {
        let answer = venue.answer(question.clone());
        rig.sequencer.venue_answer(question.key, answer, rig.now).unwrap();
    }
    rig.turn();
    assert_eq!(rig.sequencer.unreported_intents(), []);
    questions.len()
}

#[test]
fn an_order_is_sent_when_its_intent_is_durable_and_answered_by_the_first_report() {
    let (mut rig, mut venue) = engine_and_venue();
    let token = rig.submit(execute(market("a", Side::Buy, "5")));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(rig.outputs(), [], "nothing is sent before the intent is durable");
    rig.finish(job);
    let outputs = rig.outputs();
    assert!(matches!(sends(&outputs)[..], [VenueCommand::New(_)]));
    assert_eq!(reply_to(&outputs, token), None, "the call waits for the venue");
    for report in venue.receive(&sends(&outputs)[0]) {
        rig.sequencer.venue_report(report, rig.now).unwrap();
    }
    assert_eq!(rig.outputs(), [], "nor is it answered before the report is durable");
    let outputs = rig.turn();
    let Some(Reply::Execute(reply)) = reply_to(&outputs, token) else { panic!("not answered: {outputs:?}") };
    assert_eq!((reply.reply.status, reply.duplicate), (ExecutionStatus::Pending, false));
    let Reply::GetOrder(now) = rig.ask(get("a", false)) else { panic!() };
    assert_eq!(now.order.unwrap().status, ExecutionStatus::Filled);
    verify(&rig.disk).expect("verifies");
}

#[test]
fn copies_of_a_running_order_get_its_reply_when_it_is_concluded() {
    let (mut rig, mut venue) = engine_and_venue();
    let first = rig.submit(execute(market("a", Side::Buy, "5")));
    let outputs = rig.turn();
    let second = rig.submit(execute(market("a", Side::Buy, "5")));
    let nothing = rig.turn();
    assert_eq!(sends(&nothing), [], "one order, one send");
    assert_eq!(reply_to(&nothing, second), None);
    let outputs = carry(&mut rig, &mut venue, &outputs);
    let (Some(Reply::Execute(one)), Some(Reply::Execute(two))) =
        (reply_to(&outputs, first), reply_to(&outputs, second))
    else {
        panic!("not both answered")
    };
    assert_eq!(one.reply, two.reply);
    assert!(!one.duplicate && two.duplicate);
    assert_eq!(rig.counter("waiting_calls"), 0);
}

#[test]
fn a_batch_is_answered_when_its_last_order_is() {
    let (mut rig, mut venue) = engine_and_venue();
    let orders = vec![market("a", Side::Buy, "1"), limit("bad", Side::Buy, "1", "1.001"), market("b", Side::Buy, "2")];
    let token = rig.submit(Request::ExecuteBatch(orders));
    let outputs = rig.turn();
    let commands = sends(&outputs);
    assert_eq!(commands.len(), 2);
    for (index, command) in commands.iter().enumerate() {
        assert_eq!(reply_to(&rig.outputs(), token), None);
        for report in venue.receive(command) {
            rig.sequencer.venue_report(report, rig.now).unwrap();
        }
        let answered = reply_to(&rig.turn(), token);
        assert_eq!(answered.is_some(), index == 1);
        if let Some(Reply::Batch(replies)) = answered {
            let ids: Vec<_> = replies.iter().map(|reply| reply.reply.order_id.as_str()).collect();
            assert_eq!(ids, ["a", "bad", "b"]);
        }
    }
}

#[test]
fn a_venue_that_is_silent_ends_the_call_as_pending_and_that_reply_stays() {
    let (mut rig, mut venue) = engine_and_venue();
    let token = rig.submit(execute(market("a", Side::Buy, "5")));
    let sent = rig.turn();
    let deadline = rig.sequencer.next_deadline().expect("a time limit runs");
    assert_eq!(deadline, rig.now + ACK_TIMEOUT_MS as i64 * MS);
    rig.sequencer.on_time(deadline - 1);
    assert_eq!(reply_to(&rig.turn(), token), None);
    rig.sequencer.on_time(deadline);
    let Some(Reply::Execute(reply)) = reply_to(&rig.turn(), token) else { panic!("not answered in time") };
    assert_eq!(reply.reply.status, ExecutionStatus::Pending);
    assert!(!has_time_limit(&rig));
    let updates = carry(&mut rig, &mut venue, &sent);
    assert!(updates.iter().any(|output| matches!(output, Output::Updates(_))), "the late report is an update");
    rig.now = deadline;
    let again = rig.execute(market("a", Side::Buy, "5"));
    assert!(again.duplicate);
    assert_eq!(again.reply, reply.reply);
}

#[test]
fn a_cancel_ends_with_the_venues_word() {
    let (mut rig, mut venue) = engine_and_venue();
    rig.submit(execute(limit("a", Side::Buy, "5", "50.00")));
    let sent = rig.turn();
    carry(&mut rig, &mut venue, &sent);
    let token = rig.submit(cancel("c", "a"));
    let outputs = rig.turn();
    assert_eq!(reply_to(&outputs, token), None);
    let outputs = carry(&mut rig, &mut venue, &outputs);
    let Some(Reply::OrderCommand(reply)) = reply_to(&outputs, token) else { panic!("not answered") };
    assert_eq!(reply.order.unwrap().status, ExecutionStatus::Cancelled);
}

#[test]
fn calls_that_wait_for_the_venue_are_bounded() {
    let (mut rig, _) = engine_and_venue();
    let disk = rig.disk.kill();
    let few = Options { max_waiting_calls: 3, ..external() };
    (rig.sequencer, _) = Sequencer::open(disk, few, configuration(), rig.now).unwrap();
    for id in ["a", "b", "c"] {
        rig.submit(execute(market(id, Side::Buy, "1")));
    }
    rig.turn();
    assert_eq!(refusal(rig.ask(execute(market("d", Side::Buy, "1")))).code, ReasonCode::Busy);
    assert!(matches!(rig.ask(get("a", false)), Reply::GetOrder(reply) if reply.found), "a query waits for no venue");
}

#[test]
fn a_report_and_a_timer_that_find_no_room_are_not_lost() {
    let (mut rig, mut venue) = engine_and_venue();
    rig.submit(execute(limit("late", Side::Buy, "1", "50.00")));
    let sent = rig.turn();
    rig.disk.set_capacity(0);
    let mut number = 0;
    while !matches!(
        rig.ask_or_wait(execute(limit(&format!("x{number}"), Side::Buy, "1", "50.00"))),
        Some(Reply::Refused(_))
    ) {
        number += 1;
        assert!(number < 10_000, "the disk fills up");
    }
    // And nothing smaller finds room either.
    for small in b'!'..=b'~' {
        rig.ask_or_wait(cancel(&char::from(small).to_string(), "?"));
    }
    let reports = venue.receive(&sends(&sent)[0]);
    let refused = rig.sequencer.venue_report(reports[0].clone(), rig.now).unwrap_err();
    assert_eq!(refused.code, ReasonCode::Busy);
    rig.now = rig.sequencer.next_deadline().unwrap() + 1_000 * MS;
    rig.sequencer.on_time(rig.now);
    let retry = rig.sequencer.next_deadline().expect("the time limit still runs");
    assert!(retry > rig.now, "and does not spin");
    rig.disk.set_capacity(u64::MAX);
    rig.sequencer.venue_report(reports[0].clone(), rig.now).unwrap();
    rig.now = retry + 1_000_000 * MS;
    rig.sequencer.on_time(rig.now);
    rig.turn();
    let Reply::GetOrder(order) = rig.ask(get("late", false)) else { panic!() };
    assert!(order.reply.is_some(), "the call is concluded");
    assert!(!has_time_limit(&rig));
}

/// Whether a call still waits for the venue: a pass of forgetting is far off, or due at once and over soon.
fn has_time_limit(rig: &Rig) -> bool {
    rig.counter("waiting_calls") > 0
}

/// Where the engine dies on the way of one order.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
enum Dies {
    BeforeTheWrite,
    BeforeTheSync,
    BeforeTheSend,
    /// The command is under way and arrives after the engine is back and has asked.
    CommandUnderWay,
    BeforeTheReport,
    BeforeTheReportIsDurable,
    AfterAll,
}

const DEATHS: [Dies; 7] = [
    Dies::BeforeTheWrite,
    Dies::BeforeTheSync,
    Dies::BeforeTheSend,
    Dies::CommandUnderWay,
    Dies::BeforeTheReport,
    Dies::BeforeTheReportIsDurable,
    Dies::AfterAll,
];

/// Runs one order up to the death; gives what is still under way to the venue.
fn run_until(dies: Dies, rig: &mut Rig, venue: &mut FarVenue) -> Vec<VenueCommand> {
    rig.submit(execute(market("a", Side::Buy, "5")));
    if dies == Dies::BeforeTheWrite {
        return Vec::new();
    }
    let job = rig.sequencer.end_turn().expect("a sync is due");
    if dies == Dies::BeforeTheSync {
        assert_eq!(rig.outputs(), []);
        return Vec::new();
    }
    rig.finish(job);
    let commands = sends(&rig.outputs());
    match dies {
        Dies::BeforeTheSend => return Vec::new(),
        Dies::CommandUnderWay => return commands,
        _ => {}
    }
    let reports: Vec<VenueReport> = commands.iter().flat_map(|command| venue.receive(command)).collect();
    if dies >= Dies::BeforeTheReportIsDurable {
        for report in reports {
            rig.sequencer.venue_report(report, rig.now).unwrap();
        }
    }
    if dies == Dies::AfterAll {
        rig.turn();
    }
    Vec::new()
}

#[test]
fn an_order_reaches_the_venue_at_most_once_wherever_the_engine_dies() {
    for dies in DEATHS {
        for power_loss in [false, true] {
            let (mut rig, mut venue) = engine_and_venue();
            let under_way = run_until(dies, &mut rig, &mut venue);
            let disk = if power_loss { rig.disk.crash() } else { rig.disk.kill() };
            let (sequencer, _) = Sequencer::open(disk.clone(), external(), configuration(), rig.now).unwrap();
            (rig.sequencer, rig.disk) = (sequencer, disk);
            assert_eq!(sends(&rig.turn()), [], "recovery sends nothing ({dies:?})");
            reconcile(&mut rig, &mut venue);
            for late in under_way {
                venue.receive(&late);
            }
            let token = rig.submit(execute(market("a", Side::Buy, "5")));
            let outputs = rig.turn();
            let answered = reply_to(&outputs, token);
            let outputs = carry(&mut rig, &mut venue, &outputs);
            let reply = answered.or_else(|| reply_to(&outputs, token));
            let Some(Reply::Execute(reply)) = reply else { panic!("{dies:?}: no answer") };
            let unavailable = reply.reply.code == ReasonCode::VenueUnavailable;
            assert_eq!(venue.executed_steps(), if unavailable { 0 } else { 5 }, "{dies:?}");
            assert!(venue.arrivals.values().all(|count| *count == 1), "{dies:?}: {:?}", venue.arrivals);
            if matches!(dies, Dies::BeforeTheSend | Dies::CommandUnderWay) {
                assert!(unavailable, "{dies:?}: it is never sent a second time");
                assert_eq!(reply.reply.status, ExecutionStatus::Rejected);
            }
            if dies >= Dies::BeforeTheReport {
                assert!(reply.duplicate && !unavailable, "{dies:?}");
            }
            verify(&rig.disk).expect("verifies");
        }
    }
}

#[test]
fn an_unanswered_order_has_its_time_limit_again_after_a_restart() {
    let (mut rig, _) = engine_and_venue();
    rig.submit(execute(market("a", Side::Buy, "5")));
    rig.turn();
    let disk = rig.disk.kill();
    (rig.sequencer, _) = Sequencer::open(disk, external(), configuration(), rig.now).unwrap();
    let token = rig.submit(execute(market("a", Side::Buy, "5")));
    rig.turn();
    let deadline = rig.sequencer.next_deadline().expect("a time limit runs");
    rig.sequencer.on_time(deadline);
    assert!(matches!(reply_to(&rig.turn(), token), Some(Reply::Execute(reply)) if reply.duplicate));
}

#[test]
fn a_cancel_that_was_lost_on_the_way_is_refused_after_the_question() {
    let (mut rig, mut venue) = engine_and_venue();
    rig.submit(execute(limit("a", Side::Buy, "5", "50.00")));
    let sent = rig.turn();
    carry(&mut rig, &mut venue, &sent);
    rig.submit(cancel("c", "a"));
    rig.turn(); // what it sends is lost
    let disk = rig.disk.kill();
    (rig.sequencer, _) = Sequencer::open(disk, external(), configuration(), rig.now).unwrap();
    assert_eq!(reconcile(&mut rig, &mut venue), 1);
    let Reply::OrderCommand(reply) = rig.ask(cancel("c", "a")) else { panic!() };
    assert_eq!((reply.code, reply.duplicate), (ReasonCode::VenueUnavailable, true));
    assert_eq!(reply.order.unwrap().status, ExecutionStatus::Pending);
}
