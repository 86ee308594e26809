//! The archive: segments that a start does not need any more, out of the way but not lost. With it in front, the
//! journal reads as one chain from its first record.

use std::io;

use crate::segment::{list_segments, segment_name};
use crate::{Disk, Error};

/// Moves every segment into the archive that holds no record above `seq`, oldest first; how many. A crash leaves each
/// of them in one place or in both.
///
/// # Errors
/// [`Error::Io`]: what was not moved yet stays.
pub fn archive_through<D: Disk>(disk: &D, seq: u64) -> Result<u64, Error> {
    let segments = list_segments(disk)?;
    let mut moved = 0;
    for pair in segments.windows(2) {
        if pair[1] > seq + 1 {
            break;
        }
        let name = segment_name(pair[0]);
        disk.archive(&name).map_err(Error::io("archive", &name))?;
        moved += 1;
    }
    Ok(moved)
}

/// The first record that a directory's segments hold; `None`: there is no segment.
///
/// # Errors
/// [`Error::Io`].
pub fn first_record<D: Disk>(disk: &D) -> Result<Option<u64>, Error> {
    Ok(list_segments(disk)?.first().copied())
}

/// A data directory with its archive in front, for reading: every call that would change something fails.
pub struct WithArchive<D> {
    live: D,
    archive: Option<D>,
}

impl<D> WithArchive<D> {
    /// Both; without an archive, the directory alone.
    pub fn new(live: D, archive: Option<D>) -> Self {
        Self { live, archive }
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl<D: Disk> Disk for WithArchive<D> {
    type File = D::File;

    fn list(&self) -> io::Result<Vec<String>> {
        // The directory first: what is moved meanwhile is then seen twice, not never.
        let mut names = self.live.list()?;
        if let Some(archive) = &self.archive {
            names.extend(archive.list()?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn create(&self, _: &str) -> io::Result<D::File> {
        read_only()
    }

    fn open(&self, name: &str) -> io::Result<D::File> {
        match (self.live.open(name), &self.archive) {
            (Err(error), Some(archive)) if error.kind() == io::ErrorKind::NotFound => archive.open(name),
            (opened, _) => opened,
        }
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_directory(&self) -> io::Result<()> {
        read_only()
    }

    fn random_bytes(&self) -> [u8; 16] {
        self.live.random_bytes()
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.live.boot_id()
    }
}
