//! Opening the journal, and the bugs that are planted in recovery.

use super::Shell;
use super::connections::Connections;
use super::venue_link::VenueLink;
use crate::bugs::{Bug, Bugs};
use crate::disk::SimDisk;
use crate::settings::Settings;
use bridge_core::UtcNanos;
use bridge_journal::{Disk, DiskFile, RECORD_OVERHEAD_BYTES, RecordRef, SEGMENT_HEADER_BYTES};
use bridge_sequencer::{Durability, OpenError, Sequencer};
use bridge_wire::codec::Encoder;
use std::collections::{BTreeMap, VecDeque};

/// Why a shell does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// As the product says it.
    #[error(transparent)]
    Engine(#[from] OpenError),
    /// A planted bug could not do its work.
    #[error("planting a bug: {0}")]
    Planting(String),
}

pub(super) fn open(disk: SimDisk, mut settings: Settings, mut bugs: Bugs, now: UtcNanos) -> Result<Shell, OpenFailure> {
    let is_always = settings.options.durability == Durability::Always;
    if bugs.releases_early() {
        settings.options.durability = Durability::Os;
    }
    if bugs.has(Bug::AckAfterFsyncError) {
        disk.retry_syncs();
    }
    if bugs.has(Bug::AcknowledgedRecordCut) {
        cut_last_record(&disk).map_err(OpenFailure::Planting)?;
    }
    if bugs.has(Bug::ArchivedSegmentLost) {
        disk.lose_archived();
    }
    if bugs.has(Bug::SnapshotNotSynced) {
        disk.leave_snapshots_unsynced();
    }
    if bugs.has(Bug::TailIgnored) {
        cut_behind_snapshot(&disk).map_err(OpenFailure::Planting)?;
    }
    let known = known_ids(&disk, &bugs);
    let message_limits = settings.message_limits();
    let decode_limits = settings.decode_limits();
    let symbols = settings.configuration.instruments.iter().map(|one| one.symbol.clone()).collect();
    let (sequencer, opened) = Sequencer::open(disk.clone(), settings.options, settings.configuration, now)?;
    bugs.started(sequencer.epoch(), known, sequencer.last_sequence(""));
    let mut shell = Shell {
        journal_id: sequencer.journal_id().to_string().into(),
        venue: VenueLink::new(sequencer.epoch()),
        disk,
        sequencer,
        opened,
        limits: settings.limits,
        message_limits,
        decode_limits,
        encoder: Encoder::new(),
        connections: Connections::default(),
        waiters: BTreeMap::new(),
        last_token: 0,
        subscriptions: BTreeMap::new(),
        last_subscription: 0,
        pending_sync: None,
        synced_early_seq: 0,
        held: VecDeque::new(),
        making: None,
        is_draining: false,
        is_always,
        bugs,
        symbols,
    };
    if shell.bugs.has(Bug::LimitsLostOnRestart) && shell.epoch() > 1 {
        shell.lose_limits(now);
    }
    Ok(shell)
}

/// The order ids that a planted bug makes this start forget; none where there is no journal yet.
fn known_ids(disk: &SimDisk, bugs: &Bugs) -> Vec<String> {
    let through = if bugs.has(Bug::DedupLostOnRestart) {
        u64::MAX
    } else if bugs.has(Bug::SnapshotOmitsIds) {
        newest_snapshot(disk)
    } else {
        return Vec::new();
    };
    let mut ids = Vec::new();
    let note = |record: serde_json::Value| {
        let is_meant = record["kind"] == "ExecuteOrder" && record["seq"].as_u64().is_some_and(|seq| seq <= through);
        if let Some(id) = record["input"]["order_id"].as_str().filter(|_| is_meant) {
            ids.push(id.to_owned());
        }
    };
    // What cannot be read is told by the engine itself, which reads it next.
    let _ = bridge_sequencer::dump(&disk.chain(), note);
    ids
}

/// The record that the newest snapshot stands at; 0: there is none.
fn newest_snapshot(disk: &SimDisk) -> u64 {
    bridge_journal::list_snapshots(disk).ok().and_then(|found| found.last().copied()).unwrap_or(0)
}

/// Recovery as a planted bug has it: the newest snapshot is taken for the whole journal.
fn cut_behind_snapshot(disk: &SimDisk) -> Result<(), String> {
    let through = newest_snapshot(disk);
    if through == 0 {
        return Ok(());
    }
    for name in disk.list().map_err(text)?.iter().filter(|name| first_seq_of(name).is_some_and(|seq| seq > through)) {
        if first_seq_of(name) == Some(through + 1) {
            let file = disk.open(name).map_err(text)?;
            let bytes = file.len().map_err(text)?.saturating_sub(SEGMENT_HEADER_BYTES);
            file.write_at(&vec![0; usize::try_from(bytes).unwrap_or(0)], SEGMENT_HEADER_BYTES).map_err(text)?;
            file.sync_data().map_err(text)?;
        } else {
            disk.remove(name).map_err(text)?;
        }
    }
    disk.sync_directory().map_err(text)
}

/// Recovery as a planted bug has it: the last whole record is taken for a torn tail.
fn cut_last_record(disk: &SimDisk) -> Result<(), String> {
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last = None;
    let mut segments: Vec<u64> = disk.list().map_err(text)?.iter().filter_map(|name| first_seq_of(name)).collect();
    segments.sort_unstable();
    let visit = |record: RecordRef<'_>| {
        let segment = segments.iter().rev().find(|first| **first <= record.seq).copied().unwrap_or(1);
        let start = *ends.entry(segment).or_insert(SEGMENT_HEADER_BYTES);
        ends.insert(segment, start + RECORD_OVERHEAD_BYTES + record.payload.len() as u64);
        last = Some((segment, start));
        Ok::<(), String>(())
    };
    if bridge_journal::read(&disk.chain(), visit).is_err() {
        return Ok(()); // a new journal, or one that the engine refuses by itself
    }
    let Some((segment, start)) = last else { return Ok(()) };
    let file = disk.open(&format!("{segment:020}.seg")).map_err(text)?;
    let len = file.len().map_err(text)?;
    file.write_at(&vec![0; usize::try_from(len - start).unwrap_or(0)], start).map_err(text)?;
    file.sync_data().map_err(text)
}

fn first_seq_of(name: &str) -> Option<u64> {
    name.strip_suffix(".seg")?.parse().ok()
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
