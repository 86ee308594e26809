//! The bytes in `tests/interop/vectors`, which both languages read and write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "vectors/content.rs"]
mod content;
#[path = "vectors/describe.rs"]
mod describe;

use bridge_wire::codec::{ClientMessage, decode_request, open};
use bridge_wire::limits::DecodeLimits;
use describe::describe;
use serde_json::Value;
use std::collections::BTreeMap;
use std::{fs, path::PathBuf};

const LIMITS: DecodeLimits = DecodeLimits { max_message_bytes: 1 << 20, max_batch_orders: 1000 };

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/interop/vectors")
}

fn expected() -> BTreeMap<String, Value> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let described = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    described
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect()
}

fn said_by(bytes: &[u8]) -> Value {
    describe(&open(bytes, &LIMITS).unwrap())
}

#[test]
fn the_bytes_of_rust_and_of_python_say_what_their_description_says() {
    let expected = expected();
    assert!(expected.len() > 20, "only {} vectors", expected.len());
    for (name, description) in expected {
        for folder in [folder(), folder().join("python")] {
            let bytes = fs::read(folder.join(&name).with_extension("bin")).unwrap();
            assert_eq!(said_by(&bytes), description, "{name} in {}", folder.display());
        }
    }
}

#[test]
fn the_encoder_still_writes_what_the_descriptions_say() {
    let expected = expected();
    let written = content::vectors();
    assert_eq!(written.len(), expected.len());
    for (name, bytes) in written {
        assert_eq!(said_by(&bytes), expected[name], "{name}");
    }
}

#[test]
fn requests_of_either_language_are_the_same_to_the_engine() {
    let mut read = 0;
    for (name, _) in expected() {
        let of_rust = fs::read(folder().join(&name).with_extension("bin")).unwrap();
        let of_python = fs::read(folder().join("python").join(&name).with_extension("bin")).unwrap();
        if let Ok(request) = decode_request(&of_rust, &LIMITS) {
            assert_eq!(decode_request(&of_python, &LIMITS).unwrap(), request, "{name}");
            read += 1;
        }
    }
    assert_eq!(read, 19);
}

#[test]
fn a_full_order_reaches_the_core_field_by_field() {
    let bytes = fs::read(folder().join("execute_order_full.bin")).unwrap();
    let envelope = decode_request(&bytes, &LIMITS).unwrap();
    let ClientMessage::Command(bridge_core::Command::Execute(order)) = envelope.body else { panic!("no order") };
    assert_eq!((envelope.correlation, envelope.journal_id.len()), (2, 36));
    assert_eq!(order, content::full_order());
}
