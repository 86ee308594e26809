//! Quotes of the feed: anonymous liquidity that stands until the next one, and the only thing that triggers.

use super::Turn;
use crate::{Event, Level, Quote, Refusal, Side};

impl Turn<'_> {
    pub(super) fn quote(&mut self, quote: &Quote) {
        if let Err(reason) = self.admit_quote(quote) {
            self.emit(Event::QuoteRefused { symbol: quote.symbol, reason });
            return;
        }
        self.emit(Event::Quoted(*quote));
        // What rests was there before what the quote triggers.
        self.trade_feed(quote.symbol, Side::Buy);
        self.trade_feed(quote.symbol, Side::Sell);
        self.fire_triggers(quote.symbol);
    }

    fn admit_quote(&self, quote: &Quote) -> Result<(), Refusal> {
        if !self.exchange.has_instrument(quote.symbol) {
            return Err(Refusal::UnknownSymbol);
        }
        for Level { price_ticks, quantity_steps } in quote.bid.into_iter().chain(quote.ask) {
            if price_ticks <= 0 {
                return Err(Refusal::BadPrice);
            }
            if quantity_steps < 0 {
                return Err(Refusal::BadQuantity);
            }
        }
        match (quote.bid, quote.ask) {
            (Some(bid), Some(ask)) if bid.price_ticks >= ask.price_ticks => Err(Refusal::QuoteCrossed),
            _ => Ok(()),
        }
    }
}
