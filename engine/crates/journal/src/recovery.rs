//! Opening a journal: reads it whole, cuts its torn tail, and makes sure that what was kept is
//! durable before anybody relies on it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::boot;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::scan::{Scan, Start, Stretch, scan_from};
use crate::segment::{Segment, Spare, SpareOrder, list_segments, no_space_or_io, remove_unfinished, segment_name};
use crate::snapshot::{list_snapshots, remove_unfinished_snapshots, snapshot_name};
use crate::window::Window;
use crate::{Disk, DiskFile, Error, Journal, Options, RecordRef, Recovered, RecoveryError};

impl<D: Disk> Journal<D> {
    /// Opens the journal of a directory, or makes one where there is none. Every whole record
    /// goes through `visit`, in order; a torn tail is cut.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a record that was durable, or was written in the present boot of the machine, is not
    /// whole: nothing is changed then.
    /// [`RecoveryError::Visitor`] if the visitor refuses a record: nothing is changed either.
    /// [`Error::Io`], [`Error::NoSpace`], [`Error::UnknownFormat`].
    pub fn open<E>(
        disk: D,
        options: Options,
        visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(Self, Recovered), RecoveryError<E>> {
        Self::open_from(disk, options, None, visit)
    }

    /// The same behind a snapshot: records up to its own may be gone, and those that stand in the same segment as the
    /// first one after it are visited too.
    ///
    /// # Errors
    /// As [`Journal::open`]; [`Error::Damaged`] also where the journal ends before the snapshot, or is another one.
    pub fn open_from<E>(
        disk: D,
        options: Options,
        start: Option<Start>,
        visit: impl FnMut(RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(Self, Recovered), RecoveryError<E>> {
        remove_unfinished(&disk)?;
        remove_unfinished_snapshots(&disk)?;
        if list_segments(&disk)?.is_empty() {
            if let Some(newest) = list_snapshots(&disk)?.last() {
                let detail = format!("the segments behind {} are gone", snapshot_name(*newest));
                return Err(Error::damaged(&segment_name(newest + 1), 0, detail).into());
            }
            create_first_segment(&disk, options)?;
        }
        let mut scan = scan_from(&disk, start, u64::MAX, visit)?;
        repair(&disk, options, &mut scan)?;
        boot::remember(&disk)?;
        let live = lengths(&disk)?;
        let last_seq = scan.summary.last_seq;
        let journal = Self {
            disk: Arc::new(disk),
            options,
            current: scan.segment,
            current_first_seq: scan.segment_first_seq,
            live,
            write_offset: scan.end_offset,
            buffer: Vec::new(),
            last_seq,
            written_seq: last_seq,
            synced_seq: last_seq,
            retired: Vec::new(),
            directory_changed: false,
            sync_is_out: false,
            spare: None,
            spares_ordered: 0,
            largest_reserved_bytes: 0,
            spare_refused: false,
            failed: None,
        };
        Ok((journal, scan.summary))
    }
}

/// First record and file length of each segment.
fn lengths<D: Disk>(disk: &D) -> Result<VecDeque<(u64, u64)>, Error> {
    let length_of = |first_seq: u64| {
        let name = segment_name(first_seq);
        let file = disk.open(&name).map_err(Error::io("open", &name))?;
        Ok((first_seq, file.len().map_err(Error::io("read the length of", &name))?))
    };
    list_segments(disk)?.into_iter().map(length_of).collect()
}

/// A crash in here leaves a directory without a segment: the next start begins again. The id is
/// shown to nobody before `repair` has synced the directory.
fn create_first_segment<D: Disk>(disk: &D, options: Options) -> Result<(), Error> {
    let journal_id = uuid::Builder::from_random_bytes(disk.random_bytes()).into_uuid();
    let bytes = options.segment_bytes.max(SEGMENT_HEADER_BYTES);
    let spare = Spare::make(disk, SpareOrder { number: 0, bytes, journal_id })?;
    spare.place(disk, 1)?;
    Ok(())
}

/// Makes the disk say what the scan said. A crash anywhere in here leaves a journal of which the
/// next scan says the same.
fn repair<D: Disk>(disk: &D, options: Options, scan: &mut Scan<D>) -> Result<(), Error> {
    for first_seq in scan.torn_segments.iter().rev() {
        let name = segment_name(*first_seq);
        disk.remove(&name).map_err(Error::io("remove", &name))?;
    }
    // After a close in order there is no tail. Otherwise there may be one even where zeros are read:
    // an earlier start may have cut it in the cache, and failed to sync that.
    let cut_at = (!scan.summary.closed).then_some(scan.end_offset);
    cut_tail(options, &mut scan.segment, cut_at)?;
    for stretch in &scan.unwitnessed {
        rewrite(disk, *stretch)?;
    }
    // The cut is made durable before the first append: a record of the old tail must not come back
    // right behind a new one.
    let Segment { name, file, .. } = &scan.segment;
    file.sync_data().map_err(Error::io("sync", name))?;
    disk.sync_directory().map_err(Error::io("sync", "the data directory"))
}

/// Truncates and allocates again, so that zeros follow the last record and nothing stale behind
/// them can ever line up with a new record.
fn cut_tail<D: Disk>(options: Options, segment: &mut Segment<D>, cut_at: Option<u64>) -> Result<(), Error> {
    let Segment { name, file, file_bytes, .. } = segment;
    let wanted_bytes = options.segment_bytes.max(*file_bytes);
    if let Some(end_offset) = cut_at {
        file.truncate(end_offset).map_err(Error::io("truncate", name))?;
    }
    if cut_at.is_some() || *file_bytes < wanted_bytes {
        let allocated = file.allocate(wanted_bytes);
        allocated.map_err(|source| no_space_or_io("allocate", name, wanted_bytes, source))?;
        *file_bytes = wanted_bytes;
    }
    Ok(())
}

/// Writes records and marks over themselves and syncs them. A sync alone would not do: if one
/// failed before the last process ended, the kernel may hold these pages as clean although they
/// never reached the disk. The bytes do not change, so that a crash in between cannot tear them.
fn rewrite<D: Disk>(disk: &D, stretch: Stretch) -> Result<(), Error> {
    let name = segment_name(stretch.segment_first_seq);
    let file = Arc::new(disk.open(&name).map_err(Error::io("open", &name))?);
    copy_onto_itself(&file, stretch).map_err(Error::io("write again", &name))?;
    file.sync_data().map_err(Error::io("sync", &name))
}

fn copy_onto_itself<F: DiskFile>(file: &Arc<F>, stretch: Stretch) -> io::Result<()> {
    const PIECE_BYTES: u64 = 1024 * 1024;
    let mut window = Window::new(Arc::clone(file), stretch.to);
    let mut offset = stretch.from;
    while offset < stretch.to {
        let len = (stretch.to - offset).min(PIECE_BYTES) as usize;
        let Some(piece) = window.get(offset, len)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        file.write_at(piece, offset)?;
        offset += len as u64;
    }
    Ok(())
}
