//! The machine's disk: the journal's [`FakeDisk`], on which the process that uses it can die between any two operations.

use crate::turnstile;
use bridge_journal::{Disk, DiskFile, WithArchive, fake::Dice, fake::FakeDisk, fake::FakeFile};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one process sees of a disk. Clones are the same process on the same disk.
#[derive(Clone)]
pub struct SimDisk {
    fake: FakeDisk,
    process: Arc<Mutex<Process>>,
}

/// An open file of a [`SimDisk`].
pub struct SimFile {
    fake: FakeFile,
    disk: SimDisk,
    is_snapshot: bool,
}

/// The process whose disk it is.
struct Process {
    dice: Dice,
    /// Operations that change the disk until the last one, which is the one at 0.
    dies_in: Option<u64>,
    is_dead: bool,
    operations: u64,
    /// A planted bug: a sync that failed is tried again, and the second answer is believed.
    retries_syncs: bool,
    /// A planted bug: what is to be archived is removed.
    loses_archived: bool,
    /// A planted bug: snapshots are never synced.
    leaves_snapshots_unsynced: bool,
}

/// What becomes of an operation that changes the disk.
enum Fate {
    Happens,
    /// The process dies in it.
    IsTheLast(Reach),
}

/// How far the last operation of a process came.
enum Reach {
    Nothing,
    Part(u64),
    All,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self::around(FakeDisk::new(seed), Dice::new(seed ^ 0x0D15_EA5E))
    }

    fn around(fake: FakeDisk, dice: Dice) -> Self {
        let process = Process {
            dice,
            dies_in: None,
            is_dead: false,
            operations: 0,
            retries_syncs: false,
            loses_archived: false,
            leaves_snapshots_unsynced: false,
        };
        Self { fake, process: Arc::new(Mutex::new(process)) }
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk of the next process after this one died.
    pub fn kill(&self) -> Self {
        let seed = self.process().dice.next();
        Self::around(self.fake.kill(), Dice::new(seed))
    }

    /// The disk of the next process after the machine lost its power.
    pub fn crash(&self) -> Self {
        let seed = self.process().dice.next();
        Self::around(self.fake.crash(), Dice::new(seed))
    }

    /// The disk itself, for the faults that it has.
    pub fn fake(&self) -> &FakeDisk {
        &self.fake
    }

    /// The process dies in the operation after this many that change the disk.
    pub fn die_after(&self, operations: u64) {
        self.process().dies_in = Some(operations);
    }

    /// Whether the process has died in an operation of its disk.
    pub fn is_dead(&self) -> bool {
        self.process().is_dead
    }

    /// Operations that changed the disk, or tried to.
    pub fn operations(&self) -> u64 {
        self.process().operations
    }

    /// Plants the bug of a sync that is tried again.
    pub fn retry_syncs(&self) {
        self.process().retries_syncs = true;
    }

    /// Plants the bug of an archive that keeps nothing.
    pub fn lose_archived(&self) {
        self.process().loses_archived = true;
    }

    /// Plants the bug of snapshots that are not synced.
    pub fn leave_snapshots_unsynced(&self) {
        self.process().leaves_snapshots_unsynced = true;
    }

    /// The disk with its archive in front, to read the whole chain of records; whoever is alive.
    pub fn chain(&self) -> WithArchive<FakeDisk> {
        WithArchive::new(self.fake.clone(), Some(self.fake.archived()))
    }

    /// Bytes of all files.
    ///
    /// # Errors
    /// None that a fake disk has.
    pub fn used_bytes(&self) -> io::Result<u64> {
        self.fake.list()?.iter().map(|name| self.fake.open(name)?.len()).sum()
    }

    /// Syncs everything there is: what shells with planted bugs do of their own.
    ///
    /// # Errors
    /// A sync fails.
    pub fn sync_everything(&self) -> io::Result<()> {
        for name in self.list()? {
            self.open(&name)?.sync_data()?;
        }
        self.sync_directory()
    }

    fn alive(&self) -> io::Result<()> {
        if self.process().is_dead { Err(died()) } else { Ok(()) }
    }

    fn fate(&self) -> io::Result<Fate> {
        turnstile::pass().map_err(|_| died())?;
        let mut process = self.process();
        if process.is_dead {
            return Err(died());
        }
        process.operations += 1;
        match process.dies_in {
            None => Ok(Fate::Happens),
            Some(left) if left > 0 => {
                process.dies_in = Some(left - 1);
                Ok(Fate::Happens)
            }
            Some(_) => {
                process.is_dead = true;
                Ok(Fate::IsTheLast(match process.dice.below(3) {
                    0 => Reach::Nothing,
                    1 => Reach::Part(process.dice.next()),
                    _ => Reach::All,
                }))
            }
        }
    }

    /// Does what can only be done or not.
    fn change<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.fate()? {
            Fate::Happens => operation(),
            Fate::IsTheLast(Reach::All) => {
                operation()?;
                Err(died())
            }
            Fate::IsTheLast(_) => Err(died()),
        }
    }

    fn archive_now(&self, name: &str) -> io::Result<()> {
        if !self.process().loses_archived {
            return self.fake.archive(name);
        }
        self.fake.remove(name)?;
        self.fake.sync_directory()
    }

    /// In the archive, and still here.
    fn archive_and_keep(&self, name: &str) -> io::Result<()> {
        let contents = self.fake.contents(name).unwrap_or_default();
        self.fake.archive(name)?;
        let kept = self.fake.create(name)?;
        kept.write_at(&contents, 0)?;
        kept.sync_data()?;
        self.fake.sync_directory()
    }

    fn file(&self, fake: FakeFile, name: &str) -> SimFile {
        SimFile { fake, disk: self.clone(), is_snapshot: name.contains(".snapshot") }
    }
}

