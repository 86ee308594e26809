//! The sequencer: its parts, how it starts, how a turn ends, and how it fails.

use crate::forgetting::Forgetting;
use crate::health::{Capture, Counts};
use crate::parking::Parking;
use crate::record::Encoded;
use crate::sessions::Sessions;
use crate::snapshot::Snapshots;
use crate::state::State;
use crate::waiting::{AckTimers, Waiting};
use crate::{
    Disk, Durability, HealthReport, HealthStatus, Options, Output, Snapshot, SnapshotJob, SyncJob, SyncResult,
};
use bridge_core::{Call, CommandOutcome, DEFAULT_ACCOUNT, OrderUpdate, UpdateRange, UtcNanos, VenueKey};
use bridge_journal::{Journal, Uuid};
use std::collections::VecDeque;
use std::sync::Arc;

/// A sync that takes longer makes the engine DEGRADED.
const SYNC_LAG_NS: UtcNanos = 1_000_000_000;

/// Core, venue and journal as one. See the crate's documentation for what a turn is.
pub struct Sequencer<D: Disk> {
    pub(crate) options: Options,
    pub(crate) state: State,
    pub(crate) journal: Journal<D>,
    pub(crate) parking: Parking,
    pub(crate) waiting: Waiting,
    pub(crate) ack_timers: AckTimers,
    /// Who is connected.
    pub(crate) sessions: Sessions,
    pub(crate) forgetting: Forgetting,
    pub(crate) counts: Counts,
    pub(crate) snapshots: Snapshots,
    /// Engine time: never decreases, whatever the clock does.
    pub(crate) now: UtcNanos,
    /// The record being encoded; its memory is used again.
    pub(crate) payload: Encoded,
    /// What the last input concluded; its memory is used again.
    pub(crate) concluded: Vec<(Call, CommandOutcome)>,
    /// Why there is no room for a record just now; `None` once there was.
    pub(crate) short_of_space: Option<String>,
    /// Of each turn that was written and is not durable.
    captures: VecDeque<Capture>,
    /// Of the last durable turn.
    durable: Capture,
    sync_since: Option<UtcNanos>,
    failed: Option<String>,
}

impl<D: Disk> Sequencer<D> {
    /// Around a state that the journal has given, all of it durable.
    pub(crate) fn around(options: Options, mut state: State, journal: Journal<D>, now: UtcNanos) -> Self {
        let durable = Capture { seq: journal.last_seq(), state_hash: state.hash(), appended_bytes: 0 };
        Self {
            options,
            state,
            parking: Parking::new(journal.last_seq()),
            journal,
            waiting: Waiting::default(),
            ack_timers: AckTimers::default(),
            sessions: Sessions::default(),
            forgetting: Forgetting::after_start(now),
            counts: Counts::default(),
            snapshots: Snapshots::default(),
            now,
            payload: Encoded::default(),
            concluded: Vec::new(),
            short_of_space: None,
            captures: VecDeque::new(),
            durable,
            sync_since: None,
            failed: None,
        }
    }

    /// Ends a turn: writes its records with one write. In mode `os` that releases what depends on them. In mode
    /// `always` it hands out a job that makes them durable: run it on any thread and give the result to
    /// [`Sequencer::synced`]. One job is out at a time: what is written meanwhile is covered by the next one, so
    /// call this again after `synced`. (In mode `os` a job comes once per segment; nothing waits for it.)
    pub fn end_turn(&mut self) -> Option<SyncJob<D>> {
        if self.failed.is_some() {
            return None;
        }
        if let Err(error) = self.journal.write() {
            self.fail(error.to_string());
            return None;
        }
        self.capture();
        self.release();
        let job = self.journal.sync_job()?;
        self.sync_since = Some(self.now);
        Some(job)
    }

