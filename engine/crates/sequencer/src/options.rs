//! How a sequencer is set up, what opening one found, and why opening can fail.

use crate::Durability;

/// Where orders are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VenueKind {
    /// The exchange in this process: answers within the turn, rebuilt from the same journal.
    Embedded,
    /// A venue elsewhere: gets an effect once its intent is durable; reports come back as journaled inputs.
    External {
        /// A call without a report concludes as PENDING after this long.
        ack_timeout_ms: u64,
    },
}

/// Limits and modes. None of it is read by `apply`.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// What "durable" means.
    pub durability: Durability,
    /// Size of a journal segment, bytes.
    pub segment_bytes: u64,
    /// Orders of one batch; more are refused with `BATCH_TOO_LARGE`.
    pub max_batch_orders: usize,
    /// Outputs waiting for the disk; above it `BUSY`.
    pub max_parked_outputs: usize,
    /// Record bytes waiting for the disk; above it `BUSY`.
    pub max_parked_bytes: usize,
    /// Calls waiting for an external venue; above it `BUSY`.
    pub max_waiting_calls: usize,
    /// How many updates a subscriber may lag behind: so many are kept besides those that can be replayed.
    pub update_lag: usize,
    /// Where orders are executed.
    pub venue: VenueKind,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            segment_bytes: 64 << 20,
            max_batch_orders: 10_000,
            max_parked_outputs: 200_000,
            max_parked_bytes: 64 << 20,
            max_waiting_calls: 100_000,
            update_lag: 16_384,
            venue: VenueKind::Embedded,
        }
    }
}

/// What [`crate::Sequencer::open`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Records folded.
    pub records: u64,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
    /// Last sequence number that was in the journal; 0 for a new one.
    pub last_seq: u64,
    /// The record that the snapshot stands at from which the start went on; 0: from the first record.
    pub snapshot_seq: u64,
    /// Snapshots that could not be used, and why.
    pub unusable_snapshots: Vec<String>,
}

/// Why a sequencer does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal refuses: damage, a directory in use, I/O.
    #[error("{0}")]
    Journal(String),
    /// A whole record, but not one that this version can read or fold.
    #[error("record {seq} cannot be read: {message}")]
    Record {
        /// Its sequence number.
        seq: u64,
        /// What is wrong.
        message: String,
    },
    /// The configuration is not valid.
    #[error("configuration: {0}")]
    Configuration(String),
    /// The journal was written with the other kind of venue, whose state this one does not have.
    #[error("the data directory was written with {recorded} venue; start with that one, or use an empty directory")]
    OtherVenue {
        /// `an embedded` or `an external`.
        recorded: &'static str,
    },
}
