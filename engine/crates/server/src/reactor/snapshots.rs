//! Snapshots are made by a thread of their own, which comes last when cores are short.

use super::Reactor;
use bridge_journal::{RealDisk, Segments};
use bridge_sequencer::{Snapshot, SnapshotJob};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// glibc takes allocations of up to so many bytes into its heap once it has seen one given back, 32 MiB at most; and it
/// keeps twice as many free at the heap's end.
const LEARNED_BYTES: usize = 31 << 20;
/// Two of these, 56 MiB, are what the heap is grown by.
const RESERVED_BYTES: usize = 28 << 20;
/// So many bytes of records later it is grown again, while a snapshot is being made: an order takes some two to three
/// times as much memory as its record is long. Not more often: growing it is what may have to wait.
const RESERVED_AGAIN_AFTER_BYTES: u64 = 16 << 20;

type Making = JoinHandle<(Result<Snapshot, String>, Duration)>;

/// The one that is being made, and what health says of them besides what the sequencer knows.
pub(super) struct Snapshots {
    running: Option<Making>,
    /// How long the last one took, successful or not.
    last_took: Duration,
    /// Record bytes appended since start when the heap was last grown.
    reserved_at_bytes: Option<u64>,
    archive: PathBuf,
    archived: Arc<Archived>,
}

/// What the archive holds, counted away from the reactor: it may be on a slow disk.
#[derive(Default)]
struct Archived {
    segments: AtomicU64,
    segment_bytes: AtomicU64,
}

impl Archived {
    /// What cannot be read keeps its last count.
    fn count(&self, archive: &std::path::Path) {
        if let Ok(found) = Segments::in_directory(archive) {
            self.segments.store(found.count, Relaxed);
            self.segment_bytes.store(found.bytes, Relaxed);
        }
    }
}

impl Snapshots {
    /// Counts what is archived in that folder, on a thread that ends then.
    pub(super) fn new(archive: PathBuf) -> Self {
        let archived = Arc::new(Archived::default());
        let (counts, folder) = (Arc::clone(&archived), archive.clone());
        // Without the thread it is counted with the first snapshot.
        let _ = thread::Builder::new().name("archive".into()).spawn(move || counts.count(&folder));
        Self { running: None, last_took: Duration::ZERO, reserved_at_bytes: None, archive, archived }
    }

    /// For health.
    pub(super) fn named(&self) -> [(&'static str, u64); 4] {
        let running = self.running.as_ref().is_some_and(|thread| !thread.is_finished());
        [
            ("snapshot_running", u64::from(running)),
            ("snapshot_duration_ms", u64::try_from(self.last_took.as_millis()).unwrap_or(u64::MAX)),
            ("archived_segments", self.archived.segments.load(Relaxed)),
            ("archived_segment_bytes", self.archived.segment_bytes.load(Relaxed)),
        ]
    }

    /// Grows the reactor's heap ahead of need, without touching it: that uses no memory.
    ///
    /// A thread that makes a snapshot asks the system for memory all the time, under the lock of the process's address
    /// space. Where cores are short it is made to wait while it holds that lock, since it comes last; and whoever else
    /// asks for memory then waits too (measured: 100 to 760 ms in `brk`). With room in its heap the reactor does not
    /// ask. mallopt(3), `M_MMAP_THRESHOLD`, says what glibc learns; with another allocator this does nothing. Pages
    /// that are touched first fault under locks of their own from Linux 6.4 on.
    fn reserve_heap(&mut self, appended_bytes: u64) {
        let room = |bytes| {
            let mut room = Vec::<u8>::new();
            // Where memory is limited it goes on without.
            let _ = room.try_reserve_exact(bytes);
            std::hint::black_box(room)
        };
        if self.reserved_at_bytes.replace(appended_bytes).is_none() {
            drop(room(LEARNED_BYTES));
        }
        drop((room(RESERVED_BYTES), room(RESERVED_BYTES)));
    }

    fn start(&mut self, job: SnapshotJob<RealDisk>) -> std::io::Result<()> {
        let (archived, archive) = (Arc::clone(&self.archived), self.archive.clone());
        let make = move || {
            // Linux keeps this per thread; where it is refused, the snapshot is made all the same.
            let _ = rustix::process::nice(15);
            let began = Instant::now();
            let made = job.run();
            let took = began.elapsed();
            archived.count(&archive);
            (made, took)
        };
        self.running = Some(thread::Builder::new().name("snapshot".into()).spawn(make)?);
        Ok(())
    }
}

impl Reactor {
    /// Takes what was made, and begins another when the journal has grown enough. Called now and then: nothing waits
    /// for it.
    pub(super) fn serve_snapshots(&mut self) {
        if let Some(thread) = self.snapshots.running.take_if(|thread| thread.is_finished()) {
            let panicked = |_| (Err("its thread panicked".to_owned()), Duration::ZERO);
            let (made, took) = thread.join().unwrap_or_else(panicked);
            tell(&made, took);
            self.snapshots.last_took = took;
            self.parts.sequencer.snapshot_made(&made);
        }
        let every_bytes = self.parts.snapshot_every_bytes;
        if every_bytes == 0 {
            return;
        }
        let appended_bytes = self.parts.sequencer.appended_bytes();
        if self.snapshots.running.is_some() {
            let since = appended_bytes - self.snapshots.reserved_at_bytes.unwrap_or(0);
            if since >= RESERVED_AGAIN_AFTER_BYTES {
                self.snapshots.reserve_heap(appended_bytes);
            }
        } else if let Some(job) = self.parts.sequencer.snapshot_job(every_bytes) {
            self.snapshots.reserve_heap(appended_bytes);
            if let Err(error) = self.snapshots.start(job) {
                self.parts.sequencer.snapshot_made(&Err(format!("no thread for it: {error}")));
            }
        }
    }
}

fn tell(made: &Result<Snapshot, String>, took: Duration) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match made {
        Ok(snapshot) => tracing::info!(
            seq = snapshot.seq,
            bytes = snapshot.bytes,
            took_ms,
            archived_segments = snapshot.archived_segments,
            "a snapshot was made: a start goes on from here"
        ),
        Err(reason) => tracing::warn!(reason, "no snapshot could be made: a start will take longer; see to the disk"),
    }
}