/// What a dead process hears of its disk: nobody acts on it.
fn died() -> io::Error {
    io::Error::other("the process has died")
}

impl Disk for SimDisk {
    type File = SimFile;

    fn list(&self) -> io::Result<Vec<String>> {
        turnstile::pass().map_err(|_| died())?;
        self.alive()?;
        self.fake.list()
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        self.change(|| self.fake.create(name)).map(|file| self.file(file, name))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        self.alive()?;
        self.fake.open(name).map(|file| self.file(file, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|| self.fake.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|| self.fake.remove(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.change(|| self.fake.sync_directory())
    }

    fn archive(&self, name: &str) -> io::Result<()> {
        match self.fate()? {
            Fate::Happens => return self.archive_now(name),
            Fate::IsTheLast(Reach::Nothing) => {}
            Fate::IsTheLast(Reach::Part(dice)) if dice % 2 == 0 => self.archive_and_keep(name)?,
            Fate::IsTheLast(Reach::Part(_)) => {
                self.fake.fail_sync(2); // gone from here, and that is not durable
                let _ = self.fake.archive(name);
            }
            Fate::IsTheLast(Reach::All) => self.archive_now(name)?,
        }
        Err(died())
    }

    fn random_bytes(&self) -> [u8; 16] {
        self.fake.random_bytes()
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.fake.boot_id()
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.alive()?;
        self.fake.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.disk.fate()? {
            Fate::Happens => return self.fake.write_at(bytes, offset),
            Fate::IsTheLast(Reach::Nothing) => {}
            Fate::IsTheLast(Reach::Part(dice)) => {
                let written = dice.checked_rem(bytes.len() as u64).unwrap_or(0) as usize;
                self.fake.write_at(&bytes[..written], offset)?;
            }
            Fate::IsTheLast(Reach::All) => self.fake.write_at(bytes, offset)?,
        }
        Err(died())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_snapshot && self.disk.process().leaves_snapshots_unsynced {
            return Ok(());
        }
        self.disk.change(|| match self.fake.sync_data() {
            Err(_) if self.disk.process().retries_syncs => self.fake.sync_data(),
            synced => synced,
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.alive()?;
        self.fake.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.change(|| self.fake.allocate(len))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.change(|| self.fake.truncate(len))
    }
}
