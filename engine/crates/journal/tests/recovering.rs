//! What a start makes of what it finds: torn tails are cut, damage in the middle is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use bridge_journal::fake::FakeDisk;
use bridge_journal::{Disk, Durability, Error, FORMAT_VERSION, Journal, RecoveryError};
use given::{FIRST_SEGMENT, journal_of, open, record, small, sync, try_open, try_read, turn};

#[test]
fn a_new_journal_is_empty_and_keeps_its_id() {
    let disk = FakeDisk::new(1);
    let opened = open(disk.clone(), small(Durability::Always));
    let id = opened.journal.journal_id();
    assert_eq!(id.get_version_num(), 4);
    assert_eq!((opened.recovered.first_seq, opened.recovered.last_seq, opened.recovered.records), (1, 0, 0));
    assert_eq!(open(disk.crash(), small(Durability::Always)).recovered.journal_id, id);
}

#[test]
fn two_journals_have_two_ids() {
    let ids = [1, 2].map(|seed| open(FakeDisk::new(seed), small(Durability::Always)).recovered.journal_id);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_crash_anywhere_in_the_creation_leaves_a_directory_that_opens() {
    for seed in 0..200 {
        let disk = FakeDisk::new(seed);
        disk.fail_sync(1 + seed % 3);
        let created = try_open(disk.clone(), small(Durability::Always));
        let after = open(disk.crash(), small(Durability::Always));
        assert_eq!(after.recovered.records, 0);
        if let Ok(before) = created {
            assert_eq!(before.recovered.journal_id, after.recovered.journal_id, "an id that was shown stays");
        }
    }
}

#[test]
fn a_close_in_order_is_seen_and_the_next_record_follows_it() {
    let (disk, journal) = journal_of(2, 10, small(Durability::Os));
    journal.close().unwrap();
    let mut reopened = open(disk.crash(), small(Durability::Os));
    assert!(reopened.recovered.closed);
    assert_eq!(reopened.recovered.cut_bytes, 0);
    assert_eq!(record(&mut reopened.journal, b"three"), 3);
}

#[test]
fn closing_and_opening_for_ever_without_a_record_does_not_break_the_journal() {
    let mut disk = FakeDisk::new(1);
    for _ in 0..300 {
        let opened = open(disk.clone(), small(Durability::Always));
        opened.journal.close().unwrap();
        disk = disk.crash();
    }
    let mut last = open(disk.clone(), small(Durability::Always));
    assert!(last.recovered.closed);
    turn(&mut last.journal, &[b"one"]);
    assert_eq!(open(disk.crash(), small(Durability::Always)).recovered.records, 1);
}

#[test]
fn a_torn_tail_is_cut_and_nothing_of_it_ever_comes_back() {
    let mut cuts = 0;
    for seed in 0..200 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        turn(&mut journal, &[b"kept"]);
        for number in 1..=6 {
            record(&mut journal, &[number; 700]);
        }
        journal.write().unwrap();
        let second_life = disk.crash();
        let mut opened = open(second_life.clone(), small(Durability::Always));
        assert_eq!(opened.records[0].payload, b"kept");
        cuts += u32::from(opened.recovered.cut_bytes > 0);
        let kept = opened.recovered.last_seq;
        turn(&mut opened.journal, &[b"new"]);
        let third_life = open(second_life.crash(), small(Durability::Always));
        assert_eq!(third_life.recovered.last_seq, kept + 1, "seed {seed}");
        assert_eq!(third_life.records.last().unwrap().payload, b"new");
        assert_eq!(third_life.recovered.cut_bytes, 0);
    }
    assert!(cuts > 20, "the fake disk tore only {cuts} tails");
}

#[test]
fn a_record_of_the_cut_tail_never_lines_up_with_a_new_one_of_the_same_size() {
    let mut torn_inside = 0;
    for seed in 0..8000 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        for _ in 0..5 {
            record(&mut journal, &[1; 600]);
        }
        journal.write().unwrap();
        let second_life = disk.crash();
        let mut opened = open(second_life.clone(), small(Durability::Always));
        let kept = opened.records.len();
        torn_inside += u32::from(kept < 4 && opened.recovered.cut_bytes > 700);
        record(&mut opened.journal, &[2; 600]);
        opened.journal.write().unwrap();
        let third_life = open(second_life.crash(), small(Durability::Always));
        assert!(third_life.payloads()[kept..].iter().all(|payload| *payload == [2; 600]), "seed {seed}");
    }
    assert!(torn_inside > 20, "only {torn_inside} tails had whole records behind a torn one");
}