    /// Takes what became of a sync, and releases what depended on it. A sync that failed ends all acknowledgement:
    /// see [`Sequencer::failed`].
    pub fn synced(&mut self, result: SyncResult<D>) {
        self.sync_since = None;
        match self.journal.synced(result) {
            Ok(_) => self.release(),
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// The next output that may leave.
    #[inline]
    pub fn next_output(&mut self) -> Option<Output> {
        let output = self.parking.next();
        if let Some(Output::Updates(range)) = &output {
            // Nobody has seen these yet: they leave with the next release at the earliest, however many they are.
            let these = usize::try_from(range.last.saturating_sub(range.first)).unwrap_or(usize::MAX).saturating_add(1);
            self.state.core.release_updates(range, self.options.update_lag.saturating_add(these));
        }
        output
    }

    /// Updates in words: of a range that an [`Output::Updates`] or a reply to a subscription has released. Ask for a
    /// few at a time, and only where somebody listens: nothing is made for nobody.
    pub fn updates<'a>(&'a self, range: &UpdateRange) -> impl Iterator<Item = OrderUpdate> + 'a {
        self.state.core.updates(range)
    }

    /// Those of these orders and legs that are open, in words as they are now. They depend on every record so far:
    /// they may leave when the record [`Sequencer::last_seq`] is durable ([`Sequencer::is_durable`]).
    pub fn snapshot<'a>(&'a self, keys: &'a [VenueKey]) -> impl Iterator<Item = OrderUpdate> + 'a {
        self.state.core.snapshot(keys)
    }

    /// The last record.
    pub fn last_seq(&self) -> u64 {
        self.journal.last_seq()
    }

    /// Whether what depends on this record may leave. Never again for new records, once the journal failed.
    pub fn is_durable(&self, seq: u64) -> bool {
        seq <= self.durable.seq
    }

    /// Why the journal failed, once it has: nothing more is acknowledged, for good. The engine should be stopped,
    /// the disk seen to, and the engine started again: recovery tells what was durable.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Hands out the making of a snapshot, where closed segments have come to `every_bytes` since the last one. One
    /// job is out at a time: give its result to [`Sequencer::snapshot_made`].
    pub fn snapshot_job(&mut self, every_bytes: u64) -> Option<SnapshotJob<D>> {
        let through = self.journal.closed_through_seq();
        let grown = self.counts.appended_bytes.saturating_sub(self.snapshots.at_bytes);
        if self.snapshots.is_out || self.failed.is_some() || through <= self.snapshots.seq || grown < every_bytes {
            return None;
        }
        self.snapshots.is_out = true;
        self.snapshots.at_bytes = self.counts.appended_bytes;
        let (disk, journal_id) = (self.journal.disk(), self.journal_id());
        Some(SnapshotJob { disk, journal_id, through, venue: self.options.venue })
    }

    /// Takes note of what became of a snapshot.
    pub fn snapshot_made(&mut self, made: &Result<Snapshot, String>) {
        self.snapshots.is_out = false;
        match made {
            Ok(snapshot) => {
                self.snapshots.take(snapshot);
                self.journal.archived_before(snapshot.first_seq);
            }
            Err(_) => self.snapshots.failures += 1,
        }
    }

    /// Bytes of records since start.
    pub fn appended_bytes(&self) -> u64 {
        self.counts.appended_bytes
    }

    /// The directory, for who reads what is closed in it.
    pub fn disk(&self) -> Arc<D> {
        self.journal.disk()
    }

    /// The identity of the journal (invariant 12).
    pub fn journal_id(&self) -> Uuid {
        self.journal.journal_id()
    }

    /// Which start of the journal's engine this is, from 1.
    pub fn epoch(&self) -> u64 {
        self.state.core.epoch()
    }

    /// The account's last update that is durable: what `Welcome` may say. (The state may be ahead of it.)
    pub fn last_sequence(&self, account: &str) -> u64 {
        let account = if account.is_empty() { DEFAULT_ACCOUNT } else { account };
        match self.parking.first_update_of(account) {
            Some(parked) => parked - 1,
            None => self.state.core.last_sequence(account),
        }
    }

    /// An instrument by the index that [`bridge_core::VenueCommand`] names it with.
    pub fn instrument(&self, symbol: u32) -> Option<&bridge_core::Instrument> {
        self.state.core.instrument(symbol)
    }

