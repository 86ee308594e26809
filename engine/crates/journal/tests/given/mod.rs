//! What the tests of the journal start from.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test file uses some of it

use std::convert::Infallible;

use bridge_journal::fake::FakeDisk;
use bridge_journal::{Disk, Durability, Error, Journal, Options, RecordRef, Recovered, RecoveryError, Summary};

pub const FIRST_SEGMENT: &str = "00000000000000000001.seg";

/// Small segments, so that a test rolls them.
pub fn small(durability: Durability) -> Options {
    Options { durability, segment_bytes: 4096 }
}

/// A record as a test keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub payload: Vec<u8>,
    pub file: String,
    pub offset: u64,
}

fn keep(records: &mut Vec<Record>) -> impl FnMut(RecordRef<'_>) -> Result<(), Infallible> + '_ {
    |RecordRef { seq, payload, file, offset }| {
        records.push(Record { seq, payload: payload.to_vec(), file: file.to_owned(), offset });
        Ok(())
    }
}

fn journal_error(error: RecoveryError<Infallible>) -> Error {
    match error {
        RecoveryError::Journal(error) => error,
        RecoveryError::Visitor { source, .. } => match source {},
    }
}

pub struct Opened<D: Disk> {
    pub journal: Journal<D>,
    pub recovered: Recovered,
    pub records: Vec<Record>,
}

impl<D: Disk> Opened<D> {
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.records.iter().map(|record| record.payload.clone()).collect()
    }
}

pub fn try_open<D: Disk>(disk: D, options: Options) -> Result<Opened<D>, Error> {
    let mut records = Vec::new();
    let (journal, recovered) = Journal::open(disk, options, keep(&mut records)).map_err(journal_error)?;
    Ok(Opened { journal, recovered, records })
}

pub fn open<D: Disk>(disk: D, options: Options) -> Opened<D> {
    try_open(disk, options).unwrap()
}

pub fn try_read<D: Disk>(disk: &D) -> Result<(Summary, Vec<Record>), Error> {
    let mut records = Vec::new();
    let summary = bridge_journal::read(disk, keep(&mut records)).map_err(journal_error)?;
    Ok((summary, records))
}

/// Reserves and appends: what the engine does for one request.
pub fn record<D: Disk>(journal: &mut Journal<D>, payload: &[u8]) -> u64 {
    journal.reserve(payload.len()).unwrap();
    journal.append(payload).unwrap()
}

/// Syncs all that is written, as the sync thread does.
pub fn sync<D: Disk>(journal: &mut Journal<D>) {
    if let Some(job) = journal.sync_job() {
        journal.synced(job.run()).unwrap();
    }
}

/// One whole turn with these records, acknowledged.
pub fn turn<D: Disk>(journal: &mut Journal<D>, payloads: &[&[u8]]) {
    for payload in payloads {
        record(journal, payload);
    }
    journal.write().unwrap();
    sync(journal);
}

/// A disk with a journal of `count` acknowledged records of `payload_bytes` each, a turn each.
pub fn journal_of(count: u8, payload_bytes: usize, options: Options) -> (FakeDisk, Journal<FakeDisk>) {
    let disk = FakeDisk::new(u64::from(count));
    let mut journal = open(disk.clone(), options).journal;
    for number in 0..count {
        turn(&mut journal, &[&vec![number + 1; payload_bytes]]);
    }
    (disk, journal)
}
