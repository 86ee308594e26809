//! Core, venue and journal composed: what a turn of the loop is, without I/O of its own (it sees a [`Disk`] only).
//!
//! The reactor, recovery, [`verify`], [`dump`] and simulators all run this code. A turn is:
//! [`Sequencer::submit`] for each request, [`Sequencer::end_turn`] once, [`Sequencer::synced`] when the sync it
//! handed out is done, and [`Sequencer::next_output`] until it has nothing left.
//!
//! Invariant 2 lives here: every output is parked by journal sequence until its record is durable.

pub mod awaited;
pub mod health;
pub mod options;
pub mod output;
pub mod replay;
pub mod request;
pub mod sequencer;

pub use awaited::{
    Disk, Durability, Replay, SyncJob, SyncResult, VenueCommand, VenueKey, VenueReport,
};
pub use health::{HealthReport, HealthStatus};
pub use options::{OpenError, Opened, Options, VenueKind};
pub use output::{MarketData, Output, Reply, VenueAnswer, VenueQuestion};
pub use replay::{VerifyError, VerifyReport, dump, verify};
pub use request::{Origin, Path, Request, Token};
pub use sequencer::Sequencer;
