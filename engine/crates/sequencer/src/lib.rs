//! Core, venue and journal composed: what a turn of the loop is, without I/O of its own (it sees a [`Disk`] only).
//!
//! The reactor, recovery, [`verify`], [`dump`] and simulators all run this code. A turn is:
//! [`Sequencer::submit`] for each request, [`Sequencer::end_turn`] once, [`Sequencer::synced`] when the sync it
//! handed out is done, and [`Sequencer::next_output`] until it has nothing left.
//!
//! One input takes this way: admitted (or refused, without a trace) and room reserved in the journal; executed by
//! `state`, core and embedded exchange in turn until nothing is left; appended as one `record`; its outputs put into
//! `parking` under the record's number. Invariant 2 lives there: they leave when that record is durable.

mod dump;
mod forgetting;
pub mod health;
mod json;
mod leases;
mod open;
pub mod options;
pub mod output;
mod parking;
mod record;
pub mod request;
mod room;
mod run;
pub mod sequencer;
mod sessions;
mod snapshot;
mod state;
mod submit;
mod venue_reports;
pub mod venue_words;
mod verify;
mod waiting;

pub use bridge_core::{MarketData, Replay, UpdateRange, VenueCommand, VenueKey, VenueReport};
pub use bridge_journal::{Disk, Durability, SyncJob, SyncResult, Uuid};
pub use dump::dump;
pub use health::{HealthReport, HealthStatus};
pub use options::{OpenError, Opened, Options, VenueKind};
pub use output::{Output, Reply, VenueAnswer, VenueQuestion};
pub use request::{Origin, Path, Request, Token};
pub use sequencer::Sequencer;
pub use snapshot::{Snapshot, SnapshotJob};
pub use verify::{ReadError, VerifyError, VerifyReport, verify};
