//! `verify` and `dump`: what a journal says, without an engine.

use crate::failure::Failure;
use bridge_journal::{RealDisk, WithArchive};
use serde_json::json;
use std::{
    io::{self, BufWriter, Write as _},
    path::Path,
};

/// Executes the journal's inputs again and compares; prints one JSON line.
///
/// # Errors
/// Damage, or a record that its input does not give: exit code 3.
pub fn verify(directory: &Path, archive: Option<&Path>) -> Result<(), Failure> {
    let report = bridge_sequencer::verify(&open(directory, archive)?);
    let report = report.map_err(|e| Failure::damage(format!("{}: {e}", directory.display())))?;
    let line = json!({
        "event": "verified",
        "records": report.records,
        "first_seq": report.first_seq,
        "last_seq": report.last_seq,
        "cut_bytes": report.cut_bytes,
        "state_hash": format!("{:032x}", report.state_hash),
    });
    print(&mut io::stdout().lock(), &line).map_err(unwritten)
}

/// Prints the journal, one JSON line per record.
///
/// # Errors
/// Damage: exit code 3; what came before it has been printed.
pub fn dump(directory: &Path, archive: Option<&Path>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let read = bridge_sequencer::dump(&open(directory, archive)?, |line| {
        if written.is_ok() {
            written = print(&mut out, &line);
        }
    });
    let flushed = out.flush();
    match written.and(flushed) {
        // Who reads only the head of it has what he wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        written => written.map_err(unwritten)?,
    }
    read.map_err(|e| Failure::damage(format!("{}: {e}", directory.display())))
}

/// The directory and, where there is one, its archive in front.
fn open(directory: &Path, archive: Option<&Path>) -> Result<WithArchive<RealDisk>, Failure> {
    let read = |path: &Path| RealDisk::open_read_only(path).map_err(|e| Failure::setup(e.to_string()));
    let usual = directory.join("archive");
    let archive = match archive {
        Some(archive) => Some(read(archive)?),
        None if usual.is_dir() => Some(read(&usual)?),
        None => None,
    };
    Ok(WithArchive::new(read(directory)?, archive))
}

fn print(out: &mut impl io::Write, line: &serde_json::Value) -> io::Result<()> {
    writeln!(out, "{line}")
}

fn unwritten(error: io::Error) -> Failure {
    Failure::broken(format!("cannot write to standard output: {error}"))
}
