//! What travels between client and engine: FlatBuffers envelopes ([`codec`]) and ZMTP ([`zmtp`]). Sans-I/O.
//!
//! Shared by the server and the native Python module. `schemas/WIRE.md` is the contract.

pub mod codec;
pub mod limits;
pub mod zmtp;

/// The code that flatc makes of `schemas/execution.fbs`. Outside this crate use it to read what
/// [`codec::open`] has verified, and for nothing else.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::unwrap_used, missing_docs, unsafe_code, unused_imports, dead_code)]
#[path = "generated/execution_generated.rs"]
mod generated;

pub use generated::smc_trading::execution as schema;

/// Version of the protocol that this crate speaks (WIRE.md section 1.2).
pub const PROTOCOL_VERSION: u16 = 1;

/// Version of the order contract that this crate speaks (WIRE.md section 3).
pub const CONTRACT_VERSION: u16 = 1;

/// The account of an order or request that names none.
pub const DEFAULT_ACCOUNT: &str = "default";
