//! Reading a file by pieces, with one buffer that is bounded by what is asked for.

use std::io;
use std::sync::Arc;

use crate::DiskFile;

/// Large enough that a scan is bound by the disk, not by calls.
const READ_AHEAD_BYTES: u64 = 1024 * 1024;

/// A part of a file in memory.
pub(crate) struct Window<F> {
    file: Arc<F>,
    file_bytes: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<F: DiskFile> Window<F> {
    pub fn new(file: Arc<F>, file_bytes: u64) -> Self {
        Self { file, file_bytes, start: 0, buffer: Vec::new() }
    }

    /// The `len` bytes at `offset`, or `None` where the file ends before that. Never allocates
    /// for more than the file holds.
    pub fn get(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        let Some(end) = offset.checked_add(len as u64).filter(|end| *end <= self.file_bytes) else {
            return Ok(None);
        };
        let buffered_end = self.start + self.buffer.len() as u64;
        if (offset < self.start || end > buffered_end) && !self.fill(offset, end)? {
            return Ok(None);
        }
        let from = (offset - self.start) as usize;
        Ok(Some(&self.buffer[from..from + len]))
    }

    /// The bytes at `offset`: `len` of them, or as many as the file has.
    pub fn up_to(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let remaining = self.file_bytes.saturating_sub(offset).min(len as u64) as usize;
        Ok(self.get(offset, remaining)?.unwrap_or_default())
    }

    /// Forgets what was read, so that the next look sees what a live engine has written since.
    pub fn look_again(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.file_bytes = self.file.len()?;
        Ok(())
    }

    /// False: the file is shorter than it was.
    fn fill(&mut self, offset: u64, end: u64) -> io::Result<bool> {
        let until = end.max(offset + READ_AHEAD_BYTES).min(self.file_bytes);
        self.start = offset;
        self.buffer.resize((until - offset) as usize, 0);
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[filled..], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        self.buffer.truncate(filled);
        Ok(filled as u64 >= end - offset)
    }
}
