//! Greetings, commands and frames as RFC 37 writes them, byte by byte.
#![allow(dead_code, missing_docs)]

/// Signature, version 3.`minor`, mechanism, not as server, filler.
pub fn greeting(mechanism: &[u8], minor: u8) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor];
    bytes.extend_from_slice(mechanism);
    bytes.resize(64, 0);
    bytes
}

pub fn command(name: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![4, (1 + name.len() + body.len()) as u8, name.len() as u8];
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub fn ready(socket_type: &str) -> Vec<u8> {
    let mut property = vec![11];
    property.extend_from_slice(b"Socket-Type");
    property.extend_from_slice(&(socket_type.len() as u32).to_be_bytes());
    property.extend_from_slice(socket_type.as_bytes());
    command("READY", &property)
}

pub fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = if body.len() > 255 {
        [&[flags | 2][..], &(body.len() as u64).to_be_bytes()].concat()
    } else {
        vec![flags, body.len() as u8]
    };
    bytes.extend_from_slice(body);
    bytes
}
