//! A disk in memory that fails as real ones do: it loses and tears what was not synced, fills up,
//! and refuses a write or a sync. Everything it decides comes from a seed.
//!
//! What a process reads is the cache. A sync moves it to the platter. [`FakeDisk::crash`] is the
//! loss of the machine: each sector that was written since the last sync is there or is not, in
//! no order, and one of them may be torn at any byte; creations, renames and removals since the
//! last sync of the directory happened or did not, each by itself. [`FakeDisk::kill`] is the loss
//! of the process alone: the cache stays.
//!
//! After a sync that failed, what it should have written counts as clean (and may or may not
//! have reached the platter), as in Linux: a later sync succeeds without writing it.

mod dice;
mod storage;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile};
pub use dice::Dice;
use storage::Storage;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FakeDisk {
    shared: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    storage: Storage,
    dice: Dice,
    capacity_bytes: u64,
    syncs: u64,
    writes: u64,
    /// Calls left until one fails, that one included.
    sync_fails_in: Option<u64>,
    write_fails_in: Option<u64>,
    /// Changes left until the process is dead; 0: it is.
    dies_in: Option<u64>,
    syncs_are_ignored: bool,
    /// Counts power losses.
    boot: u128,
    /// Files of the archive: durable as soon as they are there.
    archived: std::collections::BTreeMap<String, Vec<u8>>,
}

/// An open file of a [`FakeDisk`].
#[derive(Clone, Debug)]
pub struct FakeFile {
    disk: FakeDisk,
    id: u64,
}

impl FakeDisk {
    /// An empty disk without a limit.
    pub fn new(seed: u64) -> Self {
        Self::with_state(State {
            storage: Storage::default(),
            dice: Dice::new(seed),
            capacity_bytes: u64::MAX,
            syncs: 0,
            writes: 0,
            sync_fails_in: None,
            write_fails_in: None,
            dies_in: None,
            syncs_are_ignored: false,
            boot: 1,
            archived: std::collections::BTreeMap::new(),
        })
    }

    fn with_state(state: State) -> Self {
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a restart finds after the machine lost its power now. This disk stays as it is: who
    /// still holds it writes into the void.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut before = self.state();
        let mut dice = before.dice.split();
        let storage = before.storage.after_power_loss(&mut dice);
        Self::with_state(State { storage, dice, boot: before.boot + 1, ..before.restarted() })
    }

    /// What a restart finds after the process died now, the machine living on.
    #[must_use]
    pub fn kill(&self) -> Self {
        Self::with_state(self.state().restarted())
    }

    /// From now on the disk holds so many bytes at most.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity_bytes = bytes;
    }

    /// Lets the `nth` sync from now (of a file or the directory) fail; 1 is the next.
    pub fn fail_sync(&self, nth: u64) {
        self.state().sync_fails_in = Some(nth.max(1));
    }

    /// Lets the `nth` write from now fail, with some of its bytes written; 1 is the next.
    pub fn fail_write(&self, nth: u64) {
        self.state().write_fails_in = Some(nth.max(1));
    }

    /// The process dies before its `nth` change from now (1 is the next): a creation, write, change of length, rename,
    /// removal, or sync, each step of an archiving by itself. That one and all behind it fail and do nothing.
    pub fn die_before(&self, nth: u64) {
        self.state().dies_in = Some(nth.max(1));
    }

    /// Whether it died so.
    pub fn is_dead(&self) -> bool {
        self.state().dies_in == Some(0)
    }

    /// Makes the disk a liar: syncs are acknowledged, and do nothing. For tests of tests.
    pub fn ignore_syncs(&self, ignored: bool) {
        self.state().syncs_are_ignored = ignored;
    }

    /// How many syncs were asked for, of files and of the directory.
    pub fn sync_count(&self) -> u64 {
        self.state().syncs
    }

    /// How many writes were asked for.
    pub fn write_count(&self) -> u64 {
        self.state().writes
    }

    /// What a process reads in a file now; `None`: there is no such file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let id = state.storage.id_of(name)?;
        state.storage.cached(id).map(<[u8]>::to_vec)
    }

    /// The archive, as a disk of its own to read.
    pub fn archived(&self) -> Self {
        let files = self.state().archived.clone();
        let archive = Self::new(0);
        for (name, bytes) in files {
            if let Ok(file) = archive.create(&name) {
                let _ = file.write_at(&bytes, 0);
            }
        }
        archive
    }

    /// Damages a byte that is durable: flips the bits of `mask`. False: there is no such byte.
    pub fn corrupt(&self, name: &str, offset: u64, mask: u8) -> bool {
        self.state().storage.corrupt(name, offset, mask)
    }
}

