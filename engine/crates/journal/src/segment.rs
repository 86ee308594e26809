//! Segment files: their names, and how one is made so that a crash never shows half of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::format::{BadSegmentHeader, FORMAT_VERSION, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::{Disk, DiskFile, Error};

const SUFFIX: &str = ".seg";
/// A segment that is not in its place yet. Those of an earlier process are removed at start.
const UNFINISHED_SUFFIX: &str = ".tmp";

/// `00000000000000000001.seg`: the sequence number of the first record, so that the order of
/// names is the order of records.
pub(crate) fn segment_name(first_seq: u64) -> String {
    format!("{first_seq:020}{SUFFIX}")
}

fn first_seq_of(name: &str) -> Option<u64> {
    number_of(name, SUFFIX)
}

/// The number in front of a suffix, written as this crate writes it: other names are not ours.
pub(crate) fn number_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// The first sequence numbers of all segments of the directory, ascending.
pub(crate) fn list_segments<D: Disk>(disk: &D) -> Result<Vec<u64>, Error> {
    let names = disk.list().map_err(Error::io("list", "the data directory"))?;
    let mut segments: Vec<u64> = names.iter().filter_map(|name| first_seq_of(name)).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Segment files of a directory: how many, and how long they are together, allocated room included.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Segments {
    /// Files.
    pub count: u64,
    /// Their lengths.
    pub bytes: u64,
}

impl Segments {
    /// Of any directory; of one that is not there, none. It may be on a slow file system: not for the reactor.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn in_directory(path: &Path) -> io::Result<Self> {
        let entries = match std::fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries?,
        };
        let mut found = Self::default();
        for entry in entries {
            let entry = entry?;
            if first_seq_of(&entry.file_name().to_string_lossy()).is_some() {
                found.count += 1;
                found.bytes += entry.metadata()?.len();
            }
        }
        Ok(found)
    }
}

/// Removes segments that a crash left unfinished.
pub(crate) fn remove_unfinished<D: Disk>(disk: &D) -> Result<(), Error> {
    let names = disk.list().map_err(Error::io("list", "the data directory"))?;
    for name in names.iter().filter(|name| number_of(name, UNFINISHED_SUFFIX).is_some()) {
        disk.remove(name).map_err(Error::io("remove", name))?;
    }
    Ok(())
}

/// A segment file that is open, with its header read or written.
pub(crate) struct Segment<D: Disk> {
    pub name: Arc<str>,
    pub file: Arc<D::File>,
    pub header: SegmentHeader,
    pub seed: u32,
    pub file_bytes: u64,
}

impl<D: Disk> Segment<D> {
    /// Opens a segment in its place.
    ///
    /// # Errors
    /// [`Error::Damaged`] if its header is not whole: a segment gets its name only after its
    /// header is durable, so no crash explains that.
    pub fn open(disk: &D, first_seq: u64) -> Result<Self, Error> {
        let name = segment_name(first_seq);
        let file = disk.open(&name).map_err(Error::io("open", &name))?;
        let file_bytes = file.len().map_err(Error::io("read the length of", &name))?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", &name))?;
        if read < bytes.len() {
            return Err(Error::damaged(&name, 0, "the file ends within the segment's header"));
        }
        let header = SegmentHeader::decode(&bytes).map_err(|bad| match bad {
            BadSegmentHeader::NotOurs => Error::damaged(&name, 0, "the segment's header is not whole"),
            BadSegmentHeader::Version(found) => {
                Error::UnknownFormat { file: name.clone(), found, known: FORMAT_VERSION }
            }
        })?;
        Ok(Self { name: name.into(), file: Arc::new(file), header, seed: header.seed(), file_bytes })
    }
}

/// A segment that is allocated and has a durable header, but no place yet.
pub(crate) struct Spare<D: Disk> {
    segment: Segment<D>,
}

/// What a spare segment shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpareOrder {
    pub number: u64,
    pub bytes: u64,
    pub journal_id: Uuid,
}

impl<D: Disk> Spare<D> {
    /// Makes a spare segment: created, allocated, header written and synced.
    ///
    /// # Errors
    /// [`Error::NoSpace`] where another attempt may succeed, [`Error::Io`] for all else.
    pub fn make(disk: &D, order: SpareOrder) -> Result<Self, Error> {
        let name = format!("{:020}{UNFINISHED_SUFFIX}", order.number);
        let refused = |action, source| no_space_or_io(action, &name, order.bytes, source);
        let file = disk.create(&name).map_err(|source| refused("create", source))?;
        if let Err(source) = file.allocate(order.bytes) {
            drop(file);
            // The space is worth more than the file; if even this fails, the next start cleans up.
            let _ = disk.remove(&name);
            return Err(refused("allocate", source));
        }
        let header = SegmentHeader { journal_id: order.journal_id, salt: disk.random_bytes() };
        file.write_at(&header.encode(), 0).map_err(Error::io("write", &name))?;
        file.sync_data().map_err(Error::io("sync", &name))?;
        let segment =
            Segment { name: name.into(), file: Arc::new(file), header, seed: header.seed(), file_bytes: order.bytes };
        Ok(Self { segment })
    }

    /// Whether a record of so many framed bytes fits.
    pub fn fits(&self, framed_bytes: u64) -> bool {
        self.segment.file_bytes - SEGMENT_HEADER_BYTES >= framed_bytes
    }

    /// Puts the segment in its place. Durable after the next sync of the directory.
    pub fn place(self, disk: &D, first_seq: u64) -> Result<Segment<D>, Error> {
        let mut segment = self.segment;
        let name = segment_name(first_seq);
        disk.rename(&segment.name, &name).map_err(Error::io("rename", &segment.name))?;
        segment.name = name.into();
        Ok(segment)
    }

    /// Gives the space back.
    pub fn discard(self, disk: &D) {
        // A spare that stays behind is removed at the next start.
        let _ = disk.remove(&self.segment.name);
    }
}

/// Tells a full disk, which can be waited out, from a broken one.
pub(crate) fn no_space_or_io(action: &'static str, file: &str, bytes: u64, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::NoSpace { bytes, source }
        }
        _ => Error::io(action, file)(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_sequence_numbers_and_foreign_names_are_left_alone() {
        assert_eq!(segment_name(1), "00000000000000000001.seg");
        assert_eq!(first_seq_of(&segment_name(u64::MAX)), Some(u64::MAX));
        assert_eq!(first_seq_of("99999999999999999999.seg"), None);
        assert_eq!(first_seq_of("1.seg"), None);
        assert_eq!(first_seq_of("+0000000000000000001.seg"), None);
        assert_eq!(first_seq_of("LOCK"), None);
    }
}
