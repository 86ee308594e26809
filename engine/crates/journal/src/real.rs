//! The disk of the machine: a directory that one engine at a time may write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

use crate::{Disk, DiskFile, Error};

const LOCK_NAME: &str = "LOCK";
const ARCHIVE_NAME: &str = "archive";
/// Made by Linux at each boot (random(4)).
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// A directory of the file system. std opens all files with `O_CLOEXEC`.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: File,
    /// Held while this lives; `None`: for reading only.
    lock: Option<File>,
    /// Where archived segments go.
    archive: PathBuf,
}

impl RealDisk {
    /// Opens a data directory for an engine: makes it if it is not there, and locks it until this
    /// is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`Error::DirectoryInUse`] if another engine has it; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        create_directory(path).map_err(Error::io("make the directory", &shown))?;
        let directory = File::open(path).map_err(Error::io("open the directory", &shown))?;
        let lock = lock_directory(path)?;
        Ok(Self { path: path.to_owned(), directory, lock: Some(lock), archive: path.join(ARCHIVE_NAME) })
    }

    /// Opens a data directory for reading only, whether an engine has it or not. Every call that
    /// would change something fails.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open_read_only(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let directory = File::open(path).map_err(Error::io("open the directory", &shown))?;
        Ok(Self { path: path.to_owned(), directory, lock: None, archive: path.join(ARCHIVE_NAME) })
    }

    /// Archives to another place than the folder `archive` in the directory.
    #[must_use]
    pub fn with_archive(self, archive: PathBuf) -> Self {
        Self { archive, ..self }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where archived segments go; not there before the first.
    pub fn archive_path(&self) -> &Path {
        &self.archive
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}

/// The new directory's own entry is made durable too.
fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A whole copy or none, and durable.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let unfinished = to.with_extension("tmp");
    std::fs::copy(from, &unfinished)?;
    File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, to)
}

fn lock_directory(path: &Path) -> Result<File, Error> {
    let lock_path = path.join(LOCK_NAME);
    let shown = lock_path.display().to_string();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut lock = options.open(&lock_path).map_err(Error::io("open", &shown))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // The pid is a courtesy; without it the message only says less.
            let _ = lock.read_to_string(&mut text);
            let directory = path.to_owned();
            return Err(Error::DirectoryInUse { directory, pid: text.trim().parse().ok() });
        }
        Err(errno) => return Err(Error::io("lock", &shown)(errno.into())),
    }
    lock.set_len(0).map_err(Error::io("write", &shown))?;
    // On a full disk the engine must still be able to start and say so.
    let _ = writeln!(lock, "{}", std::process::id());
    Ok(lock)
}

impl Disk for RealDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        self.check_writable()?;
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let writable = self.lock.is_some();
        OpenOptions::new().read(true).write(writable).open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check_writable()?;
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_writable()?;
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.check_writable()?;
        self.directory.sync_all()
    }

    fn archive(&self, name: &str) -> io::Result<()> {
        self.check_writable()?;
        create_directory(&self.archive)?;
        let (here, there) = (self.path.join(name), self.archive.join(name));
        match std::fs::hard_link(&here, &there) {
            Ok(()) => {}
            // A crash came between the two steps, once; or the archive is on another file system.
            Err(_) => copy(&here, &there)?,
        }
        File::open(&self.archive)?.sync_all()?;
        std::fs::remove_file(&here)?;
        self.directory.sync_all()
    }

    fn random_bytes(&self) -> [u8; 16] {
        // Made from 122 random bits; the six fixed ones do not matter to a salt or an id.
        *uuid::Uuid::new_v4().as_bytes()
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        let text = std::fs::read_to_string(BOOT_ID_PATH).ok()?;
        Some(*uuid::Uuid::try_parse(text.trim()).ok()?.as_bytes())
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        loop {
            match fallocate(self, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP) => return fill_with_zeros(self, len),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// For file systems that cannot allocate.
fn fill_with_zeros(file: &File, len: u64) -> io::Result<()> {
    static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut offset = file.metadata()?.len();
    while offset < len {
        let piece_bytes = (len - offset).min(PIECE.len() as u64) as usize;
        file.write_all_at(&PIECE[..piece_bytes], offset)?;
        offset += piece_bytes as u64;
    }
    Ok(())
}
