//! The seam between the engine and a venue, so that another process can stand where the embedded exchange does.
//!
//! # What is promised to a venue
//! 1. **Durable first.** An external venue gets a command only after the record with the intent to send it is durable
//!    in the engine's journal. (The embedded one is executed within the turn: its events share the record with the
//!    command, and nothing leaves the engine before that record is durable.)
//! 2. **Never on replay.** Recovery folds recorded events ([`Venue::fold`]) and never calls [`Venue::execute`]; so no
//!    restart sends anything. `verify` executes again, but on an embedded exchange of its own.
//! 3. **At most once.** A command is handed over once. If the engine dies between the durable intent and the
//!    venue's first report, the intent is *unreported*: after the restart the venue is asked what it knows of the key
//!    (reconciliation), and the command is not sent a second time.
//!
//! # What a venue owes
//! 1. Every [`Command`] that it got is answered, in time or late, by events that name its key; what it answers later
//!    comes back as a journaled input of the engine.
//! 2. Events of one key come in the order in which they happened; a trade's number is never given to another trade, so
//!    that a report which comes twice (after a reconnect) is recognised.
//! 3. A key names one order for ever.

use crate::{Command, Event, Exchange};

/// When the events that answer a command come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// They are in the vector now, complete.
    Now,
    /// Send the command once its intent is durable; the events come later, as inputs.
    AfterDurable,
}

/// A place where orders are executed.
pub trait Venue {
    /// Takes a command in the live run. Never called in recovery.
    fn execute(&mut self, command: &Command, events: &mut Vec<Event>) -> Answer;

    /// Takes an event of this venue that the journal holds (recovery), or that an external venue reported (live).
    fn fold(&mut self, event: &Event);

    /// Hash of all that a later event could depend on and that is rebuilt from the journal.
    fn state_hash(&mut self) -> u128;
}

impl Venue for Exchange {
    fn execute(&mut self, command: &Command, events: &mut Vec<Event>) -> Answer {
        Exchange::execute(self, command, events);
        Answer::Now
    }

    fn fold(&mut self, event: &Event) {
        Exchange::fold(self, event);
    }

    fn state_hash(&mut self) -> u128 {
        Exchange::state_hash(self)
    }
}

/// A venue in another process. Its book is its own, so there is nothing to fold or to hash here; who carries the
/// commands and brings the reports is the server's affair.
#[derive(Clone, Copy, Default, Debug)]
pub struct External;

impl Venue for External {
    fn execute(&mut self, _command: &Command, _events: &mut Vec<Event>) -> Answer {
        Answer::AfterDurable
    }

    fn fold(&mut self, _event: &Event) {}

    fn state_hash(&mut self) -> u128 {
        0
    }
}
