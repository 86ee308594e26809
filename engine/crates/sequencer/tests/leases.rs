//! Cancel on disconnect over the whole of a sequencer: graces, failover, restarts, a full disk; and the journal agrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{Command, ExecutionStatus, ReasonCode, SetCancelOnDisconnect, Side};
use bridge_sequencer::{Reply, Request, verify};
use support::*;

/// The session of [`origin`].
const SESSION: &str = "session";
const SECOND: i64 = 1_000_000_000;

fn set(command_id: &str, grace_ms: Option<u64>) -> Request {
    Request::Command(Command::SetCancelOnDisconnect(SetCancelOnDisconnect {
        command_id: command_id.into(),
        account: "default".into(),
        session_id: SESSION.into(),
        grace_ms,
        defect: None,
    }))
}

/// A connected session with ten seconds of grace and an order that rests.
fn leased() -> Rig {
    let mut rig = Rig::new(options());
    rig.sequencer.session_connected(SESSION);
    let Reply::Command(reply) = rig.ask(set("lease", Some(10_000))) else { panic!("not a command") };
    assert_eq!(reply.code, ReasonCode::None);
    rig.execute(limit("a", Side::Buy, "5", "90"));
    rig
}

fn status(rig: &mut Rig, order_id: &str) -> (ExecutionStatus, ReasonCode) {
    let Reply::GetOrder(reply) = rig.ask(get(order_id, false)) else { panic!("not a query") };
    let order = reply.order.expect("an order");
    (order.status, order.code)
}

const OPEN: (ExecutionStatus, ReasonCode) = (ExecutionStatus::Pending, ReasonCode::None);
const CANCELLED: (ExecutionStatus, ReasonCode) = (ExecutionStatus::Cancelled, ReasonCode::CancelledOnDisconnect);

/// What the reactor does with time: true where something was due.
fn pass(rig: &mut Rig, now: i64) -> bool {
    let is_due = rig.sequencer.next_lease_deadline(now).is_some_and(|deadline| deadline <= now);
    if is_due {
        rig.sequencer.expire_leases(now, rig.now);
        rig.turn();
    }
    is_due
}

fn is_verified(rig: &Rig) {
    let report = verify(&rig.disk.clone()).expect("executes to the same again");
    assert_eq!(report.state_hash, rig.sequencer.health(rig.now).state_hash);
}

#[test]
fn orders_of_a_session_that_is_gone_are_cancelled_at_the_end_of_its_grace() {
    let mut rig = leased();
    rig.sequencer.session_disconnected(SESSION);
    assert!(!pass(&mut rig, SECOND), "the clock starts");
    assert_eq!(rig.sequencer.next_lease_deadline(2 * SECOND), Some(11 * SECOND));
    assert_eq!(status(&mut rig, "a"), OPEN);
    assert!(pass(&mut rig, 11 * SECOND));
    assert_eq!(status(&mut rig, "a"), CANCELLED);
    assert_eq!(rig.sequencer.next_lease_deadline(12 * SECOND), None, "there is nothing more to do");
    is_verified(&rig);
}

#[test]
fn a_change_of_path_trips_nothing() {
    let mut rig = leased();
    rig.sequencer.session_connected(SESSION);
    rig.sequencer.session_disconnected(SESSION);
    assert!(!pass(&mut rig, 60 * SECOND));
    rig.sequencer.session_disconnected(SESSION);
    assert!(!pass(&mut rig, 60 * SECOND));
    rig.sequencer.session_connected(SESSION);
    assert!(!pass(&mut rig, 600 * SECOND));
    assert_eq!(status(&mut rig, "a"), OPEN);
}

#[test]
fn an_order_that_was_still_under_way_when_its_session_went_ends_too() {
    let mut rig = leased();
    rig.sequencer.session_disconnected(SESSION);
    pass(&mut rig, 0);
    assert!(pass(&mut rig, 10 * SECOND));
    rig.execute(limit("late", Side::Buy, "5", "90"));
    assert_eq!(rig.sequencer.next_lease_deadline(20 * SECOND), Some(30 * SECOND));
    assert!(pass(&mut rig, 30 * SECOND));
    assert_eq!(status(&mut rig, "late"), CANCELLED);
    is_verified(&rig);
}

#[test]
fn after_a_start_every_lease_has_its_full_grace() {
    let mut rig = leased();
    rig.sequencer.session_disconnected(SESSION);
    pass(&mut rig, 0);
    pass(&mut rig, 9 * SECOND);
    let mut rig = rig.after_crash(options());
    assert_eq!(rig.sequencer.next_lease_deadline(SECOND), Some(11 * SECOND));
    assert_eq!(status(&mut rig, "a"), OPEN);
    assert!(pass(&mut rig, 11 * SECOND));
    assert_eq!(status(&mut rig, "a"), CANCELLED);
    is_verified(&rig);
    let mut rig = rig.after_crash(options());
    assert_eq!(rig.sequencer.next_lease_deadline(0), None, "it has nothing to cancel");
    rig.sequencer.session_connected(SESSION);
    rig.execute(limit("b", Side::Buy, "5", "90"));
    rig.sequencer.session_disconnected(SESSION);
    pass(&mut rig, 0);
    assert!(pass(&mut rig, 10 * SECOND), "and holds on");
    assert_eq!(status(&mut rig, "b"), CANCELLED);
}

#[test]
fn a_lease_that_its_session_ended_cancels_nothing() {
    let mut rig = leased();
    rig.ask(set("no lease", None));
    rig.sequencer.session_disconnected(SESSION);
    assert!(!pass(&mut rig, 0) && !pass(&mut rig, 3_600 * SECOND));
    assert_eq!(status(&mut rig, "a"), OPEN);
    is_verified(&rig);
}

#[test]
fn a_full_disk_delays_the_cancel_and_does_not_lose_it() {
    let mut rig = leased();
    rig.sequencer.session_disconnected(SESSION);
    pass(&mut rig, 0);
    rig.disk.set_capacity(0);
    let mut number = 0;
    while !matches!(rig.ask(execute(limit(&format!("x{number}"), Side::Buy, "1", "50"))), Reply::Refused(_)) {
        number += 1;
        assert!(number < 10_000, "the disk fills up");
    }
    pass(&mut rig, 10 * SECOND);
    let retry = rig.sequencer.next_lease_deadline(10 * SECOND).expect("it is tried again");
    assert!(retry > 10 * SECOND, "and does not spin");
    assert_eq!(status(&mut rig, "a"), OPEN);
    rig.disk.set_capacity(u64::MAX);
    assert!(pass(&mut rig, retry));
    assert_eq!(status(&mut rig, "a"), CANCELLED);
}
