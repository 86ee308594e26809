//! Writes the interop vectors anew, on purpose: `cargo run -p bridge-wire --example write_vectors`.
//!
//! A change of `tests/interop/vectors/*.bin` is a change of the wire: old clients and engines send the old bytes.
//! `python tests/interop/write_vectors.py` writes the Python side's (folder `vectors/python`) from these.

#[path = "../tests/vectors/content.rs"]
mod content;
#[path = "../tests/vectors/describe.rs"]
#[allow(clippy::expect_used)]
mod describe;

use bridge_wire::{codec::open, limits::DecodeLimits};
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/interop/vectors");
    fs::create_dir_all(&folder)?;
    for (name, bytes) in content::vectors() {
        let description = describe::describe(&open(&bytes, &DecodeLimits::default())?);
        fs::write(folder.join(name).with_extension("bin"), &bytes)?;
        fs::write(folder.join(name).with_extension("json"), format!("{description:#}\n"))?;
    }
    Ok(())
}
