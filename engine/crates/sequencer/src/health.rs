//! How the engine is: answered at once, from what is durable.

use crate::{Durability, Path};
use bridge_core::CommandRef;

/// As `grpc.health.v1` and the fast path's `ServingStatus` see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HealthStatus {
    /// All is well.
    Serving,
    /// Works, but not as it should: the sync lags, or the disk is full.
    Degraded,
    /// The journal failed: nothing more is acknowledged.
    NotServing,
}

/// Health of the engine.
#[derive(Clone, PartialEq, Debug)]
pub struct HealthReport {
    /// In one word.
    pub status: HealthStatus,
    /// Why it is not serving or degraded; empty otherwise.
    pub message: String,
    /// Which journal, as text.
    pub journal_id: String,
    /// Which start of its engine.
    pub epoch: u64,
    /// Last durable record.
    pub journal_seq: u64,
    /// State as of `journal_seq`; 32 hexadecimal digits on the wire.
    pub state_hash: u128,
    /// `always` or `os`.
    pub durability: Durability,
    /// Copies of orders and commands answered from memory or joined to a running one, since start.
    pub duplicates: u64,
    /// Since start, by name: `orders`, `duplicates_zmq`, `duplicates_grpc`, `records`, `parked`, ...
    pub counters: Vec<(&'static str, u64)>,
}

/// What the state was at the end of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Capture {
    /// Last record of the turn.
    pub(crate) seq: u64,
    /// State after it.
    pub(crate) state_hash: u128,
    /// [`Counts::appended_bytes`] after it.
    pub(crate) appended_bytes: u64,
}

/// Counted since start.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    /// Orders that were not duplicates, rejected ones too.
    orders: u64,
    /// Other commands that were not duplicates.
    commands: u64,
    /// Copies answered from memory or joined to a running call, by any path.
    pub(crate) duplicates: u64,
    duplicates_zmq: u64,
    duplicates_grpc: u64,
    /// Records appended.
    pub(crate) records: u64,
    /// Bytes of those.
    pub(crate) appended_bytes: u64,
    /// Requests refused before `apply`.
    pub(crate) refused: u64,
}

impl Counts {
    /// One command of a client was applied.
    pub(crate) fn command(&mut self, command: CommandRef<'_>, path: Path, duplicate: bool) {
        match command {
            CommandRef::Fence(_) => {} // a question with a consequence: it has no copies
            _ if duplicate => {
                self.duplicates += 1;
                match path {
                    Path::Zmq => self.duplicates_zmq += 1,
                    Path::Grpc => self.duplicates_grpc += 1,
                    Path::Venue | Path::Internal => {}
                }
            }
            CommandRef::Execute(_) => self.orders += 1,
            _ => self.commands += 1,
        }
    }

    pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("orders", self.orders),
            ("commands", self.commands),
            ("duplicates_zmq", self.duplicates_zmq),
            ("duplicates_grpc", self.duplicates_grpc),
            ("records", self.records),
            ("journal_bytes", self.appended_bytes),
            ("refused", self.refused),
        ]
    }
}
