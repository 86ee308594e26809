//! Verification: every input is executed again, and must give what was recorded.

use crate::Disk;
use crate::record::{Record, decode};
use crate::state::State;
use bridge_core::Outcome;
use bridge_journal::{RecordRef, RecoveryError, Summary, Uuid};

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
    let mut twins: Option<Twins> = None;
    let mut difference = None;
    let summary = read_records(disk, |seq, record| {
        let twins = twins.get_or_insert_with(|| Twins::new(record.embedded));
        match twins.follow(&record) {
            Some(what) => {
                difference = Some(VerifyError::Different { seq, what });
                false
            }
            None => true,
        }
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
    mut visit: impl FnMut(u64, Record) -> bool,
) -> Result<Summary, ReadError> {
    let mut going = true;
    let read = bridge_journal::read(disk, |reference: RecordRef<'_>| {
        if !going {
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
