//! Snapshots: the whole state as of one record, made away from the reactor from segments that are closed, and found
//! again at a start.
//!
//! A job reads the snapshot before and folds what came since, so it sees nothing that the reactor works on. What it
//! wrote it reads back, and every entity's hash is made anew, before anybody relies on the file. A start checks the
//! file's checksum and that the stored hashes add up; [`crate::verify`] compares with the inputs, executed again.

use crate::record::{Encoded, decode_happened};
use crate::state::State;
use crate::{Disk, ReadError, VenueKind};
use bridge_core::{Core, Epochs, UtcNanos};
use bridge_journal::{
    Error, RecoveryError, SNAPSHOT_HEADER_BYTES, SnapshotWriter, Start, Uuid, archive_through, first_record,
    list_snapshots, read_closed, read_snapshot, snapshot_name,
};
use bridge_venue::Exchange;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Snapshots that are kept: should the newest be damaged, a start reads the one before and more records.
const KEPT: usize = 2;

/// What is known of snapshots.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Snapshots {
    /// Since start.
    made: u64,
    /// Since start.
    pub(crate) failures: u64,
    /// The record that the last one stands at, of this start or of an earlier one.
    pub(crate) seq: u64,
    /// Engine time of that record.
    time_ns: UtcNanos,
    /// Its file.
    bytes: u64,
    pub(crate) is_out: bool,
    /// Record bytes appended since start when one was last begun.
    pub(crate) at_bytes: u64,
}

impl Snapshots {
    /// After a start that went on from this.
    pub(crate) fn from(standing: &Standing) -> Self {
        let seq = standing.seq();
        let time_ns = if seq == 0 { 0 } else { standing.time_ns };
        Self { seq, time_ns, bytes: standing.file_bytes, ..Self::default() }
    }

    pub(crate) fn take(&mut self, snapshot: &Snapshot) {
        self.made += 1;
        (self.seq, self.time_ns, self.bytes) = (snapshot.seq, snapshot.time_ns, snapshot.bytes);
    }

    /// For health.
    pub(crate) fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("snapshots", self.made),
            ("snapshot_failures", self.failures),
            ("snapshot_seq", self.seq),
            ("snapshot_time_ms", u64::try_from(self.time_ns / 1_000_000).unwrap_or(0)),
            ("snapshot_bytes", self.bytes),
        ]
    }
}

/// What a snapshot holds. A new part of the state is in it as soon as it is in `Core` or `Exchange`, which serialise
/// whole.
#[derive(Serialize)]
struct Written<'a> {
    time_ns: UtcNanos,
    core: &'a Core,
    exchange: Option<&'a Exchange>,
    /// Last: snapshots of version 1 end before it.
    epochs: &'a Epochs,
}

/// [`Written`] but for its last part, as it is read.
#[derive(Deserialize)]
struct Read {
    time_ns: UtcNanos,
    core: Core,
    exchange: Option<Exchange>,
}

impl Read {
    /// A whole state, ready for use.
    fn from(body: &[u8]) -> Result<Self, String> {
        let in_words = |error: postcard::Error| error.to_string();
        let (mut read, rest) = postcard::take_from_bytes::<Self>(body).map_err(in_words)?;
        read.core.restore()?;
        if rest.is_empty() {
            return Ok(read); // of version 1
        }
        match postcard::take_from_bytes(rest).map_err(in_words)? {
            (epochs, []) => read.core.restore_epochs(epochs),
            (_, rest) => return Err(format!("{} bytes behind its end", rest.len())),
        }
        Ok(read)
    }
}

/// A state, and where in the journal it stands.
pub(crate) struct Standing {
    pub(crate) state: State,
    /// Of the last record in it.
    pub(crate) time_ns: UtcNanos,
    /// Where to read on; `None`: at the first record.
    pub(crate) start: Option<Start>,
    /// Newer snapshots that could not be used, and why.
    pub(crate) unusable: Vec<String>,
    /// Of the snapshot's file; 0: there is none.
    pub(crate) file_bytes: u64,
}

impl Standing {
    fn empty(venue: VenueKind) -> Self {
        Self { state: State::of(venue), time_ns: UtcNanos::MIN, start: None, unusable: Vec::new(), file_bytes: 0 }
    }

    /// The last record in it; 0: none.
    pub(crate) fn seq(&self) -> u64 {
        self.start.map_or(0, |start| start.seq)
    }

    /// The newest snapshot that can be used, up to a record; without one, the state before the first record.
    pub(crate) fn find<D: Disk>(disk: &D, venue: VenueKind, up_to: u64) -> Result<Self, Error> {
        let mut unusable = Vec::new();
        for seq in list_snapshots(disk)?.into_iter().rev().filter(|seq| *seq <= up_to) {
            match Self::load(disk, seq) {
                Ok(standing) => return Ok(Self { unusable, ..standing }),
                Err(reason) => unusable.push(reason),
            }
        }
        Ok(Self { unusable, ..Self::empty(venue) })
    }

