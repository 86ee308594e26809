//! Invariant 2: nothing that depends on a record leaves before the record is durable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{ReasonCode, Side};
use bridge_sequencer::{Durability, HealthStatus, Options, Output, Reply, Request, verify};
use support::*;

#[test]
fn in_mode_always_a_reply_leaves_only_after_the_sync() {
    let mut rig = Rig::new(options());
    let token = rig.submit(execute(market("a", Side::Buy, "5")));
    assert_eq!(rig.outputs(), [], "nothing leaves before the turn ends");
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(rig.outputs(), [], "nothing leaves before the sync");
    rig.finish(job);
    let outputs = rig.outputs();
    assert!(matches!(reply_to(&outputs, token), Some(Reply::Execute(_))));
    assert!(outputs.iter().any(|output| matches!(output, Output::Updates(_))), "the updates leave with it");
    assert!(matches!(outputs[0], Output::Reply { .. }), "replies leave before fan-out");
}

#[test]
fn in_mode_os_a_reply_leaves_right_after_the_write() {
    let mut rig = Rig::new(Options { durability: Durability::Os, ..options() });
    let token = rig.submit(execute(market("a", Side::Buy, "5")));
    assert_eq!(rig.outputs(), [], "nothing leaves before the write");
    assert!(rig.sequencer.end_turn().is_none());
    assert!(reply_to(&rig.outputs(), token).is_some());
}

#[test]
fn one_sync_covers_a_turn_and_the_next_one_what_came_meanwhile() {
    let mut rig = Rig::new(options());
    let syncs = rig.disk.sync_count();
    let first: Vec<_> = (0..10).map(|i| rig.submit(execute(market(&format!("a{i}"), Side::Buy, "1")))).collect();
    let job = rig.sequencer.end_turn().expect("a sync is due");
    let late = rig.submit(execute(market("late", Side::Buy, "1")));
    assert!(rig.sequencer.end_turn().is_none(), "one job is out at a time");
    rig.finish(job);
    assert_eq!(rig.disk.sync_count() - syncs, 1);
    let outputs = rig.outputs();
    assert!(first.iter().all(|token| reply_to(&outputs, *token).is_some()));
    assert!(reply_to(&outputs, late).is_none(), "the sync that ran does not cover what was written after it began");
    assert!(reply_to(&rig.turn(), late).is_some());
}

#[test]
fn a_query_and_a_duplicate_wait_for_the_records_that_they_tell_of() {
    let mut rig = Rig::new(options());
    rig.submit(execute(market("a", Side::Buy, "5")));
    let query = rig.submit(get("a", false));
    let duplicate = rig.submit(execute(market("a", Side::Buy, "5")));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(rig.outputs(), []);
    rig.finish(job);
    let outputs = rig.outputs();
    assert!(matches!(reply_to(&outputs, query), Some(Reply::GetOrder(reply)) if reply.found));
    assert!(matches!(reply_to(&outputs, duplicate), Some(Reply::Execute(reply)) if reply.duplicate));
}

#[test]
fn a_query_of_what_is_durable_waits_for_nothing() {
    let mut rig = Rig::new(options());
    let query = rig.submit(get("unknown", false));
    assert!(matches!(reply_to(&rig.outputs(), query), Some(Reply::GetOrder(reply)) if !reply.found));
}

#[test]
fn health_and_refusals_are_answered_at_once_with_what_is_durable() {
    let mut rig = Rig::new(options());
    let before = rig.sequencer.health(rig.now);
    rig.submit(execute(market("a", Side::Buy, "5")));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    let token = rig.submit(Request::Health);
    let Some(Reply::Health(during)) = reply_to(&rig.outputs(), token) else { panic!("health waits") };
    assert_eq!((during.journal_seq, during.state_hash), (before.journal_seq, before.state_hash));
    rig.finish(job);
    let after = rig.sequencer.health(rig.now);
    assert_eq!(after.journal_seq, before.journal_seq + 1);
    assert_ne!(after.state_hash, before.state_hash);
}

