//! The journal in a real directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use std::fs;
use std::thread;

use bridge_journal::{Disk, DiskFile, Durability, Error, Options, RealDisk};
use given::{FIRST_SEGMENT, open, record, small, try_open, try_read, turn};

#[test]
fn a_journal_reopens_with_everything_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/by/the/engine");
    let mut opened = open(RealDisk::open(&path).unwrap(), small(Durability::Always));
    for number in 0..20 {
        turn(&mut opened.journal, &[&[number; 700], b"second"]);
    }
    let id = opened.journal.journal_id();
    opened.journal.close().unwrap();
    let reopened = open(RealDisk::open(&path).unwrap(), small(Durability::Always));
    assert_eq!(reopened.recovered.records, 40);
    assert_eq!(reopened.recovered.journal_id, id);
    assert!(reopened.recovered.closed);
    assert_eq!(reopened.records[38].payload, vec![19; 700]);
}

#[test]
fn a_second_engine_is_refused_and_told_who_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = RealDisk::open(directory.path()).unwrap();
    let refusal = RealDisk::open(directory.path()).unwrap_err();
    assert!(matches!(refusal, Error::DirectoryInUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(refusal.to_string().contains("in use by another engine (pid "));
    drop(first);
    RealDisk::open(directory.path()).unwrap();
}

#[test]
fn the_lock_lives_as_long_as_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(RealDisk::open(directory.path()).unwrap(), small(Durability::Os));
    assert!(RealDisk::open(directory.path()).is_err());
    opened.journal.close().unwrap();
    RealDisk::open(directory.path()).unwrap();
}

#[test]
fn a_directory_that_an_engine_uses_can_be_read_and_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = open(RealDisk::open(directory.path()).unwrap(), small(Durability::Always));
    turn(&mut opened.journal, &[b"one", b"two"]);
    let reader = RealDisk::open_read_only(directory.path()).unwrap();
    let (summary, records) = try_read(&reader).unwrap();
    assert_eq!((summary.records, summary.cut_bytes, records[1].payload.as_slice()), (2, 0, b"two".as_slice()));
    assert!(reader.create("x").is_err());
    assert!(reader.remove(FIRST_SEGMENT).is_err());
    assert!(reader.rename(FIRST_SEGMENT, "x").is_err());
    assert!(reader.open(FIRST_SEGMENT).unwrap().write_at(b"x", 0).is_err());
    assert!(try_open(RealDisk::open_read_only(directory.path()).unwrap(), small(Durability::Always)).is_err());
}

#[test]
fn reading_while_an_engine_appends_sees_a_prefix_and_never_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let mut journal = open(RealDisk::open(&path).unwrap(), small(Durability::Always)).journal;
    record(&mut journal, &1_u64.to_le_bytes());
    journal.write().unwrap();
    let reader = thread::spawn(move || {
        let disk = RealDisk::open_read_only(&path).unwrap();
        let mut seen = 0;
        while seen < 300 {
            let (summary, records) = try_read(&disk).unwrap();
            assert!(summary.records >= seen);
            for record in &records {
                assert_eq!(record.payload[..8], record.seq.to_le_bytes());
            }
            seen = summary.records;
        }
    });
    for seq in 2..=300_u64 {
        let mut payload = vec![0; 200];
        payload[..8].copy_from_slice(&seq.to_le_bytes());
        turn(&mut journal, &[&payload]);
    }
    reader.join().unwrap();
}

#[test]
fn a_torn_tail_of_a_real_file_is_cut_and_the_segment_is_whole_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = open(RealDisk::open(directory.path()).unwrap(), small(Durability::Always)).journal;
    turn(&mut journal, &[b"one"]);
    drop(journal);
    let path = directory.path().join(FIRST_SEGMENT);
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.write_at(&[0xAB; 500], 64 + 40).unwrap();
    // As after the loss of the machine: no process of this boot leaves such a tail.
    let boot = directory.path().join("BOOT");
    let reader = RealDisk::open_read_only(directory.path()).unwrap();
    assert!(matches!(try_read(&reader), Err(Error::Damaged { offset: 104, .. })));
    fs::write(boot, [0; 20]).unwrap();
    assert_eq!(try_read(&reader).unwrap().0.cut_bytes, 500);
    assert_eq!(fs::read(&path).unwrap()[104..604], [0xAB; 500], "reading changes nothing");
    let opened = open(RealDisk::open(directory.path()).unwrap(), small(Durability::Always));
    assert_eq!((opened.recovered.records, opened.recovered.cut_bytes), (1, 500));
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 4096);
    assert!(bytes[104..].iter().all(|byte| *byte == 0));
}

#[test]
fn segments_are_allocated_ahead_in_full() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1 << 20, ..Options::default() };
    let opened = open(RealDisk::open(directory.path()).unwrap(), options);
    let metadata = fs::metadata(directory.path().join(FIRST_SEGMENT)).unwrap();
    assert_eq!(metadata.len(), 1 << 20);
    assert!(metadata.blocks() * 512 >= 1 << 20, "the file is sparse");
    drop(opened);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"not a directory").unwrap();
    let error = RealDisk::open(&path).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_byte_far_behind_the_last_record_is_found() {
    for far in [70_000, 1 << 20, (5 << 20) + 13, (8 << 20) - 1] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { durability: Durability::Always, segment_bytes: 8 << 20 };
        let mut journal = open(RealDisk::open(directory.path()).unwrap(), options).journal;
        turn(&mut journal, &[b"one"]);
        drop(journal);
        let path = directory.path().join(FIRST_SEGMENT);
        let reader = RealDisk::open_read_only(directory.path()).unwrap();
        assert_eq!(try_read(&reader).unwrap().0.cut_bytes, 0);
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_at(&[1], far).unwrap();
        assert!(matches!(try_read(&reader), Err(Error::Damaged { .. })), "the byte at {far} was passed over");
        fs::write(directory.path().join("BOOT"), [0; 20]).unwrap();
        assert_eq!(try_read(&reader).unwrap().0.cut_bytes, far + 1 - 104, "{far}");
    }
}
