//! A disk that forgets: for measurements of the engine and not of the medium. Writing takes no memory.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use bridge_journal::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A disk that forgets records: what is measured is the engine, not the medium.
#[derive(Clone, Default)]
pub struct Nowhere(Arc<Mutex<BTreeMap<String, Arc<Forgetful>>>>);

/// A file that keeps its first bytes, the header of a segment.
#[derive(Default)]
pub struct Forgetful {
    header: Mutex<Vec<u8>>,
    bytes: AtomicU64,
}

impl Disk for Nowhere {
    type File = Forgotten;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Forgotten> {
        self.0.lock().unwrap().insert(name.to_owned(), Arc::default());
        self.open(name)
    }
    fn open(&self, name: &str) -> io::Result<Forgotten> {
        let files = self.0.lock().unwrap();
        files.get(name).cloned().map(Forgotten).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
    fn random_bytes(&self) -> [u8; 16] {
        [7; 16]
    }
    fn boot_id(&self) -> Option<[u8; 16]> {
        None
    }
}

pub struct Forgotten(Arc<Forgetful>);

impl DiskFile for Forgotten {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.0.bytes.load(Relaxed).saturating_sub(offset)).unwrap();
        let read = buffer.len().min(left);
        buffer[..read].fill(0);
        if offset == 0 {
            let header = self.0.header.lock().unwrap();
            let kept = header.len().min(read);
            buffer[..kept].copy_from_slice(&header[..kept]);
        }
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset == 0 {
            *self.0.header.lock().unwrap() = bytes.to_vec();
        }
        self.0.bytes.fetch_max(offset + bytes.len() as u64, Relaxed);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.load(Relaxed))
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.bytes.fetch_max(len, Relaxed);
        Ok(())
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.bytes.fetch_min(len, Relaxed);
        Ok(())
    }
}
