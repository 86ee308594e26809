//! Limits from now on: judged by themselves, then set for an account, or for one of its symbols.

use super::Decision;
use super::command::{Identity, Known, command_reply, done, unremembered};
use crate::queries::account_name;
use crate::risk::Bucket;
use crate::validate::unknown_symbol;
use crate::{Core, Event, Outcome, Rejection, RiskLimitsSet, SetRiskLimits, canonical};

impl Core {
    pub(super) fn decide_risk_limits(&mut self, set: &SetRiskLimits, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &set.account,
            command_id: &set.command_id,
            content_hash: canonical::content_hash(&canonical::set_risk_limits(set)),
            is_quotes: false,
        };
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => return unremembered(command_reply(&set.command_id, rejection, 0)),
            Known::New => {}
        }
        let verdict = match self.judge_risk_limits(set) {
            Ok(symbol) => {
                let account = account_name(&set.account).into();
                let limits = RiskLimitsSet { account, symbol, limits: set.limits };
                self.commit(Event::RiskLimitsSet(Box::new(limits)), decision.events);
                done()
            }
            Err(rejection) => rejection,
        };
        self.answer(&identity, command_reply(&set.command_id, verdict, 0), decision)
    }

    /// The instrument that is meant; `None`: all that have no limits of their own.
    fn judge_risk_limits(&self, set: &SetRiskLimits) -> Result<Option<u32>, Rejection> {
        set.defect.clone().map_or(Ok(()), Err)?;
        let symbol = match set.symbol.as_str() {
            "" => None,
            symbol => Some(self.symbol_index(symbol).ok_or_else(|| unknown_symbol("symbol", symbol))?),
        };
        set.limits.check(symbol.is_some())?;
        Ok(symbol)
    }

    /// An order, or a replace, was counted.
    pub(super) fn charge(&mut self, account: &str, bucket: Option<Bucket>, decision: &mut Decision<'_>) {
        if let Some(Bucket { level, at_ns }) = bucket {
            let account = account.into();
            self.commit(Event::RateCharged { account, level, at_ns }, decision.events);
        }
    }

    /// The feed, or a configuration, says what the last price is.
    pub(super) fn set_last_price(&mut self, symbol: u32, half_ticks: Option<i64>, decision: &mut Decision<'_>) {
        if self.risk.last_price(symbol) != half_ticks {
            self.commit(Event::LastPriceSet { symbol, half_ticks }, decision.events);
        }
    }
}
