//! The journal while the engine runs: numbers, turns, durability, segments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use std::thread;

use bridge_journal::fake::FakeDisk;
use bridge_journal::{Disk, Durability, Error, MAX_PAYLOAD_BYTES, Options};
use given::{journal_of, open, record, small, sync, turn};

#[test]
fn records_are_numbered_from_one_without_holes() {
    let mut journal = open(FakeDisk::new(1), small(Durability::Always)).journal;
    let numbers: Vec<u64> = (0..100).map(|_| record(&mut journal, &[7; 100])).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<u64>>());
    assert_eq!(journal.last_seq(), 100);
}

#[test]
fn a_turn_of_many_records_is_one_write_and_one_sync() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), Options { segment_bytes: 1 << 20, ..Options::default() }).journal;
    let (writes, syncs) = (disk.write_count(), disk.sync_count());
    turn(&mut journal, &[b"a".as_slice(); 50]);
    assert_eq!((disk.write_count() - writes, disk.sync_count() - syncs), (1, 1));
}

#[test]
fn a_turn_without_records_touches_no_disk() {
    let (disk, mut journal) = journal_of(3, 10, small(Durability::Always));
    let (writes, syncs) = (disk.write_count(), disk.sync_count());
    journal.write().unwrap();
    assert!(journal.sync_job().is_none());
    assert_eq!((disk.write_count(), disk.sync_count()), (writes, syncs));
}

#[test]
fn in_mode_always_a_record_is_durable_only_when_its_sync_is_reported() {
    let mut journal = open(FakeDisk::new(1), small(Durability::Always)).journal;
    record(&mut journal, b"one");
    assert!(journal.sync_job().is_none(), "nothing is written yet");
    journal.write().unwrap();
    assert_eq!(journal.durable_seq(), 0);
    let result = journal.sync_job().unwrap().run();
    assert_eq!(journal.durable_seq(), 0);
    assert_eq!(journal.synced(result).unwrap(), 1);
    assert_eq!(journal.durable_seq(), 1);
}

#[test]
fn in_mode_os_a_record_is_durable_once_written_and_costs_no_sync() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    let syncs = disk.sync_count();
    record(&mut journal, b"one");
    assert_eq!(journal.durable_seq(), 0);
    journal.write().unwrap();
    assert_eq!(journal.durable_seq(), 1);
    assert!(journal.sync_job().is_none());
    assert_eq!(disk.sync_count(), syncs);
}

#[test]
fn appends_go_on_while_a_sync_runs_on_another_thread_and_it_covers_only_what_was_written() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    record(&mut journal, b"one");
    journal.write().unwrap();
    let job = journal.sync_job().unwrap();
    assert_eq!(job.through_seq(), 1);
    record(&mut journal, b"two");
    journal.write().unwrap();
    assert!(journal.sync_job().is_none(), "one job is out at a time");
    let result = thread::spawn(|| job.run()).join().unwrap();
    assert_eq!(journal.synced(result).unwrap(), 1);
    sync(&mut journal);
    assert_eq!(journal.durable_seq(), 2);
}

#[test]
fn records_written_while_a_sync_is_out_are_covered_by_the_next_though_segments_rolled() {
    for seed in 0..50 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        turn(&mut journal, &[&[1; 1000]]);
        record(&mut journal, &[2; 1000]);
        journal.write().unwrap();
        let job = journal.sync_job().unwrap();
        for number in 3..=20 {
            record(&mut journal, &[number; 1000]);
            journal.write().unwrap();
        }
        journal.synced(job.run()).unwrap();
        sync(&mut journal);
        assert_eq!(journal.durable_seq(), 20);
        let after = open(disk.crash(), small(Durability::Always));
        assert_eq!(after.recovered.records, 20, "seed {seed}");
    }
}

#[test]
fn a_full_segment_is_followed_by_one_that_is_named_by_its_first_record() {
    let (disk, _journal) = journal_of(10, 1000, small(Durability::Always));
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(".seg"));
    assert_eq!(
        names,
        [
            "00000000000000000001.seg",
            "00000000000000000004.seg",
            "00000000000000000007.seg",
            "00000000000000000010.seg"
        ]
    );
    let reopened = open(disk.kill(), small(Durability::Always));
    assert_eq!(reopened.payloads(), (1..=10).map(|number| vec![number; 1000]).collect::<Vec<_>>());
}

