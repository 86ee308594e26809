//! A turn's end, the sync, and the engine's end in order (`reactor/mod`, `reactor/drain`).

use super::Shell;
use super::connections::Said;
use super::requests::shutting_down;
use crate::disk::SimDisk;
use bridge_core::UtcNanos;
use bridge_sequencer::{Output, SyncJob};

/// How long a shutdown may take, as `GoingAway` says.
const DRAIN_MS: u32 = 5_000;

/// A sync that is out.
pub enum PendingSync {
    /// The journal's.
    Of(SyncJob<SimDisk>),
    /// A shell that releases early syncs by itself what it has released: all records up to this one.
    Everything {
        /// The last record that was written when it began.
        through_seq: u64,
        /// What the journal, which believes itself in mode `os`, wants done besides.
        job: Option<SyncJob<SimDisk>>,
    },
}

impl Shell {
    /// Ends a turn: reads what had no room, writes, and says what may leave. True: a sync has begun.
    pub fn end_turn(&mut self, now: UtcNanos) -> bool {
        self.receive_waiting(now);
        let began = self.write();
        self.say_outputs();
        self.drop_who_never_reads();
        began
    }

    /// What waits for one connection is bounded.
    fn drop_who_never_reads(&mut self) {
        for number in self.connections.numbers() {
            let unread_bytes = self.connections.get(number).map_or(0, |connection| connection.unread_bytes);
            if unread_bytes > self.limits.max_output_bytes {
                self.subscriptions.retain(|_, subscription| subscription.connection != number);
                self.connections.break_off(number);
            }
        }
    }

    /// The sync that is out is over. True: the next has begun.
    pub fn sync_done(&mut self, now: UtcNanos) -> bool {
        match self.pending_sync.take() {
            None => return false,
            Some(PendingSync::Of(job)) => self.sequencer.synced(job.run()),
            Some(PendingSync::Everything { through_seq, job }) => {
                self.synced_early_seq = through_seq;
                if let Some(job) = job {
                    self.sequencer.synced(job.run());
                }
                // A sync that fails here is a fault of a disk that a bug was planted on: its engine goes on.
                let _ = self.disk.sync_everything();
                self.say_held();
            }
        }
        self.end_turn(now)
    }

    fn write(&mut self) -> bool {
        let job = self.sequencer.end_turn();
        if self.pending_sync.is_some() {
            return false; // one is out at a time: the sequencer gives no job meanwhile
        }
        if self.bugs.releases_early() {
            let through_seq = self.sequencer.health(0).journal_seq;
            if through_seq > self.synced_early_seq || job.is_some() {
                self.pending_sync = Some(PendingSync::Everything { through_seq, job });
            }
        } else {
            self.pending_sync = job.map(PendingSync::Of);
        }
        self.pending_sync.is_some()
    }

    /// SIGTERM: tells everybody, and refuses what is new.
    pub fn begin_drain(&mut self) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        let bytes = self.encoder.going_away("the engine is shutting down", DRAIN_MS).to_vec();
        for number in self.connections.numbers() {
            if self.connections.get(number).is_some_and(|connection| connection.path == super::Path::Zmq) {
                self.connections.say(number, &bytes);
            }
        }
    }

    /// Syncs, marks the journal as closed in order, says what that releases, and ends all connections; gives what the
    /// clients hear.
    ///
    /// # Errors
    /// The journal failed, before or now.
    pub fn close(mut self) -> Result<Said, String> {
        self.making = None; // nobody waits for it
        while self.pending_sync.is_some() {
            self.sync_done(0);
        }
        for number in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            self.end_subscription(number, &shutting_down(), false);
        }
        for number in self.connections.numbers() {
            self.end_connection(number);
        }
        let outputs = self.sequencer.close()?;
        // Everything was synced and said above: nothing depends on the close.
        debug_assert!(!outputs.iter().any(|output| matches!(output, Output::Reply { .. })));
        Ok(self.connections.take().0)
    }
}
