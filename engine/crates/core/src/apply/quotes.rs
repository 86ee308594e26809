//! The feed's quotes: all of a message are judged, then the last of each symbol goes to the venue.

use super::Decision;
use super::command::{Identity, Known, command_reply, done, unremembered};
use crate::quotes::{check_quote, market_data};
use crate::risk::price_of_quote;
use crate::validate::unknown_symbol;
use crate::{
    Core, Effect, Instrument, Outcome, PublishQuotes, Quote, ReasonCode, Rejection, UtcNanos, VenueCommand, canonical,
};
use std::collections::BTreeMap;

impl Core {
    pub(super) fn decide_quotes(&mut self, publish: &PublishQuotes, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &publish.account,
            command_id: &publish.command_id,
            content_hash: canonical::content_hash(&canonical::publish_quotes(publish)),
            is_quotes: true,
        };
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => {
                return unremembered(command_reply(&publish.command_id, rejection, 0));
            }
            Known::New => {}
        }
        let reply = match self.judge_quotes(publish, decision.now) {
            Ok(last_ones) => {
                let affected = last_ones.len() as u64;
                for (symbol, quoted) in last_ones {
                    if quoted.last_price.is_some() {
                        self.set_last_price(symbol, quoted.last_price, decision);
                    }
                    decision.effects.extend(quoted.effects);
                }
                command_reply(&publish.command_id, done(), affected)
            }
            Err(rejection) => command_reply(&publish.command_id, rejection, 0),
        };
        self.answer(&identity, reply, decision)
    }

    /// What comes of the last quote of each symbol, by its index; or the first quote's fault, and none is applied.
    fn judge_quotes(&self, publish: &PublishQuotes, now: UtcNanos) -> Result<BTreeMap<u32, Quoted>, Rejection> {
        self.check_not_from_future("command_id", &publish.command_id, now)?;
        publish.defect.clone().map_or(Ok(()), Err)?;
        if publish.quotes.is_empty() {
            let message = "quotes must be given: at least one";
            return Err(Rejection::new(ReasonCode::MissingField, "quotes", message));
        }
        let mut last_ones = BTreeMap::new();
        for (position, quote) in publish.quotes.iter().enumerate() {
            let field = format!("quotes[{position}]");
            let (symbol, instrument) = self
                .instruments
                .find(&quote.symbol)
                .ok_or_else(|| unknown_symbol(&format!("{field}.symbol"), &quote.symbol))?;
            last_ones.insert(symbol, quoted(&field, symbol, quote, instrument, now)?);
        }
        Ok(last_ones)
    }
}

/// What comes of a quote.
pub(super) struct Quoted {
    /// For the venue, and for those who watch the market.
    pub effects: [Effect; 2],
    /// In half ticks, where the quote says it.
    pub last_price: Option<i64>,
}

/// Judges a quote.
pub(super) fn quoted(
    field: &str,
    symbol: u32,
    quote: &Quote,
    instrument: &Instrument,
    now: UtcNanos,
) -> Result<Quoted, Rejection> {
    let (bid, ask) = check_quote(field, quote, instrument)?;
    let market_data = market_data(quote, instrument, now);
    Ok(Quoted {
        effects: [Effect::Venue(VenueCommand::Quote { symbol, bid, ask }), Effect::Market(market_data)],
        last_price: price_of_quote(quote, instrument, bid, ask),
    })
}
