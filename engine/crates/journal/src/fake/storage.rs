//! What the fake disk stores: per file a cache, a platter and the operations between them.

use std::collections::BTreeMap;
use std::io;

use super::dice::Dice;

/// What a disk writes whole or not at all, mostly.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    /// Names as processes see them.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<NameOperation>,
    files: BTreeMap<u64, FileState>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<FileOperation>,
}

#[derive(Clone, Debug)]
enum NameOperation {
    Create { name: String, id: u64 },
    Rename { from: String, to: String, id: u64 },
    Remove { name: String },
}

#[derive(Clone, Debug)]
enum FileOperation {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Storage {
    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub fn id_of(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    pub fn cached(&self, id: u64) -> Option<&[u8]> {
        self.files.get(&id).map(|file| file.cached.as_slice())
    }

    pub fn len(&self, id: u64) -> io::Result<u64> {
        Ok(self.cached(id).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    pub fn used_bytes(&self) -> u64 {
        self.names.values().filter_map(|id| self.len(*id).ok()).sum()
    }

    pub fn create(&mut self, name: &str) -> io::Result<u64> {
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.files.keys().last().map_or(0, |last| last + 1);
        self.files.insert(id, FileState::default());
        self.names.insert(name.to_owned(), id);
        self.pending_names.push(NameOperation::Create { name: name.to_owned(), id });
        Ok(id)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), id);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.pending_names.push(NameOperation::Rename { from, to, id });
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.pending_names.push(NameOperation::Remove { name: name.to_owned() });
        Ok(())
    }

    pub fn sync_directory(&mut self) {
        self.durable_names = self.names.clone();
        self.pending_names.clear();
    }

    pub fn write(&mut self, id: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.change(id, FileOperation::Write { offset, bytes: bytes.to_vec() })
    }

    pub fn set_len(&mut self, id: u64, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.change(id, FileOperation::SetLen(len))
    }

    pub fn sync(&mut self, id: u64) -> io::Result<()> {
        let file = self.file(id)?;
        for operation in std::mem::take(&mut file.pending) {
            operation.apply(&mut file.durable);
        }
        Ok(())
    }

    /// What a failed sync leaves: some of it is durable, and the rest counts as clean.
    pub fn lose_pending(&mut self, id: u64, dice: &mut Dice) -> io::Result<()> {
        let file = self.file(id)?;
        file.durable = file.after_power_loss(dice);
        file.pending.clear();
        Ok(())
    }

    pub fn corrupt(&mut self, name: &str, offset: u64, mask: u8) -> bool {
        let Some(file) = self.id_of(name).and_then(|id| self.files.get_mut(&id)) else {
            return false;
        };
        let offset = offset as usize;
        match (file.cached.get_mut(offset), file.durable.get_mut(offset)) {
            (Some(cached), Some(durable)) => {
                *cached ^= mask;
                *durable ^= mask;
                true
            }
            _ => false,
        }
    }

    pub fn after_power_loss(&self, dice: &mut Dice) -> Self {
        let mut names = self.durable_names.clone();
        for operation in &self.pending_names {
            if dice.percent(50) {
                operation.apply(&mut names);
            }
        }
        let mut files = BTreeMap::new();
        for id in names.values() {
            let durable = self.files.get(id).map(|file| file.after_power_loss(dice));
            let durable = durable.unwrap_or_default();
            files.insert(*id, FileState { cached: durable.clone(), durable, pending: Vec::new() });
        }
        Self { durable_names: names.clone(), names, pending_names: Vec::new(), files }
    }

    fn change(&mut self, id: u64, operation: FileOperation) -> io::Result<()> {
        let file = self.file(id)?;
        operation.apply(&mut file.cached);
        file.pending.push(operation);
        Ok(())
    }

    fn file(&mut self, id: u64) -> io::Result<&mut FileState> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl NameOperation {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create { name, id } => {
                names.insert(name.clone(), *id);
            }
            Self::Rename { from, to, id } => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

impl FileState {
    /// The platter after a power loss. How much of the pending operations reached it differs from
    /// loss to loss: nothing, all, or sector by sector with one chance for all.
    fn after_power_loss(&self, dice: &mut Dice) -> Vec<u8> {
        let chance = [0, 10, 50, 90, 100][dice.below(5) as usize];
        let mut durable = self.durable.clone();
        for operation in &self.pending {
            match operation {
                FileOperation::Write { offset, bytes } => {
                    tear(&mut durable, *offset, bytes, chance, dice);
                }
                FileOperation::SetLen(_) if dice.percent(chance) => operation.apply(&mut durable),
                FileOperation::SetLen(_) => {}
            }
        }
        durable
    }
}

impl FileOperation {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(contents, *offset, bytes),
            Self::SetLen(len) => contents.resize(*len, 0),
        }
    }
}

/// Writes some sectors of `bytes` and not others, and one in eight only up to some byte.
fn tear(contents: &mut Vec<u8>, offset: usize, bytes: &[u8], chance: u64, dice: &mut Dice) {
    let mut from = 0;
    while from < bytes.len() {
        let sector_end = (offset + from + 1).next_multiple_of(SECTOR_BYTES) - offset;
        let to = sector_end.min(bytes.len());
        if dice.percent(chance) {
            let torn = chance < 100 && dice.percent(12);
            let kept = if torn { dice.below((to - from) as u64) as usize } else { to - from };
            put(contents, offset + from, &bytes[from..from + kept]);
        }
        from = to;
    }
}

fn put(contents: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[offset..end].copy_from_slice(bytes);
}