#[test]
fn a_cut_whose_sync_failed_is_made_again_by_the_next_start() {
    for seed in 0..400 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        for _ in 0..5 {
            record(&mut journal, &[1; 600]);
        }
        journal.write().unwrap();
        let second_life = disk.crash();
        second_life.fail_sync(1);
        assert!(try_open(second_life.clone(), small(Durability::Always)).is_err());
        // The cache shows the cut, the platter may not.
        let third_life = second_life.kill();
        let mut opened = open(third_life.clone(), small(Durability::Always));
        let kept = opened.records.len();
        turn(&mut opened.journal, &[&[2; 600]]);
        let fourth_life = open(third_life.crash(), small(Durability::Always));
        assert_eq!(fourth_life.payloads()[kept..], [vec![2; 600]], "seed {seed}");
    }
}

#[test]
fn an_older_segment_that_was_not_synced_is_cut_with_all_that_follows() {
    let mut segments_dropped = 0;
    for seed in 0..200 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        turn(&mut journal, &[b"kept"]);
        for number in 1..=12 {
            record(&mut journal, &[number; 1000]);
            journal.write().unwrap();
        }
        let second_life = disk.crash();
        let segments_before = segments(&second_life);
        let mut opened = open(second_life.clone(), small(Durability::Always));
        segments_dropped += segments_before - segments(&second_life);
        let expected: Vec<Vec<u8>> =
            (0..=12).map(|number| if number == 0 { b"kept".to_vec() } else { vec![number; 1000] }).collect();
        assert_eq!(opened.payloads(), expected[..opened.records.len()], "seed {seed}");
        turn(&mut opened.journal, &[b"new"]);
        assert_eq!(open(second_life.crash(), small(Durability::Always)).records.last().unwrap().payload, b"new");
    }
    assert!(segments_dropped > 10, "only {segments_dropped} segments were ever dropped");
}

fn segments(disk: &FakeDisk) -> usize {
    disk.list().unwrap().iter().filter(|name| name.ends_with(".seg")).count()
}

#[test]
fn damage_of_any_bit_of_an_acknowledged_record_names_its_file_and_offset() {
    let (disk, mut journal) = journal_of(8, 900, small(Durability::Always));
    turn(&mut journal, &[b"the witness of the eighth"]);
    let (_, records) = try_read(&disk).unwrap();
    for (index, damaged) in records[..8].iter().enumerate() {
        for at in (0..32 + 904).step_by(37) {
            let copy = disk.kill();
            assert!(copy.corrupt(&damaged.file, damaged.offset + at, 1 << (at % 8)));
            let before = copy.contents(&damaged.file);
            for error in
                [try_read(&copy).err().unwrap(), try_open(copy.clone(), small(Durability::Always)).err().unwrap()]
            {
                match error {
                    Error::Damaged { file, offset, .. } => {
                        assert_eq!((&file, offset), (&damaged.file, damaged.offset), "record {} byte {at}", index + 1);
                    }
                    other => panic!("record {}, byte {at}: {other}", index + 1),
                }
            }
            assert_eq!(copy.contents(&damaged.file), before, "a start that is refused changes nothing");
        }
    }
}

#[test]
fn damage_of_the_last_record_is_known_after_a_close_in_order() {
    for durability in [Durability::Always, Durability::Os] {
        let (disk, journal) = journal_of(3, 100, small(durability));
        let (_, records) = try_read(&disk).unwrap();
        journal.close().unwrap();
        assert!(disk.corrupt(FIRST_SEGMENT, records[2].offset + 40, 1));
        let error = try_open(disk.kill(), small(durability)).err().unwrap();
        assert!(matches!(error, Error::Damaged { offset, .. } if offset == records[2].offset), "{error}");
    }
}

/// Eight records in three segments, none of them synced: only the boot says that they were whole.
fn unsynced_journal() -> FakeDisk {
    let disk = FakeDisk::new(8);
    let mut journal = open(disk.clone(), small(Durability::Os)).journal;
    for number in 1..=8 {
        record(&mut journal, &[number; 1000]);
        journal.write().unwrap();
    }
    disk
}

