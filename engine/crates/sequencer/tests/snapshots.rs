//! Snapshots: a start from one is a start from all records; whatever crashes or is damaged, nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::Side;
use bridge_journal::fake::FakeDisk;
use bridge_journal::{DiskFile, WithArchive, list_snapshots, snapshot_name};
use bridge_sequencer::{Disk, OpenError, Options, Reply, Sequencer, Snapshot, dump, verify};
use support::*;

/// So small that a few orders fill one.
fn small() -> Options {
    Options { segment_bytes: 16 << 10, ..options() }
}

fn from_the_future(number: u32) -> String {
    format!("0fffffff-ffff-7abc-8def-{number:012x}")
}

/// Some of everything that stays: fills, resting orders, legs, rejections, fences, cancels, quotes, a wrong clock's ids.
fn trade(rig: &mut Rig, from: u32, orders: u32) {
    for number in from..from + orders {
        let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let id = format!("order-{number}");
        match number % 7 {
            0 => drop(rig.execute(limit(&id, side, "3", if side == Side::Buy { "90.00" } else { "110.00" }))),
            1 => {
                let (stop, target) = if side == Side::Buy { ("98.00", "102.00") } else { ("102.00", "98.00") };
                let (stop_loss, take_profit) = (Some(decimal(stop)), Some(decimal(target)));
                drop(rig.execute(bridge_core::Order { stop_loss, take_profit, ..market(&id, side, "2") }));
            }
            2 => drop(rig.execute(market(&id, side, "0.5"))),
            3 => drop(rig.ask(get(&id, true))),
            4 => drop(rig.ask(cancel(&format!("cancel-{number}"), &format!("order-{}", number - 4)))),
            5 => drop(rig.ask(publish(&format!("quote-{number}"), vec![quote("99.98", "100.02", "1000")]))),
            _ if number % 2 == 0 => drop(rig.execute(market(&from_the_future(number), side, "1"))),
            _ => drop(rig.execute(market(&id, side, "1"))),
        }
    }
}

fn snapshot(rig: &mut Rig) -> Result<Snapshot, String> {
    let made = rig.sequencer.snapshot_job(0).expect("segments are closed").run();
    rig.sequencer.snapshot_made(&made);
    made
}

fn open(disk: FakeDisk, now: i64) -> (Rig, u64, Vec<String>) {
    let (sequencer, opened) = Sequencer::open(disk.clone(), small(), configuration(), now).expect("opens");
    drop(sequencer);
    let (seq, unusable) = (opened.snapshot_seq, opened.unusable_snapshots);
    (Rig::on(disk.kill(), small(), now), seq, unusable)
}

/// Both know the same, and go on alike.
fn assert_same(a: &mut Rig, b: &mut Rig, orders: u32) {
    assert_eq!(a.state_hash(), b.state_hash());
    for number in 0..orders {
        for suffix in ["", "·SL", "·TP"] {
            let id = format!("order-{number}{suffix}");
            assert_eq!(a.ask(get(&id, false)), b.ask(get(&id, false)), "{id}");
        }
    }
    let mut counters = [a.sequencer.health(a.now).counters, b.sequencer.health(b.now).counters];
    counters.iter_mut().for_each(|all| all.retain(|(name, _)| !name.starts_with("snapshot")));
    assert_eq!(counters[0], counters[1]);
    trade(a, 1_000, 60);
    trade(b, 1_000, 60);
    assert_eq!(a.state_hash(), b.state_hash());
}

#[test]
fn a_start_from_a_snapshot_is_a_start_from_all_records() {
    let mut rig = Rig::new(small());
    trade(&mut rig, 0, 200);
    let made = snapshot(&mut rig).expect("made");
    trade(&mut rig, 200, 30);
    let with = rig.disk.kill();
    let without = rig.disk.kill();
    without.remove(&snapshot_name(made.seq)).unwrap();
    let (mut a, seq, unusable) = open(with, rig.now);
    let (mut b, none, _) = open(without, rig.now);
    assert_eq!((seq, none, unusable), (made.seq, 0, vec![]));
    assert_eq!(a.state_hash(), rig.state_hash());
    assert_same(&mut a, &mut b, 230);
    verify(&a.disk).expect("verifies");
}