    /// The instrument of an order: what its ticks and steps are.
    pub fn instrument_of(&self, key: bridge_core::VenueKey) -> Option<&bridge_core::Instrument> {
        self.state.core.instrument_of(key)
    }

    /// The epoch in which an order was entered: with its key its name at a venue outside, which no other order ever
    /// has. `None`: the order is not known, or nothing tells when it was entered ([`bridge_core::Core::epoch_of`]).
    pub fn epoch_of(&self, key: bridge_core::VenueKey) -> Option<u64> {
        self.state.core.epoch_of(key)
    }

    /// An order (or leg) as it is now, durable or not, by the key that venues know it under.
    pub fn order_of(&self, key: bridge_core::VenueKey) -> Option<bridge_core::OrderReply> {
        self.state.core.state_of(key)
    }

    /// How the engine is, as of the last durable record.
    pub fn health(&self, now: UtcNanos) -> HealthReport {
        let (status, message) = self.status(now);
        HealthReport {
            status,
            message,
            journal_id: self.journal_id().to_string(),
            epoch: self.epoch(),
            journal_seq: self.durable.seq,
            state_hash: self.durable.state_hash,
            durability: self.options.durability,
            duplicates: self.counts.duplicates,
            counters: self.counters(),
        }
    }

    fn status(&self, now: UtcNanos) -> (HealthStatus, String) {
        if let Some(reason) = &self.failed {
            return (HealthStatus::NotServing, format!("the journal failed: {reason}"));
        }
        if let Some(reason) = &self.short_of_space {
            return (HealthStatus::Degraded, reason.clone());
        }
        let lag_ns = self.sync_since.map_or(0, |since| now.saturating_sub(since));
        if self.options.durability == Durability::Always && lag_ns > SYNC_LAG_NS {
            return (HealthStatus::Degraded, format!("the disk has been syncing for {} ms", lag_ns / 1_000_000));
        }
        (HealthStatus::Serving, String::new())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.counts.named();
        let segments = self.journal.segments();
        counters.push(("segments", segments.count));
        counters.push(("segment_bytes", segments.bytes));
        counters.extend(self.snapshots.named());
        counters.push(("parked", self.parking.len() as u64));
        counters.push(("waiting_calls", self.waiting.calls() as u64));
        for counter in self.state.core.counters() {
            if counters.iter().all(|(name, _)| *name != counter.0) {
                counters.push(counter);
            }
        }
        counters
    }

    /// Writes and syncs everything, marks the journal as closed in order, and gives what this released. Give the
    /// result of a sync job that is out to [`Sequencer::synced`] before.
    ///
    /// # Errors
    /// Why the journal failed, before or now. What was not durable is not released.
    pub fn close(mut self) -> Result<Vec<Output>, String> {
        let tail = self.journal.last_seq();
        if let Some(reason) = self.failed {
            return Err(reason);
        }
        self.journal.close().map_err(|error| error.to_string())?;
        self.parking.release(tail);
        Ok(std::iter::from_fn(|| self.parking.next()).collect())
    }

    /// Nothing parked is ever released from here on, and nothing new is taken.
    pub(crate) fn fail(&mut self, reason: String) {
        self.parking.seal();
        self.failed.get_or_insert(reason);
    }

    /// Record bytes that wait for the disk.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.counts.appended_bytes - self.durable.appended_bytes
    }

    fn capture(&mut self) {
        let seq = self.journal.last_seq();
        if self.captures.back().unwrap_or(&self.durable).seq < seq {
            let appended_bytes = self.counts.appended_bytes;
            self.captures.push_back(Capture { seq, state_hash: self.state.hash(), appended_bytes });
        }
    }

    fn release(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let durable_seq = self.journal.durable_seq();
        while self.captures.front().is_some_and(|capture| capture.seq <= durable_seq) {
            self.durable = self.captures.pop_front().unwrap_or(self.durable);
        }
        self.parking.release(durable_seq);
    }
}