#[test]
fn a_sync_that_lags_makes_the_engine_degraded() {
    let mut rig = Rig::new(options());
    rig.submit(execute(market("a", Side::Buy, "5")));
    let job = rig.sequencer.end_turn().expect("a sync is due");
    assert_eq!(rig.sequencer.health(rig.now + 900 * MS).status, HealthStatus::Serving);
    assert_eq!(rig.sequencer.health(rig.now + 1_100 * MS).status, HealthStatus::Degraded);
    rig.finish(job);
    assert_eq!(rig.sequencer.health(rig.now + 1_100 * MS).status, HealthStatus::Serving);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let mut rig = Rig::new(options());
    rig.disk.fail_sync(1);
    rig.submit(execute(market("a", Side::Buy, "5")));
    assert_eq!(rig.turn(), [], "the order that waited for the sync is not answered");
    assert!(rig.sequencer.failed().is_some());
    assert_eq!(rig.sequencer.health(rig.now).status, HealthStatus::NotServing);
    for request in [execute(market("b", Side::Buy, "5")), execute(market("a", Side::Buy, "5")), get("a", false)] {
        let rejection = refusal(rig.ask(request));
        assert_eq!(rejection.code, ReasonCode::JournalFailed);
    }
    assert!(rig.sequencer.close().is_err());
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_any_more() {
    for durability in [Durability::Always, Durability::Os] {
        let mut rig = Rig::new(Options { durability, ..options() });
        rig.disk.fail_write(1);
        rig.submit(execute(market("a", Side::Buy, "5")));
        assert_eq!(rig.turn(), []);
        assert_eq!(refusal(rig.ask(get("a", false))).code, ReasonCode::JournalFailed);
    }
}

#[test]
fn a_full_disk_refuses_before_any_effect_and_the_engine_goes_on_with_room() {
    let mut rig = Rig::new(Options { segment_bytes: 64 << 10, ..options() });
    rig.disk.set_capacity(0);
    let hash = rig.state_hash();
    let mut refused = None;
    for number in 0..1_000 {
        let id = format!("a{number}");
        if let Reply::Refused(rejection) = rig.ask(execute(limit(&id, Side::Buy, "1", "1.00"))) {
            refused = Some((id, rejection));
            break;
        }
        assert_ne!(rig.state_hash(), hash);
    }
    let (id, rejection) = refused.expect("64 KiB are full at some time");
    assert_eq!(rejection.code, ReasonCode::Busy);
    assert!(rejection.message.contains("disk is full"), "{}", rejection.message);
    assert!(rig.sequencer.failed().is_none());
    assert_eq!(rig.sequencer.health(rig.now).status, HealthStatus::Degraded);
    assert!(matches!(rig.ask(get(&id, false)), Reply::GetOrder(reply) if !reply.found), "it had no effect");
    assert!(rig.execute(limit("a0", Side::Buy, "1", "1.00")).duplicate, "a resend needs no room");
    assert_eq!(rig.sequencer.health(rig.now).status, HealthStatus::Degraded, "and makes none");
    rig.disk.set_capacity(u64::MAX);
    assert!(!rig.execute(limit(&id, Side::Buy, "1", "1.00")).duplicate);
    assert_eq!(rig.sequencer.health(rig.now).status, HealthStatus::Serving);
    verify(&rig.disk).expect("verifies");
}

#[test]
fn what_waits_for_the_disk_is_bounded_and_beyond_it_busy() {
    let mut rig = Rig::new(Options { max_parked_outputs: 20, ..options() });
    let mut busy = 0;
    for number in 0..30 {
        let token = rig.submit(execute(market(&format!("a{number}"), Side::Buy, "1")));
        if let Some(Reply::Refused(rejection)) = reply_to(&rig.outputs(), token) {
            assert_eq!(rejection.code, ReasonCode::Busy);
            busy += 1;
        }
    }
    assert!(busy > 0);
    rig.turn();
    assert!(!rig.execute(market("a29", Side::Buy, "1")).duplicate, "a refused copy had no effect");
}

#[test]
fn bytes_that_wait_for_the_disk_are_bounded_and_beyond_it_busy() {
    let mut rig = Rig::new(Options { max_parked_bytes: 2_000, ..options() });
    let refused = (0..30).any(|number| {
        let token = rig.submit(execute(market(&format!("a{number}"), Side::Buy, "1")));
        matches!(reply_to(&rig.outputs(), token), Some(Reply::Refused(r)) if r.code == ReasonCode::Busy)
    });
    assert!(refused);
    rig.turn();
    rig.execute(market("after", Side::Buy, "1"));
}

#[test]
fn welcome_speaks_of_durable_updates_only() {
    let mut rig = Rig::new(options());
    rig.execute(market("a", Side::Buy, "1"));
    let durable = rig.sequencer.last_sequence("");
    assert!(durable > 0);
    rig.submit(execute(market("b", Side::Buy, "1")));
    assert_eq!(rig.sequencer.last_sequence("default"), durable);
    rig.turn();
    assert!(rig.sequencer.last_sequence("default") > durable);
}

#[test]
fn closing_releases_what_was_owed() {
    let mut rig = Rig::new(options());
    let token = rig.submit(execute(market("a", Side::Buy, "1")));
    let owed = rig.sequencer.close().expect("closes");
    assert!(reply_to(&owed, token).is_some());
}
