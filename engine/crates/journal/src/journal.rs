//! The journal while the engine runs: reserve, append, write once a turn, sync elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use crate::format::{
    MAX_PAYLOAD_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, encode_clean_close, encode_record, framed_bytes,
};
use crate::segment::{Segment, Segments, Spare, SpareOrder};
use crate::sync::{Unsynced, sync_all};
use crate::{Disk, DiskFile, Error, SyncJob, SyncResult};

/// The buffer of a turn keeps at most so much memory between turns.
const BUFFER_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Every segment keeps room for the mark of a close in order.
const CLOSE_MARK_BYTES: u64 = RECORD_HEADER_BYTES as u64;
/// In mode `Os`, so many full segments may wait for a caller who runs sync jobs; then the
/// journal syncs by itself, so that their file handles do not pile up.
const RETIRED_MAX: usize = 4;

/// What it takes for a record to count as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is synced to the disk: survives the loss of the machine.
    #[default]
    Always,
    /// It is written to the operating system: survives the process, not the machine.
    Os,
}

impl Durability {
    /// As the command line and health spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Os => "os",
        }
    }
}

/// How a journal is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When a record counts as durable.
    pub durability: Durability,
    /// The size of a segment file; a record that is larger gets a larger segment.
    pub segment_bytes: u64,
}

impl Default for Options {
    /// `always`, in segments of 64 MiB: large enough that a new one is rare (about 200,000
    /// orders), small enough to copy and to scan at start in tens of milliseconds.
    fn default() -> Self {
        Self { durability: Durability::Always, segment_bytes: 64 * 1024 * 1024 }
    }
}

/// A journal that is open for appending. Made by [`Journal::open`].
pub struct Journal<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) options: Options,
    pub(crate) current: Segment<D>,
    pub(crate) current_first_seq: u64,
    /// Segments of the directory, the oldest first: first record and file length of each.
    pub(crate) live: VecDeque<(u64, u64)>,
    /// Where in the current segment the buffer will be written.
    pub(crate) write_offset: u64,
    /// The turn's records, framed.
    pub(crate) buffer: Vec<u8>,
    pub(crate) last_seq: u64,
    pub(crate) written_seq: u64,
    pub(crate) synced_seq: u64,
    /// Full segments that are not known to be synced, the oldest first.
    pub(crate) retired: Vec<Unsynced<D>>,
    pub(crate) directory_changed: bool,
    pub(crate) sync_is_out: bool,
    pub(crate) spare: Option<Spare<D>>,
    pub(crate) spares_ordered: u64,
    /// The largest room that was asked for since the current segment began, as it would be framed.
    pub(crate) largest_reserved_bytes: u64,
    /// The disk was full when a spare was last asked for in the background.
    pub(crate) spare_refused: bool,
    pub(crate) failed: Option<String>,
}