#[test]
fn as_long_as_the_machine_lives_damage_of_an_unsynced_record_is_known() {
    for (what, from, bytes) in [("a flipped byte", 1200, 1), ("a hole", 1000, 1500), ("a hole at a record", 1096, 2064)]
    {
        let disk = unsynced_journal().kill();
        let file = disk.open(FIRST_SEGMENT).unwrap();
        let damage = vec![if bytes == 1 { 0xFF } else { 0 }; bytes];
        bridge_journal::DiskFile::write_at(&file, &damage, from).unwrap();
        for error in [try_read(&disk).err().unwrap(), try_open(disk.clone(), small(Durability::Os)).err().unwrap()] {
            assert!(matches!(&error, Error::Damaged { file, .. } if file == FIRST_SEGMENT), "{what}: {error}");
        }
        // The same bytes after the loss of the machine may be a torn tail.
        open(disk.crash(), small(Durability::Os));
    }
}

#[test]
fn as_long_as_the_machine_lives_a_torn_last_write_is_cut_wherever_it_ends() {
    let (disk, _journal) = journal_of(2, 100, small(Durability::Os));
    let (_, records) = try_read(&disk).unwrap();
    let last = records[1].offset;
    for written in 0..136 {
        let torn = disk.kill();
        let file = torn.open(FIRST_SEGMENT).unwrap();
        bridge_journal::DiskFile::write_at(&file, &vec![0; 4096 - (last + written) as usize], last + written).unwrap();
        let whole = written >= 32 + 100; // the padding is zeros anyway
        let opened = open(torn, small(Durability::Os));
        assert_eq!(opened.recovered.last_seq, if whole { 2 } else { 1 }, "{written} bytes written");
    }
}

#[test]
fn garbage_behind_the_last_record_is_no_torn_write() {
    let (disk, _journal) = journal_of(2, 100, small(Durability::Os));
    let disk = disk.kill();
    let file = disk.open(FIRST_SEGMENT).unwrap();
    bridge_journal::DiskFile::write_at(&file, &[7; 8], 3000).unwrap();
    assert!(matches!(try_open(disk, small(Durability::Os)), Err(Error::Damaged { offset, .. }) if offset == 64 + 272));
}

#[test]
fn an_older_directory_without_a_boot_is_read_as_after_a_loss_of_the_machine() {
    let disk = unsynced_journal().kill();
    disk.remove("BOOT").unwrap();
    let file = disk.open(FIRST_SEGMENT).unwrap();
    bridge_journal::DiskFile::write_at(&file, &[0; 64], 1200).unwrap();
    let opened = open(disk.clone(), small(Durability::Os));
    assert_eq!(opened.recovered.last_seq, 1);
    assert!(disk.list().unwrap().contains(&"BOOT".to_owned()), "from now on it is known");
}

#[test]
fn the_message_of_damage_says_where_and_what_to_do() {
    let (disk, journal) = journal_of(3, 100, small(Durability::Always));
    journal.close().unwrap();
    assert!(disk.corrupt(FIRST_SEGMENT, 100, 1));
    assert_eq!(
        try_open(disk, small(Durability::Always)).err().unwrap().to_string(),
        "journal damaged in the middle: 00000000000000000001.seg at offset 64: record 1 should be there: its payload is \
         not whole; what was written after record 2 in 00000000000000000001.seg says that it was durable; restore the \
         file from a copy; the engine does not start on it"
    );
}

#[test]
fn a_damaged_segment_header_is_refused_wherever_it_is() {
    let (disk, _journal) = journal_of(8, 1000, small(Durability::Always));
    for name in ["00000000000000000001.seg", "00000000000000000004.seg", "00000000000000000007.seg"] {
        let copy = disk.kill();
        assert!(copy.corrupt(name, 20, 1));
        let error = try_open(copy, small(Durability::Always)).err().unwrap();
        assert!(matches!(&error, Error::Damaged { file, offset: 0, .. } if file == name), "{error}");
    }
}

#[test]
fn a_missing_segment_is_damage() {
    for (missing, named, at) in [
        ("00000000000000000001.seg", "00000000000000000004.seg", 0),
        ("00000000000000000004.seg", "00000000000000000001.seg", 64 + 3 * 1032),
    ] {
        let (disk, _journal) = journal_of(8, 1000, small(Durability::Always));
        disk.remove(missing).unwrap();
        let error = try_open(disk.kill(), small(Durability::Always)).err().unwrap();
        assert!(matches!(&error, Error::Damaged { file, offset, .. } if file == named && *offset == at), "{error}");
    }
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let (ours, _journal) = journal_of(8, 1000, small(Durability::Always));
    let (theirs, _journal) = journal_of(9, 1000, small(Durability::Always));
    let name = "00000000000000000004.seg";
    let bytes = theirs.contents(name).unwrap();
    bridge_journal::DiskFile::write_at(&ours.open(name).unwrap(), &bytes, 0).unwrap();
    let error = try_open(ours.kill(), small(Durability::Always)).err().unwrap();
    assert!(
        matches!(&error, Error::Damaged { file, offset: 0, detail } if file == name && detail.contains("belongs to"))
    );
}

