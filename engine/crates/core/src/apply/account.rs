//! Commands on the whole account: cancel all, and the trading state.

use super::Decision;
use super::command::{Identity, Known, command_reply, done, unremembered};
use crate::queries::account_name;
use crate::validate::unknown_symbol;
use crate::{
    CancelAllOrders, Core, Effect, Event, Intent, Outcome, ReasonCode, Rejection, SetTradingState, Text, TradingState,
    VenueCommand, VenueKey, canonical,
};

impl Core {
    pub(super) fn decide_cancel_all(&mut self, cancel: &CancelAllOrders, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &cancel.account,
            command_id: &cancel.command_id,
            content_hash: canonical::content_hash(&canonical::cancel_all(cancel)),
            is_quotes: false,
        };
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => {
                return unremembered(command_reply(&cancel.command_id, rejection, 0));
            }
            Known::New => {}
        }
        match self.judge_cancel_all(cancel) {
            Ok(keys) => self.cancel_these(&identity, keys, decision),
            Err(rejection) => {
                let reply = command_reply(&cancel.command_id, rejection, 0);
                self.answer(&identity, reply, decision)
            }
        }
    }

    /// The open orders and legs that a cancel-all means.
    fn judge_cancel_all(&self, cancel: &CancelAllOrders) -> Result<Vec<VenueKey>, Rejection> {
        cancel.defect.clone().map_or(Ok(()), Err)?;
        let open = self.open_keys(&cancel.account);
        if cancel.symbol.is_empty() {
            return Ok(open);
        }
        let known = self.instruments.index_of(&cancel.symbol);
        let symbol = known.ok_or_else(|| unknown_symbol("symbol", &cancel.symbol))?;
        let of_symbol = |key: &VenueKey| self.order(key.order()).and_then(|order| order.symbol_index()) == Some(symbol);
        Ok(open.into_iter().filter(of_symbol).collect())
    }

    fn open_keys(&self, account: &str) -> Vec<VenueKey> {
        let account = self.account(account_name(account));
        account.map_or_else(Vec::new, |account| account.open.sorted())
    }

    fn cancel_these(&mut self, identity: &Identity<'_>, keys: Vec<VenueKey>, decision: &mut Decision<'_>) -> Outcome {
        if keys.is_empty() {
            return self.answer(identity, command_reply(identity.command_id, done(), 0), decision);
        }
        let cancels = keys.iter().map(|key| Effect::Venue(VenueCommand::Cancel { key: *key }));
        decision.effects.extend(cancels);
        self.wait(identity, Intent::CancelAll, keys, decision)
    }

    pub(super) fn decide_trading_state(&mut self, set: &SetTradingState, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &set.account,
            command_id: &set.command_id,
            content_hash: canonical::content_hash(&canonical::set_trading_state(set)),
            is_quotes: false,
        };
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => {
                return unremembered(command_reply(&set.command_id, rejection, 0));
            }
            Known::New => {}
        }
        let state = match judge_trading_state(set) {
            Ok(state) => state,
            Err(rejection) => {
                let reply = command_reply(&set.command_id, rejection, 0);
                return self.answer(&identity, reply, decision);
            }
        };
        let event = match set.all_accounts {
            true => Event::TradingStateForAllSet { state },
            false => Event::TradingStateSet { account: Text::from(account_name(&set.account)), state },
        };
        self.commit(event, decision.events);
        let keys = match (set.cancel_open_orders, set.all_accounts) {
            (false, _) => Vec::new(),
            (true, false) => self.open_keys(&set.account),
            (true, true) => self.accounts.iter().flat_map(|account| account.open.sorted()).collect(),
        };
        self.cancel_these(&identity, keys, decision)
    }
}

fn judge_trading_state(set: &SetTradingState) -> Result<TradingState, Rejection> {
    set.defect.clone().map_or(Ok(()), Err)?;
    set.state.ok_or_else(|| {
        let message = "state must be given: ACTIVE, REDUCING or HALTED";
        Rejection::new(ReasonCode::MissingField, "state", message)
    })
}
