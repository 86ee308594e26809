//! The engine's side of an external venue: effects out once durable, reports in as inputs (`reactor/venue`).

use super::Shell;
use crate::bugs::Bug;
use crate::venue::link::{self, LinkId, ToEngine, ToVenue};
use bridge_core::{UtcNanos, VenueCommand, VenueKey};
use bridge_sequencer::{Output, VenueAnswer};
use std::collections::VecDeque;

/// The link to a venue.
pub struct VenueLink {
    epoch: u64,
    /// Of the connection that stands, or stood last.
    number: u64,
    is_connected: bool,
    /// Number of the last report that was taken.
    last_report: u64,
    out: VecDeque<Vec<u8>>,
}

impl VenueLink {
    /// A link that never stood.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, number: 0, is_connected: false, last_report: 0, out: VecDeque::new() }
    }

    fn id(&self) -> LinkId {
        LinkId { epoch: self.epoch, number: self.number }
    }

    /// Queues a message; without a connection it is dropped.
    fn say(&mut self, message: &ToVenue) {
        if self.is_connected {
            self.out.push_back(link::write(message));
        }
    }
}

impl Shell {
    /// A new connection stands: it is greeted, and what nobody knows the fate of is asked for.
    pub fn venue_connected(&mut self) {
        self.venue.out.clear();
        self.venue.number += 1;
        self.venue.is_connected = true;
        let hello = ToVenue::Hello { link: self.venue.id(), after: self.venue.last_report };
        self.venue.say(&hello);
        if self.bugs.has(Bug::VenueSendRepeated) && self.venue.number == 1 {
            for intent in self.sequencer.unreported_intents() {
                self.tell_venue(Output::SendToVenue(intent));
            }
        }
        self.sequencer.reconcile();
    }

    /// The connection is gone.
    pub fn venue_disconnected(&mut self) {
        self.venue.is_connected = false;
        self.venue.out.clear();
    }

    /// What the venue is to get.
    pub fn venue_out(&mut self) -> Vec<Vec<u8>> {
        self.venue.out.drain(..).collect()
    }

    /// One message of the venue. False: it could not be taken, and comes again on the next connection.
    ///
    /// # Errors
    /// It is no message, or one is missing before it.
    pub fn venue_in(&mut self, message: &[u8], now: UtcNanos) -> Result<bool, String> {
        let message: ToEngine = link::read(message)?;
        let link = match &message {
            ToEngine::Report { link, .. } | ToEngine::Answer { link, .. } => *link,
        };
        if !self.venue.is_connected || link != self.venue.id() {
            return Ok(true); // of a connection that is gone
        }
        let taken = match message {
            ToEngine::Report { number, .. } if number <= self.venue.last_report => return Ok(true),
            ToEngine::Report { number, .. } if number > self.venue.last_report + 1 => {
                return Err(format!(
                    "report {number} after {}: one was lost, and its connection was not cut",
                    self.venue.last_report
                ));
            }
            ToEngine::Report { number, report, .. } => {
                let taken = self.sequencer.venue_report(report, now);
                if taken.is_ok() {
                    self.venue.last_report = number;
                }
                taken
            }
            ToEngine::Answer { key, reports, .. } => {
                let answer = reports.map_or(VenueAnswer::UnknownAndFenced, VenueAnswer::Known);
                self.sequencer.venue_answer(key, answer, now)
            }
        };
        if taken.is_err() {
            self.venue_disconnected();
        }
        Ok(taken.is_ok())
    }

    /// Hands a command or a question over.
    pub(super) fn tell_venue(&mut self, output: Output) {
        let link = self.venue.id();
        let message = match output {
            Output::SendToVenue(command) => {
                let order_id = key_of(&command).map(|key| self.order_id_of(key)).unwrap_or_default();
                ToVenue::Command { link, order_id, command }
            }
            Output::AskVenue(question) => {
                ToVenue::Ask { link, order_id: self.order_id_of(question.key), key: question.key }
            }
            _ => return,
        };
        self.venue.say(&message);
    }

    fn order_id_of(&self, key: VenueKey) -> String {
        self.sequencer.order_of(key).map(|order| order.order_id.to_string()).unwrap_or_default()
    }
}

fn key_of(command: &VenueCommand) -> Option<VenueKey> {
    match command {
        VenueCommand::New(new) => Some(new.key),
        VenueCommand::Cancel { key } | VenueCommand::Replace { key, .. } => Some(*key),
        VenueCommand::AddInstrument { .. } | VenueCommand::Quote { .. } => None,
    }
}
