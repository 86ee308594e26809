//! The sequencer: one writer, one order of inputs, outputs by journal sequence.

use crate::{
    Disk, HealthReport, OpenError, Opened, Options, Origin, Output, Request, SyncJob, SyncResult,
    Token, VenueAnswer, VenueKey, VenueReport,
};
use bridge_core::{Configuration, UtcNanos};
use std::marker::PhantomData;

/// Core, venue and journal as one.
pub struct Sequencer<D: Disk> {
    disk: PhantomData<D>,
}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl<D: Disk> Sequencer<D> {
    /// Folds the journal, journals the new epoch (and the configuration if it differs) and makes that durable.
    ///
    /// # Errors
    /// A damaged journal, a directory in use, an invalid configuration: see [`OpenError`].
    pub fn open(
        disk: D,
        options: Options,
        configuration: Configuration,
        now: UtcNanos,
    ) -> Result<(Self, Opened), OpenError> {
        todo!()
    }
    pub fn submit(&mut self, token: Token, origin: &Origin, request: Request, now: UtcNanos) {
        todo!()
    }
    pub fn venue_report(&mut self, report: VenueReport, now: UtcNanos) {
        todo!()
    }
    pub fn venue_answer(&mut self, key: VenueKey, answer: VenueAnswer, now: UtcNanos) {
        todo!()
    }
    pub fn reconcile(&mut self) {
        todo!()
    }
    pub fn next_deadline(&self) -> Option<UtcNanos> {
        todo!()
    }
    pub fn on_time(&mut self, now: UtcNanos) {
        todo!()
    }
    pub fn end_turn(&mut self) -> Option<SyncJob<D>> {
        todo!()
    }
    pub fn synced(&mut self, result: SyncResult) {
        todo!()
    }
    pub fn next_output(&mut self) -> Option<Output> {
        todo!()
    }
    pub fn failed(&self) -> Option<&str> {
        todo!()
    }
    pub fn journal_id(&self) -> &str {
        todo!()
    }
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    pub fn health(&self, now: UtcNanos) -> HealthReport {
        todo!()
    }
    pub fn last_sequence(&self, account: &str) -> u64 {
        todo!()
    }
    /// Writes, syncs and marks the journal as closed cleanly. Outputs this releases are returned.
    ///
    /// # Errors
    /// The journal failed; what was not durable is not released.
    pub fn close(self) -> Result<Vec<Output>, String> {
        todo!()
    }
}