#[test]
fn a_segment_that_was_cut_short_is_damage_if_a_later_one_knows_better() {
    let (disk, _journal) = journal_of(8, 1000, small(Durability::Always));
    bridge_journal::DiskFile::truncate(&disk.open(FIRST_SEGMENT).unwrap(), 2000).unwrap();
    let error = try_open(disk.kill(), small(Durability::Always)).err().unwrap();
    assert!(matches!(error, Error::Damaged { offset, .. } if offset == 64 + 1032));
}

#[test]
fn records_that_imitate_records_do_not_pass_for_witnesses() {
    // Payloads made of the bytes of a real record, as a client might send who has seen a segment.
    let (other, _journal) = journal_of(3, 24, small(Durability::Always));
    let imitation = other.contents(FIRST_SEGMENT).unwrap()[64..64 + 3 * 56].to_vec();
    for seed in 100..150 {
        let disk = FakeDisk::new(seed);
        let mut journal = open(disk.clone(), small(Durability::Always)).journal;
        for _ in 0..10 {
            record(&mut journal, &imitation);
        }
        journal.write().unwrap();
        let after = open(disk.crash(), small(Durability::Always));
        assert!(after.payloads().iter().all(|payload| *payload == imitation));
    }
}

#[test]
fn a_visitor_that_refuses_a_record_stops_the_start_with_its_place() {
    let (disk, _journal) = journal_of(3, 100, small(Durability::Always));
    let opened = Journal::open(disk.kill(), small(Durability::Always), |record| match record.seq {
        2 => Err("not understood"),
        _ => Ok(()),
    });
    match opened.err().unwrap() {
        RecoveryError::Visitor { seq: 2, offset, source: "not understood", file } => {
            assert_eq!((file.as_str(), offset), (FIRST_SEGMENT, 64 + 136));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unfinished_segments_of_an_earlier_process_are_removed() {
    let (disk, mut journal) = journal_of(3, 1000, small(Durability::Always));
    sync(&mut journal);
    assert!(disk.list().unwrap().iter().any(|name| name.ends_with(".tmp")));
    disk.create("somebody's.tmp").unwrap();
    let reopened = disk.kill();
    open(reopened.clone(), small(Durability::Always));
    assert_eq!(reopened.list().unwrap(), [FIRST_SEGMENT, "BOOT", "somebody's.tmp"]);
}

#[test]
fn a_journal_of_another_version_is_refused_by_name() {
    let (disk, _journal) = journal_of(1, 10, small(Durability::Always));
    let mut header = disk.contents(FIRST_SEGMENT).unwrap()[..64].to_vec();
    header[8] = 9;
    let checksum = crc32c::crc32c(&header[..60]);
    header[60..64].copy_from_slice(&checksum.to_le_bytes());
    bridge_journal::DiskFile::write_at(&disk.open(FIRST_SEGMENT).unwrap(), &header, 0).unwrap();
    let error = try_open(disk, small(Durability::Always)).err().unwrap();
    assert!(matches!(error, Error::UnknownFormat { found: 9, known: FORMAT_VERSION, .. }));
}

#[test]
fn reading_reports_a_torn_tail_and_writes_nothing() {
    let (disk, mut journal) = journal_of(2, 100, small(Durability::Always));
    record(&mut journal, &[9; 1000]);
    disk.fail_write(1);
    assert!(journal.write().is_err());
    let before = disk.contents(FIRST_SEGMENT);
    let (writes, syncs) = (disk.write_count(), disk.sync_count());
    let (summary, records) = try_read(&disk).unwrap();
    assert_eq!((summary.records, records.len()), (2, 2));
    assert!(summary.cut_bytes > 0);
    assert_eq!((disk.contents(FIRST_SEGMENT), disk.write_count(), disk.sync_count()), (before, writes, syncs));
    let reopened = open(disk.kill(), small(Durability::Always));
    assert_eq!(reopened.recovered.cut_bytes, summary.cut_bytes);
}

#[test]
fn reading_an_empty_directory_says_that_there_is_no_journal() {
    assert!(matches!(try_read(&FakeDisk::new(1)), Err(Error::NoJournal)));
}
