//! The generated code of `execution.proto`, and its descriptors for reflection.

#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

#[rustfmt::skip]
#[path = "generated/execution.rs"]
mod execution;

pub use execution::*;

/// Descriptors of the service contract, as reflection serves them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/execution_descriptor.bin");
