//! Verification: every input is executed again, and must give what was recorded.

use crate::Disk;
use crate::record::{Record, decode};
use crate::snapshot::Standing;
use crate::state::State;
use bridge_core::Outcome;
use bridge_journal::{RecordRef, RecoveryError, Start, Summary, Uuid};

/// What [`verify`] found in a journal that is as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// Which journal.
    pub journal_id: Uuid,
    /// Records read.
    pub records: u64,
    /// First sequence number.
    pub first_seq: u64,
    /// Last sequence number.
    pub last_seq: u64,
    /// Bytes of a torn tail behind the last record: what the next start would cut.
    pub cut_bytes: u64,
    /// Of orders, accounts and book; 32 hexadecimal digits in print.
    pub state_hash: u128,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Damage, or I/O: names file and offset.
    #[error(transparent)]
    Journal(#[from] bridge_journal::Error),
    /// The records from the first one on are elsewhere, and there is no snapshot to begin at.
    #[error(
        "the records before {first} are not here and no snapshot stands for them: give the archive too, or move its \
         segments back ({reasons})"
    )]
    NoBeginning {
        /// The first record that is there.
        first: u64,
        /// What is wrong with the snapshots that there are.
        reasons: String,
    },
    /// A whole record that this version cannot read.
    #[error("{file} at offset {offset}: record {seq} cannot be read: {message}")]
    Record {
        /// The segment's file name.
        file: String,
        /// Where the record starts.
        offset: u64,
        /// Its sequence number.
        seq: u64,
        /// What is wrong.
        message: String,
    },
}

/// Why a journal cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot even be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A snapshot holds another state than the records before it lead to.
    #[error("snapshot {file}: {problem}; remove it: a start goes on from the one before")]
    Snapshot {
        /// Its file name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Executing the input again gives something else than what was recorded.
    #[error("record {seq}: executing its input again gives other {what} than it holds")]
    Different {
        /// Its sequence number.
        seq: u64,
        /// Which part differs.
        what: &'static str,
    },
}

/// Executes every input again on a fresh core and exchange and compares, record by record, events, venue events,
/// replies, and the state with that of folding the recorded events. Takes no lock and writes nothing.
///
/// # Errors
/// See [`VerifyError`].
pub fn verify<D: Disk>(disk: &D) -> Result<VerifyReport, VerifyError> {
    let beginning = Standing::to_read(disk)?;
    let start = beginning.as_ref().and_then(|standing| standing.start);
    let snapshots = bridge_journal::list_snapshots(disk).map_err(ReadError::from)?;
    let mut twins = beginning.map(Twins::behind);
    let mut difference = None;
    let summary = read_records(disk, start, |seq, record| {
        let twins = twins.get_or_insert_with(|| Twins::new(record.embedded));
        difference = match twins.follow(&record) {
            Some(what) => Some(VerifyError::Different { seq, what }),
            None if snapshots.contains(&seq) => twins.compare_with_snapshot(disk, seq),
            None => None,
        };
        difference.is_none()
    })?;
    if let Some(difference) = difference {
        return Err(difference);
    }
    Ok(VerifyReport {
        journal_id: summary.journal_id,
        records: summary.records,
        first_seq: summary.first_seq,
        last_seq: summary.last_seq,
        cut_bytes: summary.cut_bytes,
        state_hash: twins.map_or_else(|| State::new(true).hash(), |mut twins| twins.folded.hash()),
    })
}

/// Two states on the same journal: one executes its inputs, one folds its events.
struct Twins {
    executed: State,
    folded: State,
}

impl Twins {
    fn new(embedded: bool) -> Self {
        Self { executed: State::new(embedded), folded: State::new(embedded) }
    }

    /// Both from a snapshot.
    fn behind(standing: Standing) -> Self {
        let (core, exchange) = standing.state.parts();
        let executed = State::restored(core.clone(), exchange.cloned());
        Self { executed, folded: standing.state }
    }

    /// What is wrong with the snapshot that stands here.
    fn compare_with_snapshot<D: Disk>(&mut self, disk: &D, seq: u64) -> Option<VerifyError> {
        let problem = match Standing::load(disk, seq) {
            Ok(standing) if standing.state.recompute_hash() == self.executed.hash() => return None,
            Ok(_) => "its state is not what the records lead to".to_owned(),
            Err(reason) => reason,
        };
        Some(VerifyError::Snapshot { file: bridge_journal::snapshot_name(seq), problem })
    }

    /// What differs after this record.
    fn follow(&mut self, record: &Record) -> Option<&'static str> {
        if record.embedded != self.executed.is_embedded() {
            return Some("kind of venue");
        }
        let outcome = self.executed.execute(&record.session_id, &record.input, record.time_ns);
        let concluded = self.executed.core.take_concluded();
        self.executed.forget_updates();
        self.folded.fold(&record.events, &record.venue_events);
        let Outcome { reply, .. } = outcome;
        if self.executed.events != record.events {
            Some("events")
        } else if self.executed.venue_events != record.venue_events {
            Some("venue events")
        } else if reply != record.reply || concluded != record.concluded {
            Some("replies")
        } else if self.executed.hash() != self.folded.hash() {
            Some("state")
        } else {
            None
        }
    }
}

/// Reads a journal record by record, until `visit` says no.
pub(crate) fn read_records<D: Disk>(
    disk: &D,
    start: Option<Start>,
    mut visit: impl FnMut(u64, Record) -> bool,
) -> Result<Summary, ReadError> {
    let mut going = true;
    let known = start.map_or(0, |start| start.seq);
    let read = bridge_journal::read_from(disk, start, |reference: RecordRef<'_>| {
        if !going || reference.seq <= known {
            return Ok(());
        }
        let record = decode(reference.payload)?;
        going = visit(reference.seq, record);
        Ok::<(), String>(())
    });
    read.map_err(|error| match error {
        RecoveryError::Journal(error) => ReadError::Journal(error),
        RecoveryError::Visitor { file, offset, seq, source } => {
            ReadError::Record { file, offset, seq, message: source }
        }
    })
}

#[cfg(test)]
mod tests;
