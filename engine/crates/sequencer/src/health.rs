//! How the engine is: answered at once, from what is durable.

use crate::Durability;

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
