//! One process of the engine: what reactor and gRPC service do around the sequencer, without sockets, threads, clocks.
//!
//! Mirrors `crates/server/src/reactor` and `grpc`: the checks of a message in `requests` (there `clients` and
//! `grpc/caller`), replies and subscriptions in `replies` and `subscriptions` (there `replies`, `updates`, `fan_out`),
//! the external venue in `venue_link` (there `venue`). What differs is only what sockets and HTTP/2 add.

mod connections;
mod leases;
mod opening;
mod replies;
mod requests;
mod snapshots;
mod subscriptions;
mod turn;
mod venue_link;

use crate::bugs::Bugs;
use crate::disk::SimDisk;
use crate::settings::{Limits, Settings};
use bridge_core::UtcNanos;
use bridge_sequencer::{HealthReport, HealthStatus, Opened, Sequencer};
use bridge_wire::codec::{Encoder, MessageLimits};
use bridge_wire::limits::DecodeLimits;
use connections::Connections;
use replies::{Held, Waiter};
use snapshots::Making;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use subscriptions::Subscription;
use turn::PendingSync;
use venue_link::VenueLink;

pub use connections::{Path, Said};
pub use opening::OpenFailure;

/// See the module's documentation.
pub struct Shell {
    disk: SimDisk,
    sequencer: Sequencer<SimDisk>,
    opened: Opened,
    journal_id: Arc<str>,
    limits: Limits,
    message_limits: MessageLimits,
    decode_limits: DecodeLimits,
    encoder: Encoder,
    connections: Connections,
    /// Who waits for which reply, by token.
    waiters: BTreeMap<u64, Waiter>,
    last_token: u64,
    subscriptions: BTreeMap<u64, Subscription>,
    last_subscription: u64,
    pending_sync: Option<PendingSync>,
    /// The last record that a shell which releases early has synced.
    synced_early_seq: u64,
    /// What a planted bug's own way of releasing holds back.
    held: VecDeque<Held>,
    venue: VenueLink,
    /// The snapshot that is being made.
    making: Option<Making>,
    is_draining: bool,
    /// The durability that it says it has; a planted bug runs the journal in another.
    is_always: bool,
    bugs: Bugs,
    /// All that can be traded.
    symbols: Vec<String>,
}

impl Shell {
    /// Opens the journal of `disk` and recovers.
    ///
    /// # Errors
    /// The journal cannot be opened.
    pub fn open(disk: SimDisk, settings: Settings, bugs: Bugs, now: UtcNanos) -> Result<Self, OpenFailure> {
        opening::open(disk, settings, bugs, now)
    }

    /// What opening found.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The journal's identity.
    pub fn journal_id(&self) -> &str {
        &self.journal_id
    }

    /// Which start of it this is.
    pub fn epoch(&self) -> u64 {
        self.sequencer.epoch()
    }

    /// Why the journal failed, once it has.
    pub fn failed(&self) -> Option<&str> {
        self.sequencer.failed()
    }

    /// The account's last durable update.
    pub fn last_sequence(&self, account: &str) -> u64 {
        self.bugs.told(self.sequencer.last_sequence(account))
    }

    /// How the engine is; one that drains does not serve.
    pub fn health(&self, now: UtcNanos) -> HealthReport {
        let mut report = self.sequencer.health(now);
        if self.is_always {
            report.durability = bridge_sequencer::Durability::Always;
        }
        if self.is_draining {
            report.status = HealthStatus::NotServing;
            report.message = "the engine is shutting down".to_owned();
        }
        report
    }

    /// The last record, durable or not.
    pub fn last_seq(&self) -> u64 {
        self.sequencer.last_seq()
    }

    /// When [`Shell::on_time`] is due.
    pub fn next_deadline(&self) -> Option<UtcNanos> {
        self.sequencer.next_deadline()
    }

    /// Timers.
    pub fn on_time(&mut self, now: UtcNanos) {
        if self.sequencer.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.sequencer.on_time(now);
        }
    }
}
