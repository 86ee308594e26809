//! A configuration: instruments that are new open with their quote, those withdrawn lose theirs.

use super::Decision;
use super::quotes::quoted;
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

    /// A last price that was there counted in other ticks, or is of long ago.
    fn open_instrument(&mut self, symbol: u32, decision: &mut Decision<'_>) {
        let Some(instrument) = self.instrument(symbol) else { return };
        let quote = instrument.opening_quote.as_ref();
        // Judged with the configuration.
        let quoted = quote.and_then(|quote| quoted("opening_quote", symbol, quote, instrument, decision.now).ok());
        let last_price = quoted.as_ref().and_then(|quoted| quoted.last_price);
        decision.effects.extend(quoted.into_iter().flat_map(|quoted| quoted.effects));
        self.set_last_price(symbol, last_price, decision);
    }
}

fn close_market(symbol: u32, decision: &mut Decision<'_>) {
    let quote = VenueCommand::Quote { symbol, bid: None, ask: None };
    decision.effects.push(Effect::Venue(quote));
}
