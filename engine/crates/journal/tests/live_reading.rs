//! Reading a journal while an engine writes it, with the race made to happen every time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bridge_journal::fake::{FakeDisk, FakeFile};
use bridge_journal::{Disk, DiskFile, Durability};
use given::{FIRST_SEGMENT, journal_of, small, try_read};

/// A disk whose first two reads (the segment's header, then its records) see an older state.
struct LateDisk {
    disk: FakeDisk,
    older: Arc<Vec<u8>>,
    reads: Arc<AtomicU64>,
}

struct LateFile {
    file: FakeFile,
    older: Arc<Vec<u8>>,
    reads: Arc<AtomicU64>,
}

impl Disk for LateDisk {
    type File = LateFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<LateFile> {
        let (older, reads) = (Arc::clone(&self.older), Arc::clone(&self.reads));
        Ok(LateFile { file: self.disk.open(name)?, older, reads })
    }
    fn create(&self, _: &str) -> io::Result<LateFile> {
        panic!("reading must not create")
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        panic!("reading must not rename")
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        panic!("reading must not remove")
    }
    fn sync_directory(&self) -> io::Result<()> {
        panic!("reading must not sync")
    }
    fn random_bytes(&self) -> [u8; 16] {
        panic!("reading needs no chance")
    }
    fn boot_id(&self) -> Option<[u8; 16]> {
        None
    }
}

impl DiskFile for LateFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.reads.fetch_add(1, Ordering::Relaxed) >= 2 {
            return self.file.read_at(buffer, offset);
        }
        let older = &self.older[offset as usize..];
        let read = older.len().min(buffer.len());
        buffer[..read].copy_from_slice(&older[..read]);
        Ok(read)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        panic!("reading must not write")
    }
    fn sync_data(&self) -> io::Result<()> {
        panic!("reading must not sync")
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn allocate(&self, _: u64) -> io::Result<()> {
        panic!("reading must not allocate")
    }
    fn truncate(&self, _: u64) -> io::Result<()> {
        panic!("reading must not truncate")
    }
}

fn records_read(disk: FakeDisk, older: Vec<u8>) -> u64 {
    let late = LateDisk { disk, older: Arc::new(older), reads: Arc::default() };
    try_read(&late).unwrap().0.records
}

#[test]
fn a_record_that_is_finished_while_the_reader_looks_beyond_it_is_read() {
    let (disk, _journal) = journal_of(3, 100, small(Durability::Always));
    let mut older = disk.contents(FIRST_SEGMENT).unwrap();
    older[64 + 136..].fill(0);
    assert_eq!(records_read(disk, older), 3);
}

#[test]
fn a_witness_that_is_newer_than_what_was_read_of_the_record_is_not_taken_for_damage() {
    let (disk, _journal) = journal_of(4, 100, small(Durability::Always));
    let mut older = disk.contents(FIRST_SEGMENT).unwrap();
    older[64 + 136 + 50..64 + 2 * 136].fill(0);
    assert_eq!(records_read(disk, older), 4);
}
