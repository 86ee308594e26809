//! A configuration: instruments that are new open with their quote, those withdrawn lose theirs.

use super::Decision;
use super::quotes::quote_effects;
use crate::instruments::Change;
use crate::{Configuration, Core, Effect, Event, VenueCommand};

impl Core {
    /// One that [`Core::check_configuration`] refuses changes nothing.
    pub(super) fn decide_configuration(&mut self, configuration: &Configuration, decision: &mut Decision<'_>) {
        if self.check_configuration(configuration).is_err() {
            return;
        }
        let changes = self.instruments.changes(configuration);
        let configured = Event::Configured(Box::new(configuration.clone()));
        self.commit(configured, decision.events);
        for change in changes {
            match change {
                Change::Added(symbol) => {
                    let added = VenueCommand::AddInstrument { symbol };
                    decision.effects.push(Effect::Venue(added));
                    self.open_instrument(symbol, decision);
                }
                Change::Reopened(symbol) => {
                    close_market(symbol, decision);
                    self.open_instrument(symbol, decision);
                }
                Change::Withdrawn(symbol) => close_market(symbol, decision),
            }
        }
    }

    fn open_instrument(&self, symbol: u32, decision: &mut Decision<'_>) {
        let Some(instrument) = self.instrument(symbol) else { return };
        let Some(quote) = &instrument.opening_quote else { return };
        // Judged with the configuration.
        if let Ok(effects) = quote_effects("opening_quote", symbol, quote, instrument, decision.now) {
            decision.effects.extend(effects);
        }
    }
}

fn close_market(symbol: u32, decision: &mut Decision<'_>) {
    let quote = VenueCommand::Quote { symbol, bid: None, ask: None };
    decision.effects.push(Effect::Venue(quote));
}
