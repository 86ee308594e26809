//! The reactor's side of an external venue: effects out once durable, reports in as inputs.

use super::{
    Reactor,
    poller::{Interest, Ready, Source},
    utc_now,
};
use crate::venue_link::{self, Known, Said, VenueLink};
use bridge_core::{NewOrder, VenueCommand};
use bridge_sequencer::VenueQuestion;

impl Reactor {
    /// Connects if it is time to; a new connection is greeted, and what nobody knows the fate of is asked for.
    pub(super) fn venue_on_time(&mut self) {
        let Some(venue) = &mut self.parts.venue else { return };
        if !venue.try_connect() {
            return;
        }
        let watched = venue.socket().map(|socket| self.poller.add(socket, Source::Venue, Interest::READ));
        if let Some(Err(error)) = watched {
            return venue.disconnect(&error.to_string());
        }
        tracing::info!("connected to the venue");
        let sequencer = &mut self.parts.sequencer;
        venue.say(&venue_link::hello(&self.journal_id, sequencer.epoch(), venue.last_report));
        sequencer.reconcile();
        self.write_venue();
    }

    pub(super) fn serve_venue(&mut self, event: Ready) {
        if event.readable {
            let lines = self.parts.venue.as_mut().map(VenueLink::read).unwrap_or_default();
            for line in lines {
                if let Err(why) = self.hear(&line) {
                    self.log.bad_input("venue", &why);
                    if let Some(venue) = &mut self.parts.venue {
                        // What was not taken is repeated on the next connection.
                        venue.disconnect(&why);
                    }
                    return;
                }
            }
        }
        if event.writable {
            self.write_venue();
        }
    }

    fn hear(&mut self, line: &str) -> Result<(), String> {
        let sequencer = &mut self.parts.sequencer;
        let find = |key| {
            let instrument = sequencer.instrument_of(key)?;
            Some(Known { epoch: sequencer.epoch_of(key), instrument })
        };
        let taken = match venue_link::read(line, find)? {
            Said::OfAnother { number, order } => {
                let what = format!(
                    "the venue has order {order}, which this engine has not: lost with its machine, or forgotten"
                );
                self.log.bad_input("venue", &what);
                if let (Some(venue), Some(number)) = (&mut self.parts.venue, number) {
                    venue.last_report = venue.last_report.max(number);
                }
                return Ok(());
            }
            Said::Report { number, report } => {
                let Some(venue) = &mut self.parts.venue else { return Ok(()) };
                if number <= venue.last_report {
                    return Ok(());
                }
                let taken = sequencer.venue_report(report, utc_now());
                if taken.is_ok() {
                    venue.last_report = number;
                }
                taken
            }
            Said::Answer { key, answer } => sequencer.venue_answer(key, answer, utc_now()),
        };
        taken.map_err(|rejection| rejection.message.into())
    }

    /// Hands a command over. Without a connection it is dropped: the intent is journaled, and asked for later.
    pub(super) fn send_to_venue(&mut self, command: &VenueCommand) {
        let sequencer = &self.parts.sequencer;
        let instrument = match command {
            VenueCommand::New(new) => sequencer.instrument(new.symbol),
            VenueCommand::Quote { symbol, .. } | VenueCommand::AddInstrument { symbol } => {
                sequencer.instrument(*symbol)
            }
            VenueCommand::Cancel { key } | VenueCommand::Replace { key, .. } => sequencer.instrument_of(*key),
        };
        let epoch = match command {
            VenueCommand::New(NewOrder { key, .. })
            | VenueCommand::Cancel { key }
            | VenueCommand::Replace { key, .. } => sequencer.epoch_of(*key),
            VenueCommand::Quote { .. } | VenueCommand::AddInstrument { .. } => None,
        };
        if let Some(line) = venue_link::command(command, epoch, instrument) {
            self.say_to_venue(&line);
        }
    }

    /// Asks what became of an order.
    pub(super) fn ask_venue(&mut self, question: VenueQuestion) {
        let VenueQuestion { key } = question;
        let epoch = self.parts.sequencer.epoch_of(key);
        self.say_to_venue(&venue_link::reconcile(key, epoch));
    }

    fn say_to_venue(&mut self, line: &serde_json::Value) {
        if let Some(venue) = &mut self.parts.venue {
            venue.say(line);
        }
        self.write_venue();
    }

    fn write_venue(&mut self) {
        let Some(venue) = &mut self.parts.venue else { return };
        let more = venue.write();
        if let Some(socket) = venue.socket() {
            // Cannot fail for a socket that is watched; were it not, its next read or write says so.
            let _ = self.poller.modify(socket, Source::Venue, Interest { read: true, write: more });
        }
    }
}
