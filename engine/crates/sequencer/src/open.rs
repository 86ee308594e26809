//! Opening: the journal is folded, the new epoch is recorded, and all of it is durable before anybody hears of it.

use crate::record::{Happened, decode_happened};
use crate::snapshot::{Snapshots, Standing};
use crate::state::State;
use crate::{Disk, OpenError, Opened, Options, Origin, Path, Sequencer, VenueKind};
use bridge_core::{Configuration, Input, InputRef, UtcNanos, VenueCommand};
use bridge_journal::{Journal, RecoveryError};

impl<D: Disk> Sequencer<D> {
    /// Folds what the journal holds, records the new epoch (and the configuration if it differs from the recorded
    /// one) and makes that durable, so that no epoch is ever used twice. `now`: UTC nanoseconds.
    ///
    /// # Errors
    /// A damaged journal, a directory in use, an invalid configuration, another kind of venue: see [`OpenError`].
    pub fn open(
        disk: D,
        options: Options,
        configuration: Configuration,
        now: UtcNanos,
    ) -> Result<(Self, Opened), OpenError> {
        let unreadable = |error: bridge_journal::Error| OpenError::Journal(error.to_string());
        let standing = Standing::find(&disk, options.venue, u64::MAX).map_err(unreadable)?;
        let snapshots = Snapshots::from(&standing);
        let Standing { mut state, time_ns: mut last_time_ns, start, unusable, .. } = standing;
        let snapshot_seq = start.map_or(0, |start| start.seq);
        if state.is_embedded() != (options.venue == VenueKind::Embedded) {
            let recorded = if state.is_embedded() { "an embedded" } else { "an external" };
            return Err(OpenError::OtherVenue { recorded });
        }
        let journal_options =
            bridge_journal::Options { durability: options.durability, segment_bytes: options.segment_bytes };
        let (journal, recovered) = Journal::open_from(disk, journal_options, start, |record| {
            if record.seq <= snapshot_seq {
                return Ok(());
            }
            let record = decode_happened(record.payload).map_err(Unusable::Unreadable)?;
            check_venue(&record, &state)?;
            last_time_ns = record.time_ns;
            state.fold(&record.events, &record.venue_events);
            Ok(())
        })
        .map_err(|error| with_snapshots(open_error(error), &unusable))?;
        let mut sequencer = Self::around(options, state, journal, now.max(last_time_ns));
        sequencer.snapshots = snapshots;
        sequencer.begin(configuration)?;
        let opened = Opened {
            records: recovered.records,
            cut_bytes: recovered.cut_bytes,
            last_seq: recovered.last_seq,
            snapshot_seq,
            unusable_snapshots: unusable,
        };
        Ok((sequencer, opened))
    }

    fn begin(&mut self, configuration: Configuration) -> Result<(), OpenError> {
        let checked = self.state.core.check_configuration(&configuration);
        checked.map_err(|error| OpenError::Configuration(error.to_string()))?;
        self.start_clocks_of_unreported();
        self.watch_all_leases();
        self.record_at_start(Input::Started { epoch: self.epoch() + 1 })?;
        if self.state.core.configuration() != Some(&configuration) {
            self.record_at_start(Input::Configured(configuration))?;
        }
        if let Some(job) = self.end_turn() {
            self.synced(job.run());
        }
        // In mode `os` too: were this record lost with the machine, its epoch would come again.
        if let Err(error) = self.journal.sync() {
            self.fail(error.to_string());
        }
        match self.failed() {
            Some(reason) => Err(OpenError::Journal(reason.to_owned())),
            None => Ok(()),
        }
    }

    fn record_at_start(&mut self, input: Input) -> Result<(), OpenError> {
        let room = self.make_room(InputRef::from(&input));
        room.map_err(|rejection| OpenError::Journal(rejection.message.to_string()))?;
        self.run(InputRef::from(&input), &Origin::of(Path::Internal), None);
        Ok(())
    }

    /// A call whose order was on its way to the venue when the engine ended gets its time limit again: a client that
    /// sends the order once more joins it.
    fn start_clocks_of_unreported(&mut self) {
        let VenueKind::External { ack_timeout_ms } = self.options.venue else {
            return;
        };
        let deadline = self.now.saturating_add(crate::venue_reports::nanoseconds(ack_timeout_ms));
        for intent in self.state.core.unreported_intents() {
            if let VenueCommand::New(new) = intent {
                self.ack_timers.start(new.key.order(), deadline);
            }
        }
    }
}

/// Why a whole record stops recovery.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}")]
    Unreadable(String),
    #[error("other venue")]
    OtherVenue { recorded: &'static str },
}

fn check_venue(record: &Happened, state: &State) -> Result<(), Unusable> {
    if record.embedded == state.is_embedded() {
        return Ok(());
    }
    Err(Unusable::OtherVenue { recorded: if record.embedded { "an embedded" } else { "an external" } })
}

/// A journal that begins behind a snapshot which cannot be used says so.
fn with_snapshots(error: OpenError, unusable: &[String]) -> OpenError {
    match error {
        OpenError::Journal(message) if !unusable.is_empty() => OpenError::Journal(format!(
            "{message}; snapshots that cannot be used: {}; restore one from a copy, or move the segments back from \
                 the archive",
            unusable.join("; ")
        )),
        other => other,
    }
}

fn open_error(error: RecoveryError<Unusable>) -> OpenError {
    match error {
        RecoveryError::Journal(error) => OpenError::Journal(error.to_string()),
        RecoveryError::Visitor { source: Unusable::OtherVenue { recorded }, .. } => OpenError::OtherVenue { recorded },
        RecoveryError::Visitor { seq, source: Unusable::Unreadable(message), .. } => {
            OpenError::Record { seq, message: format!("{message}; use the version of the engine that wrote it") }
        }
    }
}
