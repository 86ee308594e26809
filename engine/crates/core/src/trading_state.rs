//! What the account's trading state lets through (WIRE.md, section 1.4).

use crate::account::Account;
use crate::risk::Exposure;
use crate::validate::Terms;
use crate::{Core, OrderNo, Part, ReasonCode, Rejection, Side, TradingState};

impl Core {
    /// Whether the account may send this new order.
    ///
    /// # Errors
    /// TRADING_HALTED, REDUCE_ONLY.
    pub(crate) fn check_trading_state(&self, account: &str, terms: &Terms) -> Result<(), Rejection> {
        let account = self.account(account);
        match self.state_that_holds(account) {
            TradingState::Active => Ok(()),
            TradingState::Halted => Err(self.halted()),
            TradingState::Reducing => {
                let new = &terms.new;
                if new.stop_loss_ticks.is_some() || new.take_profit_ticks.is_some() {
                    return Err(reduce_only("legs of a reducing order would open a position"));
                }
                self.check_reduces(account, new.symbol, new.side, new.quantity_steps, None)
            }
        }
    }

    /// Whether a replace of an open order leaves the account within its trading state. Less of the same always does;
    /// in REDUCING so does another price for what closes a position (a stop may be moved).
    ///
    /// # Errors
    /// TRADING_HALTED, REDUCE_ONLY.
    pub(crate) fn check_replace_allowed(
        &self,
        account: &str,
        no: OrderNo,
        part: Part,
        quantity_steps: i64,
        new_price: bool,
    ) -> Result<(), Rejection> {
        let account = self.account(account);
        let state = self.state_that_holds(account);
        let Some((order, work)) = self.order(no).and_then(|order| Some((order, order.work(part)?))) else {
            return Ok(());
        };
        let grows = quantity_steps > work.now.quantity_steps;
        match (state, order.symbol_index(), order.side_of(part)) {
            (TradingState::Halted, _, _) if grows || new_price => Err(self.halted()),
            (TradingState::Reducing, Some(symbol), Some(side)) if grows || (new_price && part == Part::Entry) => {
                let remaining = quantity_steps.saturating_sub(work.now.executed_steps);
                self.check_reduces(account, symbol, side, remaining, Some(no))
            }
            (TradingState::Reducing, Some(symbol), Some(side))
                if new_price && reducible(account, symbol, side) <= 0 =>
            {
                Err(reduce_only("the order does not reduce the position"))
            }
            _ => Ok(()),
        }
    }

    /// The account's own state, or that for all: the stricter.
    fn state_that_holds(&self, account: Option<&Account>) -> TradingState {
        let own = account.map_or(TradingState::Active, |account| account.state);
        let for_all = self.risk.state_for_all();
        if for_all as u8 > own as u8 { for_all } else { own }
    }

    fn halted(&self) -> Rejection {
        let whom = if self.risk.state_for_all() == TradingState::Halted { "every account" } else { "the account" };
        let message = format!("trading is HALTED for {whom}; cancels work, new orders do not");
        Rejection::new(ReasonCode::TradingHalted, "", message)
    }

    /// Whether so many more on this side still only reduce the position, with all that reduces it already.
    fn check_reduces(
        &self,
        account: Option<&Account>,
        symbol: u32,
        side: Side,
        quantity_steps: i64,
        leave_out: Option<OrderNo>,
    ) -> Result<(), Rejection> {
        let open = account.and_then(|account| self.account_place(&account.name));
        let open = open.map_or_else(Exposure::default, |account| self.exposure(account, symbol));
        let left_out = leave_out.map_or_else(Exposure::default, |no| self.exposure_of(no));
        let working = (open - left_out).of(side);
        if i128::from(quantity_steps) + working <= reducible(account, symbol, side) {
            return Ok(());
        }
        Err(reduce_only("the order, with those that are open, would not reduce the position"))
    }
}

/// How much an order of this side can close; below 0 the position is on its own side.
fn reducible(account: Option<&Account>, symbol: u32, side: Side) -> i128 {
    let position = account.map_or(0, |account| account.position(symbol));
    match side {
        Side::Sell => position,
        Side::Buy => -position,
    }
}

fn reduce_only(why: &str) -> Rejection {
    Rejection::new(ReasonCode::ReduceOnly, "", format!("trading is REDUCING for the account: {why}"))
}
