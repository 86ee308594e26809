//! Reading a journal without an engine: `verify` and `dump`.

use crate::Disk;

/// What [`verify`] found in a journal that is as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// Records read.
    pub records: u64,
    /// First sequence number.
    pub first_seq: u64,
    /// Last sequence number.
    pub last_seq: u64,
    /// Of orders, accounts and book; 32 hexadecimal digits in print.
    pub state_hash: u128,
}

/// Why a journal cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Damage, or I/O: names file and offset.
    #[error("{0}")]
    Journal(String),
    /// A whole record that this version cannot read.
    #[error("record {seq} cannot be read: {message}")]
    Record {
        /// Its sequence number.
        seq: u64,
        /// What is wrong.
        message: String,
    },
    /// Executing the input again gives something else than what was recorded.
    #[error("record {seq} differs from what its input gives: {what}")]
    Different {
        /// Its sequence number.
        seq: u64,
        /// Which part differs.
        what: String,
    },
}

/// Executes every input again on a fresh core and exchange and compares events, replies and state.
///
/// # Errors
/// See [`VerifyError`].
#[allow(clippy::todo, unused_variables)]
pub fn verify<D: Disk>(disk: &D) -> Result<VerifyReport, VerifyError> {
    todo!()
}

/// Hands out one JSON object per record.
///
/// # Errors
/// As [`verify`], without differences.
#[allow(clippy::todo, unused_variables)]
pub fn dump<D: Disk>(disk: &D, line: impl FnMut(serde_json::Value)) -> Result<(), VerifyError> {
    todo!()
}
