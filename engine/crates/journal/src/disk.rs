//! The file-system seam: all that the journal asks of a directory and of a file in it.

use std::io;

/// One directory. Names are plain file names, never paths.
pub trait Disk: Send + Sync + 'static {
    /// An open file of this directory.
    type File: DiskFile;

    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a new, empty file; it must not exist.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, replacing what had that name. Durable after `sync_directory`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Durable after `sync_directory`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// Moves a file into the archive: it is durable there before it is gone from here, and that is durable too.
    fn archive(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// 16 bytes that nobody can foresee: journal ids and the salts of checksums come from here,
    /// so that a simulated disk can repeat a run.
    fn random_bytes(&self) -> [u8; 16];
    /// What names the present boot of the machine: what was written, synced or not, is read back as long as it stays
    /// the same. `None`: unknown, so that the machine may have been lost at any time.
    fn boot_id(&self) -> Option<[u8; 16]>;
}

/// One open file. All calls take an offset: there is no shared position, so that one thread may
/// sync while another writes.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes all that was written before this call durable, and the file's length.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Extends the file to `len` bytes of zeros with blocks behind them, so that a later write
    /// there cannot run out of space. Never shortens.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Shortens the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
}