#[test]
fn each_snapshot_is_made_from_the_one_before_and_two_are_kept() {
    let mut rig = Rig::new(small());
    for round in 0..4 {
        // No order rests: a segment has room for the changes of all that do.
        for number in 0..100 {
            let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
            rig.execute(market(&format!("{round}-{number}"), side, "1"));
        }
        snapshot(&mut rig).expect("made");
        assert!(rig.sequencer.snapshot_job(1 << 30).is_none(), "not before the journal has grown so much");
    }
    assert_eq!(list_snapshots(&rig.disk).unwrap().len(), 2);
    let (after, seq, _) = open(rig.disk.crash(), rig.now);
    assert_eq!(seq, rig.counter("snapshot_seq"));
    assert_eq!(after.state_hash(), rig.state_hash());
}

#[test]
fn health_says_which_snapshots_there_are_and_how_many_segments() {
    let mut rig = Rig::new(small());
    let segments_of = |disk: &FakeDisk| {
        let names = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg"));
        names
            .map(|name| disk.open(&name).unwrap().len().unwrap())
            .fold((0, 0), |(count, sum), len| (count + 1, sum + len))
    };
    assert_eq!(rig.counter("snapshot_seq") + rig.counter("snapshot_time_ms") + rig.counter("snapshots"), 0);
    for round in 0..3 {
        trade(&mut rig, round * 100, 100);
        let made = snapshot(&mut rig).expect("made");
        assert_eq!(rig.counter("snapshots"), u64::from(round) + 1);
        assert_eq!((rig.counter("snapshot_seq"), rig.counter("snapshot_bytes")), (made.seq, made.bytes));
        assert_eq!((rig.counter("segments"), rig.counter("segment_bytes")), segments_of(&rig.disk));
        assert!(made.archived_segments > 0 || round == 0, "the older of two leaves segments to the archive");
    }
    assert!(rig.counter("snapshot_time_ms") > 0 && rig.counter("snapshot_time_ms") <= rig.now as u64 / 1_000_000);
    let (after, seq, _) = open(rig.disk.kill(), rig.now);
    assert_eq!((after.counter("snapshots"), after.counter("snapshot_seq")), (0, seq));
    for name in ["snapshot_bytes", "snapshot_time_ms", "segments", "segment_bytes"] {
        assert_eq!(after.counter(name), rig.counter(name), "{name}");
    }
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_one_before() {
    let mut rig = Rig::new(small());
    for round in 0..2 {
        trade(&mut rig, round * 100, 100);
        snapshot(&mut rig).expect("made");
    }
    let snapshots = list_snapshots(&rig.disk).unwrap();
    let bytes = rig.disk.open(&snapshot_name(snapshots[1])).unwrap().len().unwrap();
    for offset in [0, 9, 40, 63, 64, bytes / 2, bytes - 1] {
        let damaged = rig.disk.kill();
        assert!(damaged.corrupt(&snapshot_name(snapshots[1]), offset, 0x10));
        let (after, seq, unusable) = open(damaged, rig.now);
        assert_eq!(seq, snapshots[0], "offset {offset}");
        assert!(unusable[0].contains(&snapshot_name(snapshots[1])), "{unusable:?}");
        assert_eq!(after.state_hash(), rig.state_hash());
    }
}

#[test]
fn a_journal_whose_first_segments_are_gone_opens_with_the_snapshot_and_refuses_without() {
    let mut rig = Rig::new(small());
    trade(&mut rig, 0, 200);
    let made = snapshot(&mut rig).expect("made");
    trade(&mut rig, 200, 30);
    let disk = rig.disk.kill();
    let mut segments: Vec<String> = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    segments.sort();
    for name in segments.iter().filter(|name| name[..20].parse::<u64>().unwrap() <= made.seq) {
        disk.remove(name).unwrap();
    }
    let (after, seq, _) = open(disk.kill(), rig.now);
    assert_eq!((seq, after.state_hash()), (made.seq, rig.state_hash()));
    assert!(disk.corrupt(&snapshot_name(made.seq), 100, 1));
    let Err(OpenError::Journal(message)) = Sequencer::open(disk, small(), configuration(), rig.now) else {
        panic!("opened without its first records")
    };
    assert!(message.contains("are gone") && message.contains(&snapshot_name(made.seq)), "{message}");
}

#[test]
fn a_snapshot_of_another_journal_is_refused() {
    let mut rig = Rig::new(small());
    trade(&mut rig, 0, 200);
    let made = snapshot(&mut rig).expect("made");
    let mut other = Rig::on(FakeDisk::new(99), small(), START_NS);
    trade(&mut other, 0, 200);
    let name = snapshot_name(made.seq);
    let foreign = other.disk.create(&name).unwrap();
    foreign.write_at(&rig.disk.contents(&name).unwrap(), 0).unwrap();
    let Err(OpenError::Journal(message)) = Sequencer::open(other.disk.kill(), small(), configuration(), other.now)
    else {
        panic!("opened with the state of another journal")
    };
    assert!(message.contains("belongs to journal"), "{message}");
}

#[test]
fn whatever_fails_or_crashes_while_a_snapshot_is_made_nothing_is_lost() {
    let mut rig = Rig::new(small());
    trade(&mut rig, 0, 100);
    snapshot(&mut rig).expect("made");
    trade(&mut rig, 100, 100);
    let (hash, mut made) = (rig.state_hash(), 0);
    for nth in 1..8 {
        for fault in [FakeDisk::fail_sync, FakeDisk::fail_write] {
            let mut again = Rig::on(rig.disk.kill(), small(), rig.now);
            fault(&again.disk, nth);
            made += usize::from(snapshot(&mut again).is_ok());
            for disk in [again.disk.kill(), again.disk.crash()] {
                assert_eq!(Rig::on(disk, small(), rig.now).state_hash(), hash);
            }
        }
    }
    assert!(made > 0 && made < 14, "{made} of 14 came to an end: some faults hit");
}

#[test]
fn the_reply_to_a_copy_is_the_stored_one_after_a_start_from_a_snapshot() {
    let mut rig = Rig::new(small());
    trade(&mut rig, 0, 150);
    let first = rig.execute(market("asked-again", Side::Buy, "1"));
    trade(&mut rig, 150, 150);
    snapshot(&mut rig).expect("made");
    let (mut after, seq, _) = open(rig.disk.crash(), rig.now);
    assert!(seq > 0);
    let Reply::Execute(again) = after.ask(execute(market("asked-again", Side::Buy, "1"))) else { panic!() };
    assert!(again.duplicate);
    assert_eq!(again.reply, first.reply);
}

/// Rounds of orders that do not rest, a snapshot after each.
fn rounds(rig: &mut Rig, rounds: u32) {
    for round in 0..rounds {
        for number in 0..100 {
            let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
            rig.execute(market(&format!("{round}-{number}"), side, "1"));
        }
        snapshot(rig).expect("made");
    }
}

fn segments(disk: &FakeDisk) -> usize {
    disk.list().unwrap().iter().filter(|name| name.ends_with(".seg")).count()
}

#[test]
fn what_no_start_needs_is_archived_and_the_chain_reads_from_the_first_record() {
    let mut rig = Rig::new(small());
    rounds(&mut rig, 6);
    let archive = rig.disk.archived();
    assert!(segments(&archive) > 5 && segments(&rig.disk) < 10, "{} and {}", segments(&archive), segments(&rig.disk));

    let whole = verify(&WithArchive::new(rig.disk.clone(), Some(archive))).expect("verifies");
    assert_eq!((whole.first_seq, whole.state_hash), (1, rig.state_hash()));
    let alone = verify(&rig.disk).expect("verifies from its oldest snapshot");
    assert!(alone.first_seq > 1 && alone.records < whole.records);
    assert_eq!((alone.last_seq, alone.state_hash), (whole.last_seq, whole.state_hash));
    let mut first = None;
    dump(&rig.disk, |line| {
        first.get_or_insert(line["seq"].clone());
    })
    .unwrap();
    assert!(first.unwrap().as_u64().unwrap() > 1);

    let newest = *list_snapshots(&rig.disk).unwrap().last().unwrap();
    assert!(rig.disk.corrupt(&snapshot_name(newest), 1_000, 1));
    assert!(verify(&rig.disk).unwrap_err().to_string().contains(&snapshot_name(newest)));
    let (after, seq, unusable) = open(rig.disk.kill(), rig.now);
    assert!(seq < newest && unusable.len() == 1, "the live directory alone has what the older one needs");
    assert_eq!(after.state_hash(), rig.state_hash());
}

/// Losses of the machine from the same moment: what was not synced is there or is not, each name and sector by itself.
const LOSSES: usize = 6;

/// What restarts may find when the process dies before any change of its disk: given each, until the work ends whole.
fn at_every_change(base: &FakeDisk, now: i64, work: impl Fn(&mut Rig) -> bool, check: impl Fn(FakeDisk, u64)) -> u64 {
    for nth in 1.. {
        let mut rig = Rig::on(base.kill(), small(), now);
        rig.disk.die_before(nth);
        let ended = work(&mut rig);
        if !rig.disk.is_dead() {
            assert!(ended, "it failed although nothing did");
            return nth - 1;
        }
        check(rig.disk.kill(), nth);
        for _ in 0..LOSSES {
            check(rig.disk.crash(), nth);
        }
    }
    0
}

#[test]
fn a_death_between_any_two_changes_of_the_disk_loses_nothing_of_a_snapshot_or_the_archive() {
    let mut rig = Rig::new(small());
    rounds(&mut rig, 2);
    for number in 0..100 {
        rig.execute(market(&format!("more-{number}"), Side::Buy, "1"));
    }
    let hash = rig.state_hash();
    let changes = at_every_change(
        &rig.disk,
        rig.now,
        |again| snapshot(again).is_ok(),
        |disk, nth| {
            let again = Rig::on(disk.clone(), small(), rig.now);
            assert_eq!(again.state_hash(), hash, "before change {nth}");
            let archive = again.disk.archived();
            let whole = verify(&WithArchive::new(again.disk.clone(), Some(archive))).expect("the chain is whole");
            assert_eq!((whole.first_seq, whole.state_hash), (1, hash), "before change {nth}");
        },
    );
    assert!(changes > 12, "{changes}: file, name, directory, the old snapshot, and segments one by one");
}

#[test]
fn a_death_between_any_two_changes_of_the_disk_loses_no_order_that_was_answered() {
    let rig = Rig::new(small());
    let answered = std::cell::Cell::new(0);
    let changes = at_every_change(
        &rig.disk,
        rig.now,
        |again| {
            answered.set(0);
            for number in 0..120 {
                match again.ask_or_wait(execute(market(&format!("order-{number}"), Side::Buy, "1"))) {
                    Some(Reply::Execute(_)) => answered.set(number + 1),
                    _ => return false,
                }
            }
            true
        },
        |disk, nth| {
            let mut again = Rig::on(disk, small(), rig.now);
            for number in 0..answered.get() {
                let Reply::GetOrder(reply) = again.ask(get(&format!("order-{number}"), false)) else { panic!() };
                assert!(reply.found, "order-{number} was answered before change {nth}");
            }
        },
    );
    assert!(changes > 240, "{changes}: a write and a sync for each, and some segments");
}

#[test]
fn a_crash_between_any_two_steps_of_archiving_loses_nothing() {
    for nth in 1..40 {
        let mut rig = Rig::new(small());
        rounds(&mut rig, 2);
        for number in 0..100 {
            rig.execute(market(&format!("more-{number}"), Side::Buy, "1"));
        }
        let hash = rig.state_hash();
        rig.disk.fail_sync(nth);
        let made = snapshot(&mut rig);
        for disk in [rig.disk.kill(), rig.disk.crash()] {
            let (again, archive) = (Rig::on(disk.clone(), small(), rig.now), disk.archived());
            assert_eq!(again.state_hash(), hash, "{nth}");
            let whole = verify(&WithArchive::new(disk, Some(archive))).expect("the chain is whole");
            assert_eq!(whole.first_seq, 1);
        }
        if made.is_ok() {
            assert!(nth > 4, "the sync of the file, of the directory, and of what is archived");
            return;
        }
    }
    panic!("no end of syncs");
}
