//! In which boot of the machine the directory was last written: what tells the end of a process from the loss of the
//! machine.
//!
//! What a process wrote stays in the cache of a machine that lives on, in the order it was written. So a start that
//! finds the boot of the last writer knows more than what was synced: only the last write can be torn.
//!
//! The note is made before the first append of each writer, when all that it kept is synced. It is written in place
//! and never synced, on purpose: only a process of the same boot believes it, and that one reads the cache. A note
//! that a crash has torn, or a missing one (an older directory), counts as another boot.

use std::io;

use crate::{Disk, DiskFile, Error};

const NAME: &str = "BOOT";
const ID_BYTES: usize = 16;
/// The id, and its CRC-32C.
const NOTE_BYTES: usize = ID_BYTES + 4;

/// Whether the directory's last writer ran in the present boot of the machine.
pub(crate) fn is_of_last_writer<D: Disk>(disk: &D) -> Result<bool, Error> {
    let Some(id) = disk.boot_id() else { return Ok(false) };
    let file = match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(Error::io("open", NAME))?,
    };
    let mut found = [0; NOTE_BYTES];
    let read = file.read_at(&mut found, 0).map_err(Error::io("read", NAME))?;
    Ok(read == NOTE_BYTES && found == note(id))
}

/// Notes the present boot. Call it when all that stands in the directory is synced.
pub(crate) fn remember<D: Disk>(disk: &D) -> Result<(), Error> {
    // Without an id an older note may stay: its boot never comes again.
    let Some(id) = disk.boot_id() else { return Ok(()) };
    let file = match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(NAME),
        opened => opened,
    };
    let file = file.map_err(Error::io("open", NAME))?;
    file.write_at(&note(id), 0).map_err(Error::io("write", NAME))
}

fn note(id: [u8; ID_BYTES]) -> [u8; NOTE_BYTES] {
    let mut note = [0; NOTE_BYTES];
    note[..ID_BYTES].copy_from_slice(&id);
    note[ID_BYTES..].copy_from_slice(&crc32c::crc32c(&id).to_le_bytes());
    note
}
