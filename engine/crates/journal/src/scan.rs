//! Reading a journal from its first record to its end, and telling a torn tail from damage.
//!
//! Records are written in order and become durable in order, but what was written after the last
//! sync may reach the disk in any part and in any order. So at the first record that is not
//! whole, say number `s`, there are two cases:
//!
//! - Something later says that `s` was durable: a whole header with `durable_seq >= s` (a record
//!   or the mark of a close in order). Then `s` was damaged afterwards: [`Error::Damaged`].
//! - Nothing does. Then nobody was ever told about `s` or what follows it: the torn tail.
//!
//! (In mode `Os` records are acknowledged before they are synced; `durable_seq` on disk is what
//! was synced, there too, so that what the loss of a machine tears is not taken for damage.)
//!
//! If the machine has lived on since (`boot`), nothing that was written can be missing, whatever
//! was synced: only the last write may end early, with nothing behind its end. Then all that stands
//! farther behind says that `s` was written whole, and has been damaged.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use crate::boot;
use crate::format::{Kind, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, payload_checksum};
use crate::search::{search, torn_write_bytes};
use crate::segment::{Segment, list_segments, segment_name};
use crate::window::Window;
use crate::{Disk, Error, RecoveryError};

/// One whole record, as the visitor sees it.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its sequence number: from 1, without holes.
    pub seq: u64,
    /// What was appended.
    pub payload: &'a [u8],
    /// The segment's file name, for messages.
    pub file: &'a str,
    /// Where the record starts in the file.
    pub offset: u64,
}

/// What a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The identity of the journal.
    pub journal_id: Uuid,
    /// The first record; `last_seq + 1` where there is none.
    pub first_seq: u64,
    /// The last whole record; `first_seq - 1` where there is none.
    pub last_seq: u64,
    /// How many records there are.
    pub records: u64,
    /// Bytes of the torn tail: cut by [`crate::Journal::open`], only reported by [`read`].
    pub cut_bytes: u64,
    /// Whether the journal was closed in order after its last record.
    pub closed: bool,
}

/// Reads a journal without a lock and without a write, for verify and dump. The journal may be
/// in use by an engine: then the end is somewhere among what it is writing.
///
/// # Errors
/// [`Error::NoJournal`], [`Error::Damaged`], what the disk or the visitor says.
pub fn read<D: Disk, E>(
    disk: &D,
    visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<Summary, RecoveryError<E>> {
    read_from(disk, None, visit)
}

/// A snapshot that reading starts behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its journal.
    pub journal_id: Uuid,
    /// The last record that it includes.
    pub seq: u64,
}

