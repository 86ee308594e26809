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
    let known = if bugs.asks_for_ids() { order_ids(&disk) } else { Vec::new() };
    let message_limits = settings.message_limits();
    let decode_limits = settings.decode_limits();
    let (sequencer, opened) = Sequencer::open(disk.clone(), settings.options, settings.configuration, now)?;
    bugs.started(sequencer.epoch(), known, sequencer.last_sequence(""));
    Ok(Shell {
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
        is_draining: false,
        is_always,
        bugs,
    })
}

/// All order ids of the journal; none where there is no journal yet.
fn order_ids(disk: &SimDisk) -> Vec<String> {
    let mut ids = Vec::new();
    let note = |record: serde_json::Value| {
        if let Some(id) = record["input"]["order_id"].as_str().filter(|_| record["kind"] == "ExecuteOrder") {
            ids.push(id.to_owned());
        }
    };
    // What cannot be read is told by the engine itself, which reads it next.
    let _ = bridge_sequencer::dump(disk, note);
    ids
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
    if bridge_journal::read(disk, visit).is_err() {
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