impl State {
    /// The same machine for another process: the faults that were asked for are forgotten.
    fn restarted(&self) -> Self {
        let living = Self { dies_in: None, ..self.clone() };
        Self { syncs: 0, writes: 0, sync_fails_in: None, write_fails_in: None, ..living }
    }

    /// Before every change: the dead change nothing.
    fn begin_change(&mut self) -> io::Result<()> {
        self.dies_in = self.dies_in.map(|changes| changes.saturating_sub(1));
        match self.dies_in {
            Some(0) => Err(io::Error::other("the process that used the fake disk is dead")),
            _ => Ok(()),
        }
    }

    fn begin_sync(&mut self) -> io::Result<()> {
        self.begin_change()?;
        self.syncs += 1;
        match is_due(&mut self.sync_fails_in) {
            true => Err(io::Error::other("the fake disk fails this sync")),
            false => Ok(()),
        }
    }

    fn has_room(&self, id: u64, len: u64) -> io::Result<()> {
        let more_bytes = len.saturating_sub(self.storage.len(id)?);
        match self.storage.used_bytes().saturating_add(more_bytes) <= self.capacity_bytes {
            _ if more_bytes == 0 => Ok(()),
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

/// Counts down to the call that shall fail.
fn is_due(fails_in: &mut Option<u64>) -> bool {
    *fails_in = fails_in.map(|calls| calls - 1);
    let due = *fails_in == Some(0);
    if due {
        *fails_in = None;
    }
    due
}

impl Disk for FakeDisk {
    type File = FakeFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().storage.names())
    }

    fn create(&self, name: &str) -> io::Result<FakeFile> {
        let mut state = self.state();
        state.begin_change()?;
        let id = state.storage.create(name)?;
        drop(state);
        Ok(FakeFile { disk: self.clone(), id })
    }

    fn open(&self, name: &str) -> io::Result<FakeFile> {
        let id = self.state().storage.id_of(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(FakeFile { disk: self.clone(), id })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_change()?;
        state.storage.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_change()?;
        state.storage.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.begin_sync()?;
        if !state.syncs_are_ignored {
            state.storage.sync_directory();
        }
        Ok(())
    }

    fn archive(&self, name: &str) -> io::Result<()> {
        let bytes = self.contents(name).ok_or(io::ErrorKind::NotFound)?;
        let mut guard = self.state();
        let state = &mut *guard;
        state.begin_sync()?;
        state.archived.insert(name.to_owned(), bytes);
        state.begin_change()?;
        state.storage.remove(name)?;
        state.begin_sync()?;
        if !state.syncs_are_ignored {
            state.storage.sync_directory();
        }
        Ok(())
    }

    fn random_bytes(&self) -> [u8; 16] {
        let mut state = self.state();
        let (high, low) = (state.dice.next(), state.dice.next());
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        Some(self.state().boot.to_le_bytes())
    }
}

impl DiskFile for FakeFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let cached = state.storage.cached(self.id).ok_or(io::ErrorKind::NotFound)?;
        let from = cached.get(offset.min(cached.len() as u64) as usize..).unwrap_or_default();
        let read = from.len().min(buffer.len());
        buffer[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        state.begin_change()?;
        state.writes += 1;
        state.has_room(self.id, offset + bytes.len() as u64)?;
        if is_due(&mut state.write_fails_in) {
            let written = state.dice.below(bytes.len() as u64) as usize;
            state.storage.write(self.id, &bytes[..written], offset)?;
            return Err(io::Error::other("the fake disk fails this write"));
        }
        state.storage.write(self.id, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        if let Err(error) = state.begin_sync() {
            if state.dies_in == Some(0) {
                return Err(error); // it was never asked for
            }
            state.storage.lose_pending(self.id, &mut state.dice)?;
            return Err(error);
        }
        match state.syncs_are_ignored {
            true => Ok(()),
            false => state.storage.sync(self.id),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.state().storage.len(self.id)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin_change()?;
        state.has_room(self.id, len)?;
        let len = len.max(state.storage.len(self.id)?);
        state.storage.set_len(self.id, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin_change()?;
        let len = len.min(state.storage.len(self.id)?);
        state.storage.set_len(self.id, len)
    }
}
