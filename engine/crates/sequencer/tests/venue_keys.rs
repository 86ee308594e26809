//! What a venue outside knows an order by: epoch and key together never come twice, and a recovered order keeps its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{Side, VenueCommand, VenueKey};
use bridge_journal::fake::FakeDisk;
use bridge_journal::{Durability, list_snapshots};
use bridge_sequencer::{Options, VenueKind};
use std::collections::BTreeSet;
use support::venue::sends;
use support::*;

fn external(durability: Durability) -> Options {
    let venue = VenueKind::External { ack_timeout_ms: 500 };
    Options { venue, durability, segment_bytes: 16 << 10, ..options() }
}

/// The name under which the venue gets this order now.
fn sent(rig: &mut Rig, id: &str) -> (Option<u64>, VenueKey) {
    rig.submit(execute(limit(id, Side::Buy, "1", "50.00")));
    let outputs = rig.turn();
    let [VenueCommand::New(new)] = sends(&outputs)[..] else { panic!("not sent: {outputs:?}") };
    (rig.sequencer.epoch_of(new.key), new.key)
}

#[test]
fn after_the_loss_of_the_machine_in_mode_os_a_number_comes_again_in_another_epoch() {
    let options = || external(Durability::Os);
    let mut rig = Rig::on(FakeDisk::new(3), options(), START_NS);
    let mut names = vec![];
    for life in 0..5 {
        let name = sent(&mut rig, &format!("order-{life}"));
        assert!(!names.contains(&name), "{name:?} is known to the venue as another order: {names:?}");
        names.push(name);
        rig = rig.after_crash(options());
    }
    let keys: BTreeSet<VenueKey> = names.iter().map(|(_, key)| *key).collect();
    assert!(keys.len() < names.len(), "keys alone came again: {keys:?}");
}

#[test]
fn a_recovered_order_keeps_the_name_that_it_was_sent_with() {
    let options = || external(Durability::Always);
    let mut rig = Rig::on(FakeDisk::new(3), options(), START_NS);
    let mut names = vec![];
    for life in 0..3 {
        for number in 0..200 {
            names.push(sent(&mut rig, &format!("{life}-{number}")));
        }
        rig.sequencer.snapshot_job(0).expect("a segment is closed").run().expect("made");
        rig = rig.after_crash(options());
    }
    assert!(!list_snapshots(&rig.disk).unwrap().is_empty() && rig.counter("snapshot_seq") > 0);
    for (epoch, key) in names {
        assert!(epoch.is_some());
        assert_eq!(rig.sequencer.epoch_of(key), epoch, "{key:?}");
    }
    assert_eq!(sent(&mut rig, "new").0, Some(rig.sequencer.epoch()));
}
