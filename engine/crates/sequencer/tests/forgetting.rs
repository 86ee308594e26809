//! The engine forgets by itself, in small pieces; what it wrote about that reads back the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{Command, Configuration, FenceOrder, Side};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{Reply, Request, dump, verify};
use support::*;

fn id(now: i64, number: u64) -> String {
    let hex = format!("{:012x}", now / MS);
    format!("{}-{}-7abc-8def-{number:012x}", &hex[..8], &hex[8..])
}

fn rig() -> Rig {
    let configuration = Configuration {
        retention_ms: 20_000,
        quote_retention_ms: 5_000,
        max_skew_ms: 100,
        update_history: 10,
        ..configuration()
    };
    Rig::configured(FakeDisk::new(1), options(), configuration, START_NS)
}

/// Lets engine time pass as a reactor does: it wakes at each deadline.
fn pass(rig: &mut Rig, ms: i64) -> usize {
    let until = rig.now + ms * MS;
    let mut turns = 0;
    while let Some(deadline) = rig.sequencer.next_deadline().filter(|deadline| *deadline <= until) {
        rig.now = rig.now.max(deadline);
        rig.sequencer.on_time(rig.now);
        rig.turn();
        turns += 1;
    }
    rig.now = until;
    turns
}

#[test]
fn what_is_old_is_forgotten_in_small_pieces_and_the_journal_tells_what() {
    let mut rig = rig();
    let first = id(rig.now, 0);
    for number in 0..2_000 {
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        rig.submit(execute(market(&id(rig.now, number), side, "1")));
    }
    rig.submit(publish(&id(rig.now, 9_000), vec![quote("99.99", "100.01", "1000")]));
    rig.submit(Request::Command(Command::Fence(FenceOrder {
        account: "default".into(),
        order_id: id(rig.now, 9_001),
    })));
    rig.turn();
    assert_eq!(rig.counter("remembered_ids"), 2_002);
    pass(&mut rig, 13_000);
    assert_eq!(rig.counter("remembered_ids"), 2_001, "quotes go first");
    let turns = pass(&mut rig, 20_000);
    assert!(turns > 2_000 / 256, "{turns} turns");
    let left = rig.counter("remembered_ids");
    assert!(left <= 10, "{left} of which updates can still be asked for");
    assert_eq!(rig.counter("open_orders"), 0);

    let Reply::GetOrder(reply) = rig.ask(get(&first, false)) else { panic!("no answer") };
    assert!(!reply.found);
    let (mut forgotten, mut largest) = (Vec::new(), 0);
    dump(&rig.disk, |line| {
        for event in line["events"].as_array().unwrap().iter().filter(|event| event["event"] == "Forgotten") {
            let ids = event["ids"].as_array().unwrap();
            largest = largest.max(ids.len());
            forgotten.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
        }
    })
    .unwrap();
    assert!(forgotten.contains(&first) && forgotten.len() as u64 == 2_002 - left);
    assert!(largest <= 256, "{largest} at once");
    assert_eq!(verify(&rig.disk).unwrap().state_hash, rig.state_hash());
    let after = rig.after_crash(options());
    assert_eq!(after.state_hash(), rig.state_hash());
}

#[test]
fn a_pass_that_finds_nothing_leaves_no_record() {
    let mut rig = rig();
    rig.submit(execute(market("no-uuid", Side::Buy, "1")));
    rig.turn();
    let records = rig.counter("records");
    assert!(pass(&mut rig, 60_000) > 10);
    assert_eq!(rig.counter("records"), records);
}