impl<D: Disk> Journal<D> {
    /// Makes sure that a record with a payload of `payload_bytes` has allocated room, here or in
    /// the next segment. Call it before `apply`: what cannot be journaled must not be executed.
    /// Covers the appends until the next call, if they come to no more than `payload_bytes`
    /// together, with [`crate::RECORD_OVERHEAD_BYTES`] counted for each after the first.
    ///
    /// # Errors
    /// [`Error::NoSpace`] and [`Error::RecordTooLarge`]: refuse the request, the journal is well.
    /// Any other: the journal has failed.
    pub fn reserve(&mut self, payload_bytes: usize) -> Result<(), Error> {
        self.check()?;
        check_size(payload_bytes)?;
        let needed_bytes = framed_bytes(payload_bytes);
        let largest_before = self.largest_reserved_bytes;
        self.largest_reserved_bytes = largest_before.max(needed_bytes);
        if self.room_bytes() >= needed_bytes {
            return Ok(());
        }
        match self.ready_spare(needed_bytes) {
            Ok(()) => Ok(()),
            Err(full @ Error::NoSpace { .. }) => {
                // Nobody comes with it any more: a spare as large as that is not to be asked for in advance.
                self.largest_reserved_bytes = largest_before;
                Err(full)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Appends a record to the turn's buffer and returns its sequence number, which is one more
    /// than the last. Nothing reaches the disk before [`Journal::write`].
    ///
    /// # Errors
    /// Every error fails the journal for good: the caller has applied what it cannot record.
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, Error> {
        self.check()?;
        check_size(payload.len()).map_err(|error| self.fail(error))?;
        let needed_bytes = framed_bytes(payload.len());
        if self.room_bytes() < needed_bytes {
            self.roll(needed_bytes).map_err(|error| self.fail(error))?;
        }
        let seq = self.last_seq + 1;
        encode_record(&mut self.buffer, self.current.seed, seq, self.synced_seq, payload);
        self.last_seq = seq;
        Ok(seq)
    }

    /// Writes the turn's records, with one call to the disk.
    ///
    /// # Errors
    /// Every error fails the journal for good.
    pub fn write(&mut self) -> Result<(), Error> {
        self.check()?;
        self.write_buffer().map_err(|error| self.fail(error))
    }

    /// What must run so that everything written becomes durable; one job is out at a time.
    ///
    /// In mode `Os` nobody needs to wait for it: it appears only when a segment is full or nearly
    /// so, and syncs full segments and makes the next one. A caller may leave it alone, then the
    /// journal does both in line.
    pub fn sync_job(&mut self) -> Option<SyncJob<D>> {
        if self.failed.is_some() || self.sync_is_out {
            return None;
        }
        let spare_is_due = self.spare_is_due();
        let always = self.options.durability == Durability::Always;
        let is_due = match self.options.durability {
            Durability::Always => self.written_seq > self.synced_seq,
            Durability::Os => !self.retired.is_empty() || spare_is_due,
        };
        if !is_due {
            return None;
        }
        self.sync_is_out = true;
        Some(SyncJob {
            disk: Arc::clone(&self.disk),
            retired: std::mem::take(&mut self.retired),
            current: always.then(|| self.current_file()),
            sync_directory: std::mem::take(&mut self.directory_changed),
            through_seq: if always { self.written_seq } else { self.current_first_seq - 1 },
            spare: spare_is_due.then(|| self.order_spare(self.largest_reserved_bytes)),
        })
    }

    /// Takes note of a finished job and returns [`Journal::durable_seq`].
    ///
    /// # Errors
    /// The job's own, once; the journal has failed for good then.
    pub fn synced(&mut self, result: SyncResult<D>) -> Result<u64, Error> {
        self.sync_is_out = false;
        self.check()?;
        result.outcome.map_err(|error| self.fail(error))?;
        self.synced_seq = self.synced_seq.max(result.through_seq);
        match result.spare {
            Some(Ok(spare)) if self.spare.is_none() => self.spare = Some(spare),
            Some(Ok(unneeded)) => unneeded.discard(&*self.disk),
            // The next reserve asks again, and refuses its request if there is still no room.
            Some(Err(Error::NoSpace { .. })) => self.spare_refused = true,
            Some(Err(error)) => return Err(self.fail(error)),
            None => {}
        }
        Ok(self.durable_seq())
    }

    /// The last record that was appended; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The last record that is durable by the chosen [`Durability`]: what depends on it may
    /// leave. Does not move any more once the journal has failed.
    pub fn durable_seq(&self) -> u64 {
        match self.options.durability {
            Durability::Always => self.synced_seq,
            Durability::Os => self.written_seq,
        }
    }

    /// The last record of those segments that are full, synced, and never written again; 0: there is none.
    pub fn closed_through_seq(&self) -> u64 {
        let last_closed = self.current_first_seq - 1;
        if self.synced_seq >= last_closed && !self.directory_changed { last_closed } else { 0 }
    }

    /// The segments of the directory, the current one among them.
    pub fn segments(&self) -> Segments {
        Segments { count: self.live.len() as u64, bytes: self.live.iter().map(|(_, bytes)| bytes).sum() }
    }

    /// Takes note that others have archived the segments before the one that begins with this record.
    pub fn archived_before(&mut self, first_seq: u64) {
        while self.live.front().is_some_and(|(first, _)| *first < first_seq) {
            self.live.pop_front();
        }
    }

    /// The directory, for who reads closed segments and writes snapshots.
    pub fn disk(&self) -> Arc<D> {
        Arc::clone(&self.disk)
    }

    /// The identity of this journal, made with its first segment.
    pub fn journal_id(&self) -> Uuid {
        self.current.header.journal_id
    }

    /// Why the journal failed, once it has.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Writes and syncs everything, whatever the durability, and marks that the journal was
    /// closed in order: from then on a missing record is known to be damage. Give the result of
    /// a sync job that is out to [`Journal::synced`] before.
    ///
    /// # Errors
    /// The journal failed before or now, or a sync job is still out; it is not marked then.
    pub fn close(mut self) -> Result<(), Error> {
        self.write()?;
        if self.sync_is_out {
            let reason = "it was closed while a sync was running".to_owned();
            return Err(Error::Failed { reason });
        }
        self.sync_in_line()?;
        if let Some(spare) = self.spare.take() {
            spare.discard(&*self.disk);
        }
        // A segment without room for the mark ends in one already: only marks use that room.
        if self.write_offset + CLOSE_MARK_BYTES <= self.current.file_bytes {
            let mark = encode_clean_close(self.current.seed, self.last_seq);
            let Unsynced { name, file } = self.current_file();
            file.write_at(&mark, self.write_offset).map_err(Error::io("write", &name))?;
            file.sync_data().map_err(Error::io("sync", &name))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(Error::Failed { reason: reason.clone() }),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed.get_or_insert_with(|| error.to_string());
        error
    }

    /// What records may still take in the current segment.
    fn room_bytes(&self) -> u64 {
        let used_bytes = self.write_offset + self.buffer.len() as u64 + CLOSE_MARK_BYTES;
        self.current.file_bytes.saturating_sub(used_bytes)
    }

    /// Well before a reservation as large as the last ones finds no room here: it would make the spare in line then,
    /// and everybody would wait for the disk.
    fn spare_is_due(&self) -> bool {
        let reserved_bytes = self.largest_reserved_bytes;
        let early_bytes = (self.current.file_bytes / 2).max(reserved_bytes + reserved_bytes / 2);
        self.spare.is_none() && !self.spare_refused && self.room_bytes() < early_bytes
    }

    fn current_file(&self) -> Unsynced<D> {
        Unsynced { name: Arc::clone(&self.current.name), file: Arc::clone(&self.current.file) }
    }

    fn write_buffer(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.current.file.write_at(&self.buffer, self.write_offset);
        written.map_err(Error::io("write", &self.current.name))?;
        self.write_offset += self.buffer.len() as u64;
        self.written_seq = self.last_seq;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        Ok(())
    }

    /// Goes on in the next segment. Waits for no sync if a spare is ready: the next job covers
    /// the old segment and the directory too.
    fn roll(&mut self, needed_bytes: u64) -> Result<(), Error> {
        self.write_buffer()?;
        self.ready_spare(needed_bytes)?;
        let Some(spare) = self.spare.take() else {
            return Ok(()); // ready_spare has just put one there
        };
        if self.retired.len() >= RETIRED_MAX && !self.sync_is_out {
            self.sync_in_line()?;
        }
        self.retired.push(self.current_file());
        self.current_first_seq = self.last_seq + 1;
        self.current = spare.place(&*self.disk, self.current_first_seq)?;
        self.live.push_back((self.current_first_seq, self.current.file_bytes));
        self.directory_changed = true;
        self.largest_reserved_bytes = 0;
        self.write_offset = SEGMENT_HEADER_BYTES;
        Ok(())
    }

    fn ready_spare(&mut self, needed_bytes: u64) -> Result<(), Error> {
        if self.spare.as_ref().is_some_and(|spare| spare.fits(needed_bytes + CLOSE_MARK_BYTES)) {
            return Ok(());
        }
        if let Some(too_small) = self.spare.take() {
            too_small.discard(&*self.disk);
        }
        let order = self.order_spare(needed_bytes);
        self.spare = Some(Spare::make(&*self.disk, order)?);
        self.spare_refused = false;
        Ok(())
    }

    fn order_spare(&mut self, needed_bytes: u64) -> SpareOrder {
        let least_bytes = SEGMENT_HEADER_BYTES + needed_bytes + CLOSE_MARK_BYTES;
        // By powers of two, so that reservations that grow a little each time share a spare.
        let large_bytes = if least_bytes > self.options.segment_bytes { least_bytes.next_power_of_two() } else { 0 };
        self.spares_ordered += 1;
        SpareOrder {
            number: self.spares_ordered,
            bytes: self.options.segment_bytes.max(large_bytes),
            journal_id: self.current.header.journal_id,
        }
    }

    /// Writes and syncs everything, whatever the durability, and waits for it: for what must survive the loss of the
    /// machine in mode `Os` too. Give the result of a sync job that is out to [`Journal::synced`] before.
    ///
    /// # Errors
    /// Every error fails the journal for good.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.write()?;
        if self.synced_seq < self.last_seq { self.sync_in_line() } else { Ok(()) }
    }

    /// Syncs all that is written, on this thread.
    fn sync_in_line(&mut self) -> Result<(), Error> {
        let mut files = std::mem::take(&mut self.retired);
        files.push(self.current_file());
        let sync_directory = std::mem::take(&mut self.directory_changed);
        let synced = sync_all(&*self.disk, &files, sync_directory);
        synced.map_err(|error| self.fail(error))?;
        self.synced_seq = self.written_seq;
        Ok(())
    }
}

fn check_size(payload_bytes: usize) -> Result<(), Error> {
    match payload_bytes as u64 {
        bytes if bytes > MAX_PAYLOAD_BYTES => Err(Error::RecordTooLarge { bytes, limit: MAX_PAYLOAD_BYTES }),
        _ => Ok(()),
    }
}
