//! Snapshot files: the state as of one record, so that a start need not read all records before it.
//!
//! A file gets its name when all of it is durable, so no crash shows half of one. What is in it is the engine's matter;
//! here it is bytes with a checksum.

use crate::format::u32_at;
use crate::segment::{no_space_or_io, number_of};
use crate::{Disk, DiskFile, Error};
use uuid::Uuid;

const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = ".snapshot.tmp";
const MAGIC: [u8; 8] = *b"XBRIDGES";
/// The version of the format of snapshots and of what the engine puts into them. 2: the epochs of orders are behind the
/// rest; version 1, which ends before them, is read too.
pub const SNAPSHOT_VERSION: u32 = 2;
const OLDEST_VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
/// In front of a snapshot's body.
pub const SNAPSHOT_HEADER_BYTES: u64 = HEADER_BYTES as u64;
const CHECKSUM_AT: usize = HEADER_BYTES - 4;
/// Written at once.
const PIECE_BYTES: usize = 1 << 20;

/// The name of the snapshot that stands at a record.
pub fn snapshot_name(seq: u64) -> String {
    format!("{seq:020}{SUFFIX}")
}

/// The records at which there are snapshots, ascending.
///
/// # Errors
/// [`Error::Io`].
pub fn list_snapshots<D: Disk>(disk: &D) -> Result<Vec<u64>, Error> {
    let names = disk.list().map_err(Error::io("list", "the data directory"))?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| number_of(name, SUFFIX)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes what a crash left unfinished. Not while a snapshot is being written.
pub(crate) fn remove_unfinished_snapshots<D: Disk>(disk: &D) -> Result<(), Error> {
    let names = disk.list().map_err(Error::io("list", "the data directory"))?;
    for name in names.iter().filter(|name| number_of(name, UNFINISHED).is_some()) {
        disk.remove(name).map_err(Error::io("remove", name))?;
    }
    Ok(())
}

/// A snapshot that is being written.
pub struct SnapshotWriter<'d, D: Disk> {
    disk: &'d D,
    file: D::File,
    unfinished: String,
    journal_id: Uuid,
    seq: u64,
    piece: Vec<u8>,
    written_bytes: u64,
    checksum: u32,
    failed: Option<Error>,
}

impl<'d, D: Disk> SnapshotWriter<'d, D> {
    /// Begins the snapshot that stands at record `seq`.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`].
    pub fn create(disk: &'d D, journal_id: Uuid, seq: u64) -> Result<Self, Error> {
        let unfinished = format!("{seq:020}{UNFINISHED}");
        // One of an attempt that failed before.
        let _ = disk.remove(&unfinished);
        let file = disk.create(&unfinished).map_err(|source| no_space_or_io("create", &unfinished, 0, source))?;
        Ok(Self {
            disk,
            file,
            unfinished,
            journal_id,
            seq,
            piece: Vec::with_capacity(PIECE_BYTES),
            written_bytes: 0,
            checksum: 0,
            failed: None,
        })
    }

    /// Adds to the body. What fails is told by [`SnapshotWriter::finish`].
    pub fn put(&mut self, bytes: &[u8]) {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            let written = self.file.write_at(&self.piece, HEADER_BYTES as u64 + self.written_bytes);
            let bytes = self.piece.len() as u64;
            self.failed = written.map_err(|source| no_space_or_io("write", &self.unfinished, bytes, source)).err();
            self.written_bytes += bytes;
            self.checksum = crc32c::crc32c_append(self.checksum, &self.piece);
        }
        self.piece.clear();
    }

    /// Makes it durable and gives it its name; how many bytes it has.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`]: there is no such snapshot then.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.flush();
        if let Some(error) = self.failed {
            let _ = self.disk.remove(&self.unfinished);
            return Err(error);
        }
        let header = encode_header(SNAPSHOT_VERSION, self.journal_id, self.seq, self.written_bytes, self.checksum);
        let name = &self.unfinished;
        self.file.write_at(&header, 0).map_err(|source| no_space_or_io("write", name, HEADER_BYTES as u64, source))?;
        self.file.sync_data().map_err(Error::io("sync", name))?;
        self.disk.rename(name, &snapshot_name(self.seq)).map_err(Error::io("rename", name))?;
        self.disk.sync_directory().map_err(Error::io("sync", "the data directory"))?;
        Ok(HEADER_BYTES as u64 + self.written_bytes)
    }
}

fn encode_header(version: u32, journal_id: Uuid, seq: u64, body_bytes: u64, body_checksum: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[12..16].copy_from_slice(&body_checksum.to_le_bytes());
    bytes[16..32].copy_from_slice(journal_id.as_bytes());
    bytes[32..40].copy_from_slice(&seq.to_le_bytes());
    bytes[40..48].copy_from_slice(&body_bytes.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Reads the snapshot that stands at a record, whole: its journal, and its body. All of it is checked against its
/// checksum.
///
/// # Errors
/// [`Error::Damaged`], [`Error::UnknownFormat`], [`Error::Io`].
pub fn read_snapshot<D: Disk>(disk: &D, seq: u64) -> Result<(Uuid, Vec<u8>), Error> {
    let name = snapshot_name(seq);
    let file = disk.open(&name).map_err(Error::io("open", &name))?;
    let file_bytes = file.len().map_err(Error::io("read the length of", &name))?;
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(&mut header, 0).map_err(Error::io("read", &name))?;
    let checksum = crc32c::crc32c(&header[..CHECKSUM_AT]);
    if read < HEADER_BYTES || header[0..8] != MAGIC || u32_at(&header, CHECKSUM_AT) != checksum {
        return Err(Error::damaged_snapshot(&name, "its header is not whole"));
    }
    let version = u32_at(&header, 8);
    if !(OLDEST_VERSION..=SNAPSHOT_VERSION).contains(&version) {
        return Err(Error::UnknownFormat { file: name, found: version, known: SNAPSHOT_VERSION });
    }
    let mut journal_id = [0; 16];
    journal_id.copy_from_slice(&header[16..32]);
    let mut body = vec![0; usize::try_from(file_bytes.saturating_sub(HEADER_BYTES as u64)).unwrap_or(0)];
    let mut filled = 0;
    while filled < body.len() {
        match file.read_at(&mut body[filled..], (HEADER_BYTES + filled) as u64).map_err(Error::io("read", &name))? {
            0 => break,
            more => filled += more,
        }
    }
    let expected = encode_header(version, Uuid::from_bytes(journal_id), seq, filled as u64, crc32c::crc32c(&body));
    if filled < body.len() || expected != header {
        return Err(Error::damaged_snapshot(&name, "its contents are not what was written"));
    }
    Ok((Uuid::from_bytes(journal_id), body))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fake::FakeDisk;

    #[test]
    fn older_versions_are_read_and_newer_ones_refused() {
        let id = Uuid::from_u128(9);
        for version in [0, OLDEST_VERSION, SNAPSHOT_VERSION, SNAPSHOT_VERSION + 1] {
            let disk = FakeDisk::new(1);
            let file = disk.create(&snapshot_name(5)).unwrap();
            file.write_at(&encode_header(version, id, 5, 4, crc32c::crc32c(b"body")), 0).unwrap();
            file.write_at(b"body", HEADER_BYTES as u64).unwrap();
            match read_snapshot(&disk, 5) {
                Ok(read) => assert!((1..=2).contains(&version) && read == (id, b"body".to_vec())),
                Err(error) => {
                    assert!([0, 3].contains(&version));
                    assert!(matches!(error, Error::UnknownFormat { found, .. } if found == version));
                }
            }
        }
    }
}
