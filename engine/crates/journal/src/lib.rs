//! The journal: append-only segments on disk that hold every input of the engine, in order.
//!
//! Nothing that depends on a record leaves the engine before the record is durable
//! (ARCHITECTURE.md, invariant 2). A turn of the engine uses the journal like this:
//!
//! ```
//! use bridge_journal::{Journal, Options, RecordRef, fake::FakeDisk};
//!
//! let visit = |_: RecordRef<'_>| Ok::<(), std::convert::Infallible>(());
//! let options = Options { segment_bytes: 1 << 20, ..Options::default() };
//! let (mut journal, recovered) = Journal::open(FakeDisk::new(1), options, visit)?;
//! assert_eq!(recovered.records, 0);
//!
//! journal.reserve(1024)?;                 // before apply: refuse the request if this fails
//! let seq = journal.append(b"a record")?; // after apply: into the buffer of the turn
//! journal.write()?;                       // at the end of the turn: one write
//! if let Some(job) = journal.sync_job() { // mode Always: hand this to the sync thread
//!     let result = job.run();
//!     journal.synced(result)?;            // back on the reactor
//! }
//! assert!(journal.durable_seq() >= seq);  // now the outputs of the record may leave
//! journal.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Map of the crate: [`Disk`] is the file-system seam, with [`RealDisk`] and
//! [`fake::FakeDisk`] behind it; `format` has the bytes; `segment` makes files; `journal`
//! appends; `sync` is the part that waits for the disk; `scan` reads a directory and tells a
//! torn tail from damage, with `search` for what stands behind the last record and `boot` for
//! whether the machine was lost since; `recovery` acts on what the scan found.

mod archive;
mod boot;
mod disk;
mod error;
pub mod fake;
mod format;
mod journal;
mod real;
mod recovery;
mod scan;
mod search;
mod segment;
mod snapshot;
mod sync;
mod window;

pub use archive::{WithArchive, archive_through, first_record};
pub use disk::{Disk, DiskFile};
pub use error::{Error, RecoveryError};
pub use format::{FORMAT_VERSION, MAX_PAYLOAD_BYTES, RECORD_OVERHEAD_BYTES, SEGMENT_HEADER_BYTES};
pub use journal::{Durability, Journal, Options};
pub use real::RealDisk;
pub use scan::{RecordRef, Start, Summary, read, read_closed, read_from};
pub use segment::Segments;
pub use snapshot::{
    SNAPSHOT_HEADER_BYTES, SNAPSHOT_VERSION, SnapshotWriter, list_snapshots, read_snapshot, snapshot_name,
};
pub use sync::{SyncJob, SyncResult};
pub use uuid::Uuid;

/// What [`Journal::open`] found: the same account as [`read`] gives.
pub type Recovered = Summary;
