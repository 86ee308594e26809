//! The generated code of `execution.proto`: the engine's own, so that both speak the same.

#![allow(missing_docs, dead_code, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

#[rustfmt::skip]
#[path = "../../server/src/generated/execution.rs"]
mod execution;

pub use execution::*;
