//! The external venue's side: reports, time limits, and what is asked after a restart. A command is handed out once,
//! when its intent is durable; what became of one that was lost on the way is asked, never sent again.

use crate::{Disk, Origin, Output, Path, Sequencer, VenueAnswer, VenueQuestion};
use bridge_core::{Input, InputRef, ReasonCode, Rejection, Text, UtcNanos, VenueCommand, VenueKey, VenueReport};

/// How long a time limit waits for room in the journal.
pub(crate) const RETRY_NS: UtcNanos = 100_000_000;

impl<D: Disk> Sequencer<D> {
    /// Takes a report of the external venue: an input like any other, journaled. A report that comes twice changes
    /// nothing.
    ///
    /// # Errors
    /// `BUSY`: the disk is full. Keep it and give it again when there is room (health says). `JOURNAL_FAILED`: let
    /// the venue tell it again after a restart.
    pub fn venue_report(&mut self, report: VenueReport, now: UtcNanos) -> Result<(), Rejection> {
        self.check_not_failed()?;
        self.clamp(now);
        self.run_internal(Input::Venue(report), Path::Venue)
    }

    /// What was handed out to the venue and has no report: after a restart, or when the connection to the venue was
    /// lost, nobody knows whether it arrived.
    pub fn unreported_intents(&self) -> Vec<VenueCommand> {
        self.state.core.unreported_intents()
    }

    /// Puts one [`Output::AskVenue`] for each order with an unreported intent behind everything that is parked. Call
    /// it whenever a connection to the venue stands, after dropping what an earlier connection had not taken: what
    /// is still parked will be sent before it is asked for.
    pub fn reconcile(&mut self) {
        let mut keys: Vec<VenueKey> = self.unreported_intents().iter().filter_map(key_of).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.park(Output::AskVenue(VenueQuestion { key }));
        }
    }

    /// Takes the venue's answer to a question. An order that it never saw, and now never will, ends as REJECTED with
    /// `VENUE_UNAVAILABLE`; a cancel or replace that it says nothing of is refused with that code.
    ///
    /// # Errors
    /// As [`Sequencer::venue_report`]; give the whole answer again: reports that were taken already change nothing.
    pub fn venue_answer(&mut self, key: VenueKey, answer: VenueAnswer, now: UtcNanos) -> Result<(), Rejection> {
        if let VenueAnswer::Known(reports) = answer {
            for report in reports {
                self.venue_report(report, now)?;
            }
        }
        self.close_unreported(key, now)
    }

    fn close_unreported(&mut self, key: VenueKey, now: UtcNanos) -> Result<(), Rejection> {
        // One report may end several intents (an order that is rejected has nothing left to cancel): look again.
        while let Some(intent) = self.unreported_intents().into_iter().find(|intent| key_of(intent) == Some(key)) {
            let records_before = self.counts.records;
            self.venue_report(never_arrived(key, &intent), now)?;
            if self.counts.records == records_before {
                break; // the core does not take it for an answer: do not ask for ever
            }
        }
        Ok(())
    }

    /// When [`Sequencer::on_time`] is due next, UTC nanoseconds.
    pub fn next_deadline(&self) -> Option<UtcNanos> {
        let forgetting = self.forgetting.due();
        let next = self.ack_timers.next().map_or(forgetting, |deadline| deadline.min(forgetting));
        self.failed().is_none().then_some(next)
    }

    /// Ends calls whose venue did not answer in time as PENDING; that is the stored reply then. Forgets some of the ids
    /// that are old enough.
    pub fn on_time(&mut self, now: UtcNanos) {
        self.clamp(now);
        self.end_late_calls();
        if self.failed().is_none() {
            self.forget_some();
        }
    }

    fn end_late_calls(&mut self) {
        while self.failed().is_none() {
            let Some(order) = self.ack_timers.due(self.now) else { return };
            if self.run_internal(Input::AckTimeout { order }, Path::Internal).is_err() {
                self.ack_timers.postpone(self.now.saturating_add(RETRY_NS));
                return;
            }
            self.ack_timers.stop(order);
        }
    }

    pub(crate) fn run_internal(&mut self, input: Input, path: Path) -> Result<(), Rejection> {
        self.make_room(InputRef::from(&input))?;
        self.run(InputRef::from(&input), &Origin::of(path), None);
        Ok(())
    }
}

fn key_of(command: &VenueCommand) -> Option<VenueKey> {
    match command {
        VenueCommand::New(new) => Some(new.key),
        VenueCommand::Cancel { key } | VenueCommand::Replace { key, .. } => Some(*key),
        VenueCommand::AddInstrument { .. } | VenueCommand::Quote { .. } => None,
    }
}

fn never_arrived(key: VenueKey, intent: &VenueCommand) -> VenueReport {
    let code = ReasonCode::VenueUnavailable;
    match intent {
        VenueCommand::New(_) => {
            let message = Text::new_static("the order never reached the venue, and never will");
            VenueReport::Rejected { key, code, message }
        }
        _ => {
            let message = Text::new_static("the venue has no trace of it; read the order and decide again");
            VenueReport::CommandRefused { key, code, message }
        }
    }
}

/// Of a number of milliseconds.
pub(crate) fn nanoseconds(milliseconds: u64) -> UtcNanos {
    UtcNanos::try_from(milliseconds.saturating_mul(1_000_000)).unwrap_or(UtcNanos::MAX)
}