    /// Where reading a directory begins: at the first record, or where its first segments are elsewhere, at the
    /// oldest snapshot behind which all records are there.
    pub(crate) fn to_read<D: Disk>(disk: &D) -> Result<Option<Self>, ReadError> {
        let first = first_record(disk)?.unwrap_or(1);
        if first == 1 {
            return Ok(None);
        }
        let mut reasons = Vec::new();
        for seq in list_snapshots(disk)?.into_iter().filter(|seq| *seq + 1 >= first) {
            match Self::load(disk, seq) {
                Ok(standing) => return Ok(Some(standing)),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(ReadError::NoBeginning { first, reasons: reasons.join("; ") })
    }

    pub(crate) fn load<D: Disk>(disk: &D, seq: u64) -> Result<Self, String> {
        let (journal_id, body) = read_snapshot(disk, seq).map_err(|error| error.to_string())?;
        let file_bytes = SNAPSHOT_HEADER_BYTES + body.len() as u64;
        let read = Read::from(&body).map_err(|error| format!("{} cannot be read: {error}", snapshot_name(seq)))?;
        let state = State::restored(read.core, read.exchange);
        let start = Some(Start { journal_id, seq });
        Ok(Self { state, time_ns: read.time_ns, start, unusable: Vec::new(), file_bytes })
    }
}

/// Makes a snapshot. Run it on any thread: it takes as long as it takes, and as much memory as the state has.
#[must_use = "nothing is made until it runs"]
pub struct SnapshotJob<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) journal_id: Uuid,
    /// The last record of closed segments.
    pub(crate) through: u64,
    pub(crate) venue: VenueKind,
}

/// A snapshot that is durable and was read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The last record that it includes.
    pub seq: u64,
    /// Engine time of that record.
    pub time_ns: UtcNanos,
    /// Of the file.
    pub bytes: u64,
    /// As of that record.
    pub state_hash: u128,
    /// Segments that went into the archive after it.
    pub archived_segments: u64,
    /// The first record that is in the directory still.
    pub first_seq: u64,
}

impl<D: Disk> SnapshotJob<D> {
    /// The record that it will stand at.
    pub fn through_seq(&self) -> u64 {
        self.through
    }

    /// Reads, folds, writes, reads back; then removes snapshots that are not needed any more.
    ///
    /// # Errors
    /// In words. The journal is as it was, and so are the snapshots before.
    pub fn run(self) -> Result<Snapshot, String> {
        let disk = &*self.disk;
        let in_words = |error: Error| error.to_string();
        let mut standing = Standing::find(disk, self.venue, self.through).map_err(in_words)?;
        if standing.start.is_some_and(|start| start.journal_id != self.journal_id) {
            return Err(format!("{} belongs to another journal; remove it", snapshot_name(standing.seq())));
        }
        self.fold_up(&mut standing)?;
        let state_hash = standing.state.settle_for_snapshot();
        let bytes = self.write(&standing)?;
        let time_ns = standing.time_ns;
        drop(standing); // its memory is needed for what is read back
        let again = Standing::load(disk, self.through)?;
        if again.state.recompute_hash() != state_hash {
            let name = snapshot_name(self.through);
            disk.remove(&name).map_err(|error| error.to_string())?;
            return Err(format!("{name} is not what was written; it was removed"));
        }
        self.remove_old()?;
        let archived_segments = self.archive()?;
        let first_seq = first_record(disk).map_err(in_words)?.unwrap_or(1);
        Ok(Snapshot { seq: self.through, time_ns, bytes, state_hash, archived_segments, first_seq })
    }

    fn fold_up(&self, standing: &mut Standing) -> Result<(), String> {
        let known = standing.seq();
        let folded = read_closed(&*self.disk, standing.start, self.through, |record| {
            if record.seq <= known {
                return Ok(());
            }
            let happened = decode_happened(record.payload)?;
            standing.time_ns = happened.time_ns;
            standing.state.fold(&happened.events, &happened.venue_events);
            Ok::<(), String>(())
        });
        let summary = folded.map_err(|error: RecoveryError<String>| error.to_string())?;
        match summary.last_seq == self.through {
            true => Ok(()),
            false => Err(format!("the journal ends at record {}, before {}", summary.last_seq, self.through)),
        }
    }

    fn write(&self, standing: &Standing) -> Result<u64, String> {
        let (core, exchange) = standing.state.parts();
        let written = Written { time_ns: standing.time_ns, core, exchange, epochs: core.epochs() };
        let mut file =
            SnapshotWriter::create(&*self.disk, self.journal_id, self.through).map_err(|error| error.to_string())?;
        Encoded::stream(&written, |bytes| file.put(bytes)).map_err(|error| error.to_string())?;
        file.finish().map_err(|error| error.to_string())
    }

    /// What the older of the snapshots includes is not needed here any more: should the newer one be damaged, that
    /// one and what came since are still there.
    fn archive(&self) -> Result<u64, String> {
        let snapshots = list_snapshots(&*self.disk).map_err(|error| error.to_string())?;
        match snapshots[..] {
            [older, _] => archive_through(&*self.disk, older).map_err(|error| error.to_string()),
            _ => Ok(0),
        }
    }

    fn remove_old(&self) -> Result<(), String> {
        let disk = &*self.disk;
        let snapshots = list_snapshots(disk).map_err(|error| error.to_string())?;
        let kept = snapshots.len().saturating_sub(KEPT);
        for seq in &snapshots[..kept] {
            disk.remove(&snapshot_name(*seq)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bridge_core::Event;

    fn body(value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        Encoded::stream(value, |piece| bytes.extend_from_slice(piece)).unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_of_version_1_is_read_and_knows_no_epochs() {
        let mut core = Core::new();
        core.fold(&Event::Started { epoch: 7 });
        core.settle_for_snapshot();
        let old = body(&(1i64, &core, None::<&Exchange>));
        let new = body(&Written { time_ns: 1, core: &core, exchange: None, epochs: core.epochs() });
        assert_eq!(Read::from(&old).unwrap().core.epochs(), &Epochs::default());
        assert_eq!(Read::from(&new).unwrap().core.epochs(), core.epochs());
        assert_ne!(core.epochs(), &Epochs::default());
        assert!(Read::from(&[new, vec![0]].concat()).is_err_and(|error| error.contains("behind its end")));
    }
}