/// The same behind a snapshot: from the segment on that holds the record after it.
///
/// # Errors
/// As [`read`].
pub fn read_from<D: Disk, E>(
    disk: &D,
    start: Option<Start>,
    visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<Summary, RecoveryError<E>> {
    Ok(scan_from(disk, start, u64::MAX, visit)?.summary)
}

/// Reads segments that are closed, up to the record `through`, while the engine writes behind them. None of it may be
/// missing.
///
/// # Errors
/// As [`read`].
pub fn read_closed<D: Disk, E>(
    disk: &D,
    start: Option<Start>,
    through: u64,
    visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<Summary, RecoveryError<E>> {
    Ok(scan_from(disk, start, through, visit)?.summary)
}

/// What recovery needs to go on from a scan.
pub(crate) struct Scan<D: Disk> {
    pub summary: Summary,
    /// The segment that holds the end.
    pub segment: Segment<D>,
    pub segment_first_seq: u64,
    /// Where the next record goes.
    pub end_offset: u64,
    /// Segments that hold nothing but torn tail, by first sequence number, ascending.
    pub torn_segments: Vec<u64>,
    /// Where the whole records and marks stand of which nothing says that they are durable.
    pub unwitnessed: Vec<Stretch>,
}

/// A part of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub segment_first_seq: u64,
    pub from: u64,
    pub to: u64,
}

pub(crate) fn scan_from<D: Disk, E>(
    disk: &D,
    start: Option<Start>,
    through: u64,
    mut visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
) -> Result<Scan<D>, RecoveryError<E>> {
    let mut scanner = Scanner::start(disk, start, through)?;
    loop {
        scanner.read_records(&mut visit)?;
        if scanner.next_seq > through {
            return Ok(scanner.finish(Tail::default()));
        }
        match scanner.look_beyond()? {
            Beyond::Segment(segment) => scanner.enter(segment),
            Beyond::WholeByNow => {}
            Beyond::Nothing(tail) => return Ok(scanner.finish(tail)),
        }
    }
}

/// What comes after the last record of a segment.
enum Beyond<D: Disk> {
    Segment(Segment<D>),
    /// A live engine has finished the record since.
    WholeByNow,
    Nothing(Tail),
}

#[derive(Default)]
struct Tail {
    bytes: u64,
    torn_segments: Vec<u64>,
}

/// The record at the scanner's place, if it is whole.
enum Found {
    Record { durable_seq: u64, padded_length: usize, length: usize },
    CleanClose,
    NotWhole(&'static str),
}

struct Scanner<'d, D: Disk> {
    disk: &'d D,
    /// The machine lives since the last writer began.
    same_boot: bool,
    segment: Segment<D>,
    segment_first_seq: u64,
    window: Window<D::File>,
    offset: u64,
    next_seq: u64,
    /// Reading ends with this one.
    through: u64,
    /// Up to this one a snapshot says that all was durable.
    snapshot_seq: u64,
    first_seq: u64,
    closed: bool,
    /// The highest sequence number that something whole says was durable.
    witnessed_seq: u64,
    /// What stands above that: sequence number (for a mark, that of the record after it), that of
    /// its segment, offset.
    unwitnessed: VecDeque<(u64, u64, u64)>,
    /// Where the records of segments end: first sequence number, offset.
    ends: Vec<(u64, u64)>,
}

impl<'d, D: Disk> Scanner<'d, D> {
    fn start(disk: &'d D, start: Option<Start>, through: u64) -> Result<Self, Error> {
        // First: a start that goes on meanwhile makes its note when the segments are as it says.
        let same_boot = boot::is_of_last_writer(disk)?;
        let segments = list_segments(disk)?;
        let oldest = *segments.first().ok_or(Error::NoJournal)?;
        let snapshot_seq = start.map_or(0, |start| start.seq);
        let holds_next = segments.iter().rev().find(|first_seq| **first_seq <= snapshot_seq + 1);
        let Some(&first_seq) = holds_next else {
            let detail = format!("the segments with records {} to {} are gone", snapshot_seq + 1, oldest - 1);
            return Err(Error::damaged(&segment_name(oldest), 0, detail));
        };
        let segment = Segment::open(disk, first_seq)?;
        if let Some(Start { journal_id, .. }) = start.filter(|start| start.journal_id != segment.header.journal_id) {
            let detail = format!("it belongs to journal {}, the snapshot to {journal_id}", segment.header.journal_id);
            return Err(Error::damaged(&segment.name, 0, detail));
        }
        Ok(Self {
            disk,
            same_boot,
            window: Window::new(Arc::clone(&segment.file), segment.file_bytes),
            segment,
            segment_first_seq: first_seq,
            offset: SEGMENT_HEADER_BYTES,
            next_seq: first_seq,
            through,
            snapshot_seq,
            first_seq,
            closed: false,
            witnessed_seq: snapshot_seq,
            unwitnessed: VecDeque::new(),
            ends: Vec::new(),
        })
    }

    fn enter(&mut self, segment: Segment<D>) {
        self.ends.push((self.segment_first_seq, self.offset));
        self.window = Window::new(Arc::clone(&segment.file), segment.file_bytes);
        self.segment = segment;
        self.segment_first_seq = self.next_seq;
        self.offset = SEGMENT_HEADER_BYTES;
    }

    /// Visits whole records up to the first that is not.
    fn read_records<E>(
        &mut self,
        visit: &mut impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), RecoveryError<E>> {
        while self.next_seq <= self.through {
            match self.find()? {
                Found::Record { durable_seq, padded_length, length } => {
                    self.visit_record(length, visit)?;
                    self.note_unwitnessed();
                    self.witness(durable_seq);
                    self.offset += (RECORD_HEADER_BYTES + padded_length) as u64;
                    self.next_seq += 1;
                    self.closed = false;
                }
                Found::CleanClose => {
                    self.witness(self.next_seq - 1);
                    // The mark speaks for the records before it, and only what comes after speaks for
                    // the mark: its own sync may have failed.
                    self.note_unwitnessed();
                    self.offset += RECORD_HEADER_BYTES as u64;
                    self.closed = true;
                }
                Found::NotWhole(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn visit_record<E>(
        &mut self,
        length: usize,
        visit: &mut impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), RecoveryError<E>> {
        let (seq, offset, file) = (self.next_seq, self.offset, &self.segment.name);
        let payload = self.window.get(offset + RECORD_HEADER_BYTES as u64, length);
        let payload = payload.map_err(Error::io("read", file))?.unwrap_or_default();
        visit(RecordRef { seq, payload, file, offset }).map_err(|source| RecoveryError::Visitor {
            file: file.to_string(),
            offset,
            seq,
            source,
        })
    }

    fn note_unwitnessed(&mut self) {
        self.unwitnessed.push_back((self.next_seq, self.segment_first_seq, self.offset));
    }

    fn witness(&mut self, durable_seq: u64) {
        self.witnessed_seq = self.witnessed_seq.max(durable_seq);
        while self.unwitnessed.front().is_some_and(|(seq, _, _)| *seq <= self.witnessed_seq) {
            self.unwitnessed.pop_front();
        }
    }

    fn find(&mut self) -> Result<Found, Error> {
        self.try_find().map_err(Error::io("read", &self.segment.name))
    }

    fn try_find(&mut self) -> io::Result<Found> {
        let seed = self.segment.seed;
        let Some(bytes) = self.window.get(self.offset, RECORD_HEADER_BYTES)? else {
            return Ok(Found::NotWhole("the file ends there"));
        };
        let Some(header) = RecordHeader::decode(seed, bytes) else {
            let zeros = bytes.iter().all(|byte| *byte == 0);
            return Ok(Found::NotWhole(if zeros { "there are zeros" } else { "its header is not whole" }));
        };
        if header.kind == Kind::CleanClose {
            return Ok(match header.seq + 1 == self.next_seq {
                true => Found::CleanClose,
                false => Found::NotWhole("the mark of another close stands there"),
            });
        }
        if header.seq != self.next_seq {
            return Ok(Found::NotWhole("another record stands there"));
        }
        let payload_offset = self.offset + RECORD_HEADER_BYTES as u64;
        let Some(payload) = self.window.get(payload_offset, header.padded_length())? else {
            return Ok(Found::NotWhole("the file ends within it"));
        };
        if payload_checksum(seed, header.seq, payload) != header.payload_checksum {
            return Ok(Found::NotWhole("its payload is not whole"));
        }
        Ok(Found::Record {
            durable_seq: header.durable_seq,
            padded_length: header.padded_length(),
            length: header.length as usize,
        })
    }

    /// Decides what it means that the next record is not (whole) here.
    fn look_beyond(&mut self) -> Result<Beyond<D>, Error> {
        let mut later = list_segments(self.disk)?;
        later.retain(|first_seq| *first_seq > self.segment_first_seq);
        match later.first() {
            Some(first_seq) if *first_seq == self.next_seq => {
                return self.open_later(*first_seq).map(Beyond::Segment);
            }
            Some(first_seq) if *first_seq < self.next_seq => {
                let detail = format!("it starts at record {first_seq}, which is in {} too", self.segment.name);
                return Err(Error::damaged(&segment_name(*first_seq), 0, detail));
            }
            _ => {}
        }
        let (tail, witness) = self.search_tail(later)?;
        // The search takes time, and a live engine writes meanwhile. Its witness was written
        // after the record, so that a second look tells the two cases apart.
        self.window.look_again().map_err(Error::io("read", &self.segment.name))?;
        let Found::NotWhole(why) = self.find()? else { return Ok(Beyond::WholeByNow) };
        let witness = witness.or_else(|| self.snapshot_witness());
        match witness.or(self.find_more_than_a_torn_write(&tail)?) {
            Some(witness) => {
                let seq = self.next_seq;
                let detail = format!("record {seq} should be there: {why}; {witness}");
                Err(Error::damaged(&self.segment.name, self.offset, detail))
            }
            None => Ok(Beyond::Nothing(tail)),
        }
    }

    fn snapshot_witness(&self) -> Option<String> {
        let says = || format!("the snapshot of record {} says that it was durable", self.snapshot_seq);
        (self.next_seq <= self.snapshot_seq).then(says)
    }

    /// As long as the machine lives, what was written later says that all before it was written.
    fn find_more_than_a_torn_write(&mut self, tail: &Tail) -> Result<Option<String>, Error> {
        if !self.same_boot {
            return Ok(None);
        }
        let torn = torn_write_bytes(&mut self.window, self.segment.seed, self.offset, self.next_seq);
        let torn_bytes = torn.map_err(Error::io("read", &self.segment.name))?;
        let later = match tail.torn_segments.first() {
            Some(first_seq) => format!("{} was begun after it", segment_name(*first_seq)),
            None if tail.bytes > torn_bytes => {
                format!("what was written after it reaches to offset {}", self.offset + tail.bytes)
            }
            None => return Ok(None),
        };
        Ok(Some(format!("{later}, and the machine has not been restarted since")))
    }

    fn open_later(&self, first_seq: u64) -> Result<Segment<D>, Error> {
        let segment = Segment::open(self.disk, first_seq)?;
        let (ours, its) = (self.segment.header.journal_id, segment.header.journal_id);
        if ours != its {
            let detail = format!("it belongs to journal {its}, the segments before it to {ours}");
            return Err(Error::damaged(&segment.name, 0, detail));
        }
        Ok(segment)
    }

    /// Goes through all that follows the scanner's place, for its size and for a witness that the
    /// record here was durable.
    fn search_tail(&mut self, later: Vec<u64>) -> Result<(Tail, Option<String>), Error> {
        let searched = search(&mut self.window, self.segment.seed, self.offset, self.next_seq);
        let here = searched.map_err(Error::io("read", &self.segment.name))?;
        let mut tail = Tail { bytes: here.bytes, torn_segments: later };
        let mut witness = here.witness.map(|seq| describe_witness(seq, &self.segment.name));
        for first_seq in &tail.torn_segments {
            let segment = self.open_later(*first_seq)?;
            let mut window = Window::new(Arc::clone(&segment.file), segment.file_bytes);
            let searched = search(&mut window, segment.seed, SEGMENT_HEADER_BYTES, self.next_seq);
            let there = searched.map_err(Error::io("read", &segment.name))?;
            tail.bytes += there.bytes;
            witness = witness.or(there.witness.map(|seq| describe_witness(seq, &segment.name)));
        }
        Ok((tail, witness))
    }

    fn finish(mut self, tail: Tail) -> Scan<D> {
        self.ends.push((self.segment_first_seq, self.offset));
        let mut unwitnessed = Vec::new();
        for (segment_first_seq, to) in self.ends {
            let at = self.unwitnessed.partition_point(|(_, first_seq, _)| *first_seq < segment_first_seq);
            if let Some((_, first_seq, from)) = self.unwitnessed.get(at)
                && *first_seq == segment_first_seq
            {
                unwitnessed.push(Stretch { segment_first_seq, from: *from, to });
            }
        }
        let last_seq = self.next_seq - 1;
        Scan {
            summary: Summary {
                journal_id: self.segment.header.journal_id,
                first_seq: self.first_seq,
                last_seq,
                records: last_seq + 1 - self.first_seq,
                cut_bytes: tail.bytes,
                closed: self.closed && tail.bytes == 0,
            },
            segment: self.segment,
            segment_first_seq: self.segment_first_seq,
            end_offset: self.offset,
            torn_segments: tail.torn_segments,
            unwitnessed,
        }
    }
}

fn describe_witness(seq: u64, file: &str) -> String {
    format!("what was written after record {seq} in {file} says that it was durable")
}
