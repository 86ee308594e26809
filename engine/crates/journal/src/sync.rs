//! Waiting for the disk, apart from the journal itself: a job that runs on any thread while the
//! reactor goes on appending.

use std::sync::Arc;

use crate::segment::{Spare, SpareOrder};
use crate::{Disk, DiskFile, Error};

/// A file whose writes are not known to be durable.
pub(crate) struct Unsynced<D: Disk> {
    pub name: Arc<str>,
    pub file: Arc<D::File>,
}

impl<D: Disk> Clone for Unsynced<D> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), file: Arc::clone(&self.file) }
    }
}

/// All that makes the records up to [`SyncJob::through_seq`] durable. Run it on any thread and
/// give its result to [`crate::Journal::synced`].
#[must_use = "records stay volatile until the job ran and its result is given back"]
pub struct SyncJob<D: Disk> {
    pub(crate) disk: Arc<D>,
    /// Full segments, the oldest first; mostly none.
    pub(crate) retired: Vec<Unsynced<D>>,
    /// The segment that is written to.
    pub(crate) current: Option<Unsynced<D>>,
    pub(crate) sync_directory: bool,
    pub(crate) through_seq: u64,
    pub(crate) spare: Option<SpareOrder>,
}

/// What became of a [`SyncJob`].
#[must_use = "the journal counts records as durable only once it has this"]
pub struct SyncResult<D: Disk> {
    pub(crate) through_seq: u64,
    pub(crate) outcome: Result<(), Error>,
    pub(crate) spare: Option<Result<Spare<D>, Error>>,
}

impl<D: Disk> SyncJob<D> {
    /// The last record that this job makes durable.
    pub fn through_seq(&self) -> u64 {
        self.through_seq
    }

    /// Waits for the disk. Where the next segment will be needed soon, makes it ready too.
    pub fn run(self) -> SyncResult<D> {
        let outcome = sync_all(&*self.disk, self.retired.iter().chain(&self.current), self.sync_directory);
        let spare = match (&outcome, self.spare) {
            (Ok(()), Some(order)) => Some(Spare::make(&*self.disk, order)),
            _ => None,
        };
        SyncResult { through_seq: self.through_seq, outcome, spare }
    }
}

impl<D: Disk> SyncResult<D> {
    /// The last record that the job covered.
    pub fn through_seq(&self) -> u64 {
        self.through_seq
    }

    /// Why the sync failed, if it did. The journal takes nothing more then.
    pub fn error(&self) -> Option<&Error> {
        self.outcome.as_ref().err()
    }
}

/// Stops at the first failure: a sync is never tried again, because after one that failed the
/// kernel may call lost pages clean (see "Can Applications Recover from fsync Failures?",
/// USENIX ATC 2020).
pub(crate) fn sync_all<'a, D: Disk>(
    disk: &D,
    files: impl IntoIterator<Item = &'a Unsynced<D>>,
    sync_directory: bool,
) -> Result<(), Error> {
    for Unsynced { name, file } in files {
        file.sync_data().map_err(Error::io("sync", name))?;
    }
    if sync_directory {
        disk.sync_directory().map_err(Error::io("sync", "the data directory"))?;
    }
    Ok(())
}
