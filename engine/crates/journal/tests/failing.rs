//! Disks that are full or broken: refused before apply, or failed for good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use bridge_journal::fake::FakeDisk;
use bridge_journal::{Disk, Durability, Error, Journal};
use given::{open, record, small, sync, try_open, turn};

/// A journal with one durable record and one appended.
fn journal_on(disk: &FakeDisk, durability: Durability) -> Journal<FakeDisk> {
    let mut journal = open(disk.clone(), small(durability)).journal;
    turn(&mut journal, &[b"one"]);
    record(&mut journal, b"two");
    journal
}

fn takes_nothing_more(journal: &mut Journal<FakeDisk>) {
    assert!(journal.failed().is_some());
    assert!(matches!(journal.reserve(1), Err(Error::Failed { .. })));
    assert!(matches!(journal.append(b"x"), Err(Error::Failed { .. })));
    assert!(matches!(journal.write(), Err(Error::Failed { .. })));
    assert!(journal.sync_job().is_none());
}

#[test]
fn a_failed_sync_fails_the_journal_for_good_and_is_never_tried_again() {
    let disk = FakeDisk::new(1);
    let mut journal = journal_on(&disk, Durability::Always);
    journal.write().unwrap();
    disk.fail_sync(1);
    let result = journal.sync_job().unwrap().run();
    assert!(matches!(result.error(), Some(Error::Io { action: "sync", .. })));
    assert!(journal.synced(result).is_err());
    assert_eq!(journal.durable_seq(), 1);
    let syncs = disk.sync_count();
    takes_nothing_more(&mut journal);
    assert!(matches!(journal.close(), Err(Error::Failed { .. })));
    assert_eq!(disk.sync_count(), syncs);
}

#[test]
fn a_failed_write_fails_the_journal_for_good() {
    for durability in [Durability::Always, Durability::Os] {
        let disk = FakeDisk::new(1);
        let mut journal = journal_on(&disk, durability);
        disk.fail_write(1);
        assert!(matches!(journal.write(), Err(Error::Io { action: "write", .. })));
        assert_eq!(journal.durable_seq(), 1);
        takes_nothing_more(&mut journal);
    }
}

#[test]
fn a_sync_that_ends_after_a_write_failed_releases_nothing() {
    let disk = FakeDisk::new(1);
    let mut journal = journal_on(&disk, Durability::Always);
    journal.write().unwrap();
    let job = journal.sync_job().unwrap();
    record(&mut journal, b"three");
    disk.fail_write(1);
    assert!(journal.write().is_err());
    assert!(matches!(journal.synced(job.run()), Err(Error::Failed { .. })));
    assert_eq!(journal.durable_seq(), 1);
}

#[test]
fn what_a_failed_sync_left_in_the_cache_alone_is_written_again_before_it_is_relied_on() {
    for seed in 0..100 {
        let disk = FakeDisk::new(seed);
        let mut journal = journal_on(&disk, Durability::Always);
        journal.write().unwrap();
        disk.fail_sync(1);
        let result = journal.sync_job().unwrap().run();
        assert!(journal.synced(result).is_err());
        // The process restarts, and reads the second record from the cache.
        let second_life = disk.kill();
        let opened = open(second_life.clone(), small(Durability::Always));
        assert_eq!(opened.payloads(), [b"one".to_vec(), b"two".to_vec()]);
        // It may now answer for it, so that it has to survive the machine.
        let third_life = open(second_life.crash(), small(Durability::Always));
        assert_eq!(third_life.payloads(), [b"one".to_vec(), b"two".to_vec()], "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_before_apply_and_the_journal_goes_on_once_there_is_room() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    disk.set_capacity(4096);
    let mut accepted = 0;
    let refusal = loop {
        match journal.reserve(1000) {
            Ok(()) => journal.append(&[accepted; 1000]).unwrap(),
            Err(refusal) => break refusal,
        };
        accepted += 1;
        journal.write().unwrap();
        sync(&mut journal);
    };
    assert!(matches!(refusal, Error::NoSpace { .. }), "{refusal}");
    assert_eq!(accepted, 3);
    assert_eq!(journal.failed(), None);
    assert!(journal.reserve(500).is_ok(), "what fits is still taken");
    disk.set_capacity(1 << 20);
    turn(&mut journal, &[&[3; 1000]]);
    assert_eq!(journal.durable_seq(), 4);
    assert_eq!(open(disk.crash(), small(Durability::Always)).recovered.records, 4);
}

#[test]
fn a_full_disk_keeps_no_half_made_segment() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    disk.set_capacity(4096);
    assert!(matches!(journal.reserve(5000), Err(Error::NoSpace { bytes, .. }) if bytes > 5000));
    assert_eq!(disk.list().unwrap(), [given::FIRST_SEGMENT, "BOOT"]);
}

#[test]
fn an_append_that_finds_no_room_because_nobody_reserved_it_fails_the_journal() {
    let disk = FakeDisk::new(1);
    let mut journal = open(disk.clone(), small(Durability::Always)).journal;
    disk.set_capacity(4096);
    assert!(matches!(journal.append(&[0; 5000]), Err(Error::NoSpace { .. })));
    takes_nothing_more(&mut journal);
}

#[test]
fn a_disk_too_small_for_the_first_segment_is_said_so_and_can_be_tried_again() {
    let disk = FakeDisk::new(1);
    disk.set_capacity(1000);
    assert!(matches!(try_open(disk.clone(), small(Durability::Always)), Err(Error::NoSpace { bytes: 4096, .. })));
    disk.set_capacity(1 << 20);
    assert_eq!(open(disk, small(Durability::Always)).recovered.records, 0);
}

#[test]
fn a_close_that_cannot_sync_leaves_no_mark() {
    for failing_sync in 1..=2 {
        let disk = FakeDisk::new(1);
        let journal = journal_on(&disk, Durability::Always);
        disk.fail_sync(failing_sync);
        assert!(journal.close().is_err());
        if failing_sync == 1 {
            assert!(!open(disk.kill(), small(Durability::Always)).recovered.closed);
        }
    }
}

#[test]
fn a_mark_whose_sync_failed_does_not_cut_off_the_records_after_it() {
    for seed in 0..100 {
        let disk = FakeDisk::new(seed);
        let journal = journal_on(&disk, Durability::Always);
        disk.fail_sync(2);
        assert!(journal.close().is_err());
        // The next process sees the mark in the cache, and writes behind it.
        let second_life = disk.kill();
        turn(&mut open(second_life.clone(), small(Durability::Always)).journal, &[b"three"]);
        assert_eq!(open(second_life.crash(), small(Durability::Always)).recovered.records, 3, "seed {seed}");
    }
}

#[test]
fn a_close_while_a_sync_is_out_leaves_no_mark() {
    let disk = FakeDisk::new(1);
    let mut journal = journal_on(&disk, Durability::Always);
    journal.write().unwrap();
    let _job = journal.sync_job().unwrap();
    assert!(journal.close().is_err());
    assert!(!open(disk.kill(), small(Durability::Always)).recovered.closed);
}
