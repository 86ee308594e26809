//! Snapshots are made by a thread of their own, which comes last when cores are short.

use super::Reactor;
use bridge_journal::RealDisk;
use bridge_sequencer::{Snapshot, SnapshotJob};
use std::thread::{self, JoinHandle};

/// The one that is being made.
#[derive(Default)]
pub(super) struct Snapshots {
    running: Option<JoinHandle<Result<Snapshot, String>>>,
}

impl Reactor {
    /// Takes what was made, and begins another when the journal has grown enough. Called now and then: nothing waits
    /// for it.
    pub(super) fn serve_snapshots(&mut self) {
        if let Some(thread) = self.snapshots.running.take_if(|thread| thread.is_finished()) {
            let made = thread.join().unwrap_or_else(|_| Err("its thread panicked".to_owned()));
            tell(&made);
            self.parts.sequencer.snapshot_made(&made);
        }
        let every_bytes = self.parts.snapshot_every_bytes;
        if every_bytes == 0 || self.snapshots.running.is_some() {
            return;
        }
        if let Some(job) = self.parts.sequencer.snapshot_job(every_bytes) {
            match thread::Builder::new().name("snapshot".into()).spawn(move || make(job)) {
                Ok(thread) => self.snapshots.running = Some(thread),
                Err(error) => self.parts.sequencer.snapshot_made(&Err(format!("no thread for it: {error}"))),
            }
        }
    }
}

fn make(job: SnapshotJob<RealDisk>) -> Result<Snapshot, String> {
    // Linux keeps this per thread; where it is refused, the snapshot is made all the same.
    let _ = rustix::process::nice(15);
    job.run()
}

fn tell(made: &Result<Snapshot, String>) {
    match made {
        Ok(snapshot) => tracing::info!(
            seq = snapshot.seq,
            bytes = snapshot.bytes,
            archived_segments = snapshot.archived_segments,
            "a snapshot was made: a start goes on from here"
        ),
        Err(reason) => tracing::warn!(reason, "no snapshot could be made: a start will take longer; see to the disk"),
    }
}
