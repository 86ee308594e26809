//! What a command leads to. Every part of this module reads the exchange and emits events; none can change its state
//! otherwise, because the state's fields are not visible here. So recovery, which only folds, cannot differ.

mod amend;
mod entry;
mod legs;
mod matching;
mod quotes;

use crate::{CloseReason, Command, Event, Exchange, Key, Refusal};

/// One command being carried out.
pub(crate) struct Turn<'a> {
    exchange: &'a mut Exchange,
    events: &'a mut Vec<Event>,
}

impl<'a> Turn<'a> {
    pub fn new(exchange: &'a mut Exchange, events: &'a mut Vec<Event>) -> Self {
        Self { exchange, events }
    }

    pub fn carry_out(&mut self, command: &Command) {
        match command {
            Command::AddInstrument { symbol } => self.add_instrument(*symbol),
            Command::New(order) => self.open(order),
            Command::Cancel { key } => self.cancel(*key),
            Command::Replace(replace) => self.replace(replace),
            Command::Quote(quote) => self.quote(quote),
        }
    }

    fn add_instrument(&mut self, symbol: u32) {
        if !self.exchange.has_instrument(symbol) {
            self.emit(Event::InstrumentAdded { symbol });
        }
    }

    /// The one way to change the exchange.
    fn emit(&mut self, event: Event) {
        self.exchange.fold(&event);
        self.events.push(event);
    }

    fn refuse(&mut self, key: Key, reason: Refusal) {
        self.emit(Event::CommandRefused { key, reason });
    }

    /// Ends an order. Of an entry, also its legs that have nothing left and now never will.
    fn close(&mut self, key: Key, reason: CloseReason) {
        self.emit(Event::Closed { key, reason });
        self.close_idle_legs(key);
    }

    /// Fires what the present quote has reached: after every command, since each can bring a trigger within reach.
    fn fire_triggers(&mut self, symbol: u32) {
        while let Some(key) = self.exchange.next_triggered(symbol) {
            self.emit(Event::Triggered { key });
            self.work(key);
        }
    }
}
