//! Core and venue as one state machine: the part that the live run, recovery and `verify` share.

use crate::{Output, VenueKind, venue_words};
use bridge_core::{Core, Effect, Event, InputRef, Outcome, UtcNanos, VenueCommand};
use bridge_venue::Exchange;

/// Core, the embedded exchange where there is one, and what the last input led to.
pub(crate) struct State {
    pub(crate) core: Core,
    /// Absent with an external venue.
    exchange: Option<Exchange>,
    /// Of the last input.
    pub(crate) events: Vec<Event>,
    /// Of the last input.
    pub(crate) venue_events: Vec<bridge_venue::Event>,
    /// Of the last input; the embedded exchange has carried out its part already.
    effects: Vec<Effect>,
}

impl State {
    /// Before the first record.
    pub(crate) fn new(embedded: bool) -> Self {
        Self {
            core: Core::new(),
            exchange: embedded.then(Exchange::new),
            events: Vec::new(),
            venue_events: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// One that was read from a snapshot.
    pub(crate) fn restored(core: Core, exchange: Option<Exchange>) -> Self {
        Self { core, exchange, ..Self::new(false) }
    }

    /// What a snapshot holds.
    pub(crate) const fn parts(&self) -> (&Core, Option<&Exchange>) {
        (&self.core, self.exchange.as_ref())
    }

    /// Ready to be written; its hash.
    pub(crate) fn settle_for_snapshot(&mut self) -> u128 {
        self.core.settle_for_snapshot();
        self.hash()
    }

    /// Its hash from scratch, from every entity in it.
    pub(crate) fn recompute_hash(&self) -> u128 {
        let book = self.exchange.as_ref().map_or(0, Exchange::recomputed_state_hash);
        self.core.recompute_state_hash().wrapping_add(book)
    }

    /// The state that `kind` needs.
    pub(crate) fn of(kind: VenueKind) -> Self {
        Self::new(kind == VenueKind::Embedded)
    }

    pub(crate) const fn is_embedded(&self) -> bool {
        self.exchange.is_some()
    }

    /// Executes one input of a session to its end: the embedded exchange carries out each effect, and its reports go back into
    /// the core, until nothing is left; then calls that got their answer are concluded.
    pub(crate) fn execute<'a>(&mut self, session_id: &str, input: impl Into<InputRef<'a>>, now: UtcNanos) -> Outcome {
        self.events.clear();
        self.venue_events.clear();
        self.effects.clear();
        let outcome = self.core.apply_for(session_id, input, now, &mut self.events, &mut self.effects);
        let mut next = 0;
        while let Some(effect) = self.effects.get(next) {
            next += 1;
            if let Effect::Venue(command) = effect {
                let command = *command;
                self.carry_out(&command, now);
            }
        }
        self.core.settle(now, &mut self.events);
        outcome
    }

    fn carry_out(&mut self, command: &VenueCommand, now: UtcNanos) {
        let Some(exchange) = &mut self.exchange else {
            return; // goes to the external venue once it is durable
        };
        let first = self.venue_events.len();
        exchange.execute(&venue_words::command(command), &mut self.venue_events);
        for event in &self.venue_events[first..] {
            venue_words::reports(event, |report| {
                self.core.apply(InputRef::Venue(&report), now, &mut self.events, &mut self.effects);
            });
        }
    }

    /// Whether the last input changed anything.
    pub(crate) fn has_changed(&self) -> bool {
        !self.events.is_empty() || !self.venue_events.is_empty()
    }

    /// The last input's market data, then, with an external venue, what to send there.
    pub(crate) fn take_effects(&mut self, mut take: impl FnMut(Output)) {
        let external = !self.is_embedded();
        for effect in &self.effects {
            if let Effect::Market(data) = effect {
                take(Output::Market(data.clone()));
            }
        }
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Venue(command) if external => take(Output::SendToVenue(command)),
                Effect::Venue(_) | Effect::Market(_) => {}
            }
        }
    }

    /// Nobody listens: the account's history is all that is kept of them.
    pub(crate) fn forget_updates(&mut self) {
        let told: Vec<_> = self.core.take_new_updates().collect();
        told.iter().for_each(|range| self.core.release_updates(range, 0));
    }

    /// Takes a recorded input's events, as recovery does: nothing is executed, nothing is sent.
    pub(crate) fn fold(&mut self, events: &[Event], venue_events: &[bridge_venue::Event]) {
        for event in events {
            self.core.fold(event);
        }
        if let Some(exchange) = &mut self.exchange {
            for event in venue_events {
                exchange.fold(event);
            }
        }
    }

    /// Of orders, accounts and book; not of epoch or configuration. Costs the hashes of what changed since it was asked for.
    pub(crate) fn hash(&mut self) -> u128 {
        let book = self.exchange.as_mut().map_or(0, Exchange::state_hash);
        self.core.state_hash().wrapping_add(book)
    }

    /// Open orders and legs in the embedded book: each may be in one input's events.
    pub(crate) fn resting_orders(&self) -> usize {
        self.exchange.as_ref().map_or(0, |exchange| exchange.open_orders())
    }
}