#[test]
fn a_record_larger_than_a_segment_gets_a_larger_segment() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    turn(&mut journal, &[&[1; 50_000], &[2; 10]]);
    drop(journal);
    assert_eq!(open(disk.crash(), small(Durability::Always)).payloads(), [vec![1; 50_000], vec![2; 10]]);
}

#[test]
fn an_empty_record_is_a_record() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    turn(&mut journal, &[b"", b"x", b""]);
    assert_eq!(open(disk.crash(), small(Durability::Always)).payloads(), [b"".to_vec(), b"x".to_vec(), b"".to_vec()]);
}

#[test]
fn a_record_over_the_limit_is_refused_before_apply_and_fails_the_journal_after_it() {
    let mut journal = open(FakeDisk::new(1), small(Durability::Always)).journal;
    let too_large = vec![0; MAX_PAYLOAD_BYTES as usize + 1];
    assert!(matches!(journal.reserve(too_large.len()), Err(Error::RecordTooLarge { .. })));
    assert!(matches!(journal.reserve(usize::MAX), Err(Error::RecordTooLarge { .. })));
    assert_eq!(journal.failed(), None);
    assert!(matches!(journal.append(&too_large), Err(Error::RecordTooLarge { .. })));
    assert!(journal.failed().is_some());
}

#[test]
fn in_mode_os_full_segments_are_synced_by_a_job_that_nobody_waits_for() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    for number in 1..=4 {
        record(&mut journal, &[number; 1000]);
        journal.write().unwrap();
    }
    let job = journal.sync_job().expect("the first segment is full");
    assert_eq!(job.through_seq(), 3, "what is in the segment that is open is not synced");
    assert_eq!(journal.synced(job.run()).unwrap(), 4);
    drop(journal);
    for _ in 0..20 {
        assert!(open(disk.crash(), small(Durability::Os)).recovered.records >= 3);
    }
}

#[test]
fn in_mode_os_a_caller_may_leave_sync_jobs_alone() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    for number in 0..100 {
        record(&mut journal, &[number; 1000]);
        journal.write().unwrap();
    }
    assert_eq!(journal.durable_seq(), 100);
    assert_eq!(open(disk.kill(), small(Durability::Os)).recovered.records, 100);
    assert!(
        open(disk.crash(), small(Durability::Os)).recovered.records >= 60,
        "the journal synced old segments itself"
    );
}

#[test]
fn the_next_segment_is_made_ready_by_the_sync_job_so_that_the_reactor_does_not_wait_for_it() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    turn(&mut journal, &[&[1; 1000], &[2; 1000], &[3; 1000]]);
    let syncs = disk.sync_count();
    record(&mut journal, &[4; 1000]);
    journal.write().unwrap();
    assert_eq!(disk.sync_count(), syncs, "rolling to a segment that is ready needs no sync");
    assert!(disk.contents("00000000000000000004.seg").is_some());
}

#[test]
fn reservations_that_grow_a_little_each_time_share_a_spare_segment() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    let syncs = disk.sync_count();
    for payload_bytes in 5000..7000 {
        journal.reserve(payload_bytes).unwrap();
    }
    assert_eq!(disk.sync_count() - syncs, 1);
}

#[test]
fn segments_for_large_reservations_are_made_by_jobs_so_that_no_order_waits_for_the_disk() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    journal.reserve(5000).unwrap(); // larger than the first segment: this one waits
    for number in 0..200 {
        let syncs = disk.sync_count();
        journal.reserve(5000).unwrap();
        record(&mut journal, &[1; 100]);
        journal.write().unwrap();
        assert_eq!(disk.sync_count(), syncs, "record {number}");
        if let Some(job) = journal.sync_job() {
            journal.synced(job.run()).unwrap();
        }
    }
    let segments = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).count();
    assert!(segments > 3, "it went on in others: {segments}");
}

#[test]
fn after_a_large_reservation_was_refused_the_next_segments_are_made_by_jobs_all_the_same() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    disk.set_capacity(60_000);
    assert!(matches!(journal.reserve(100_000), Err(Error::NoSpace { .. })));
    for number in 0..20 {
        let syncs = disk.sync_count();
        journal.reserve(1000).unwrap();
        record(&mut journal, &[1; 1000]);
        journal.write().unwrap();
        assert_eq!(disk.sync_count(), syncs, "record {number}");
        if let Some(job) = journal.sync_job() {
            journal.synced(job.run()).unwrap();
        }
    }
}
