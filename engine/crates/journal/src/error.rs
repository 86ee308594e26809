//! What can go wrong with a journal, and what its operator should do about it.

use std::io;
use std::path::PathBuf;

/// Why the journal refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused a call.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file it was tried on.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// There is no room for the next records. Nothing was lost: refuse the request, try again.
    #[error("the disk is full: no room for {bytes} bytes of journal ({source}); free some space")]
    NoSpace {
        /// How much was asked for.
        bytes: u64,
        /// What the disk said.
        source: io::Error,
    },
    /// A record that was durable once is no longer whole, or is gone.
    #[error(
        "journal damaged in the middle: {file} at offset {offset}: {detail}; \
         restore the file from a copy; the engine does not start on it"
    )]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where in it the damaged part starts.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// A snapshot that is no longer what was written.
    #[error("snapshot {file} is damaged: {detail}")]
    DamagedSnapshot {
        /// Its file name.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// A segment of another format version.
    #[error(
        "{file} has journal format {found}, this program reads format {known}; \
         use the version of the engine that wrote it"
    )]
    UnknownFormat {
        /// The segment's file name.
        file: String,
        /// Its format version.
        found: u32,
        /// The one of this program.
        known: u32,
    },
    /// A record that is larger than any record may be.
    #[error("a record of {bytes} bytes is over the limit of {limit}")]
    RecordTooLarge {
        /// The size of the payload.
        bytes: u64,
        /// [`crate::MAX_PAYLOAD_BYTES`].
        limit: u64,
    },
    /// The journal failed earlier, and nothing can make it whole but a restart with recovery.
    #[error("the journal failed and takes no more records: {reason}; repair the disk, then restart")]
    Failed {
        /// The first failure.
        reason: String,
    },
    /// Another engine works on the directory.
    #[error(
        "data directory {} is in use by another engine{}; stop it, or choose another directory",
        .directory.display(), .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    DirectoryInUse {
        /// The directory.
        directory: PathBuf,
        /// The process that holds it, where its lock file says so.
        pid: Option<u32>,
    },
    /// There is no journal to read.
    #[error("no journal here: the directory has no segment; check the path")]
    NoJournal,
}

impl Error {
    /// Says on which file what was tried: for `map_err`. Costs nothing where nothing went wrong.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }

    pub(crate) fn damaged_snapshot(file: &str, detail: impl Into<String>) -> Self {
        Self::DamagedSnapshot { file: file.to_owned(), detail: detail.into() }
    }

    pub(crate) fn damaged(file: &str, offset: u64, detail: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), offset, detail: detail.into() }
    }
}

/// Why a journal could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError<E> {
    /// The journal itself.
    #[error(transparent)]
    Journal(#[from] Error),
    /// The visitor refused a record.
    #[error("{file} at offset {offset}: record {seq}: {source}")]
    Visitor {
        /// The segment's file name.
        file: String,
        /// Where the record starts.
        offset: u64,
        /// The record's sequence number.
        seq: u64,
        /// What the visitor said.
        source: E,
    },
}
