//! What the account's trading state lets through (WIRE.md, section 1.4).

use crate::account::Account;
use crate::validate::Terms;
use crate::{Core, OrderNo, Part, ReasonCode, Rejection, Side, TradingState};

impl Core {
    /// Whether the account may send this new order.
    ///
    /// # Errors
    /// TRADING_HALTED, REDUCE_ONLY.
    pub(crate) fn check_trading_state(&self, account: &str, terms: &Terms) -> Result<(), Rejection> {
        let account = self.account(account);
        match account.map_or(TradingState::Active, |account| account.state) {
            TradingState::Active => Ok(()),
            TradingState::Halted => Err(halted()),
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
        let state = account.map_or(TradingState::Active, |account| account.state);
        let Some((order, work)) = self.order(no).and_then(|order| Some((order, order.work(part)?))) else {
            return Ok(());
        };
        let grows = quantity_steps > work.now.quantity_steps;
        match (state, order.symbol_index(), order.side_of(part)) {
            (TradingState::Halted, _, _) if grows || new_price => Err(halted()),
            (TradingState::Reducing, Some(symbol), Some(side)) if grows => {
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

    /// Whether so many more on this side still only reduce the position, with all that reduces it already.
    fn check_reduces(
        &self,
        account: Option<&Account>,
        symbol: u32,
        side: Side,
        quantity_steps: i64,
        leave_out: Option<OrderNo>,
    ) -> Result<(), Rejection> {
        let working = account.map_or(0, |account| self.working(account, symbol, side, leave_out));
        if i128::from(quantity_steps) + working <= reducible(account, symbol, side) {
            return Ok(());
        }
        Err(reduce_only("the order, with those that are open, would not reduce the position"))
    }

    /// What open orders of this side may still execute. Of two legs only one does.
    fn working(&self, account: &Account, symbol: u32, side: Side, leave_out: Option<OrderNo>) -> i128 {
        let mut total = 0i128;
        for key in account.open.iter() {
            let Some((order, part)) = self.order(key.order()).zip(key.part()) else { continue };
            let counts = order.symbol_index() == Some(symbol)
                && order.side_of(part) == Some(side)
                && Some(order.no) != leave_out;
            // Of two open legs the first stands for both.
            let is_second_leg = part == Part::Target && account.open.contains(&order.key(Part::Stop));
            if !counts || is_second_leg {
                continue;
            }
            let remaining = |part| {
                let open = order.work(part).filter(|work| work.now.is_open());
                open.map_or(0, |work| work.now.remaining_steps())
            };
            total += i128::from(match part.sibling() {
                None => remaining(part),
                Some(sibling) => remaining(part).max(remaining(sibling)),
            });
        }
        total
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

fn halted() -> Rejection {
    let message = "trading is HALTED for the account; cancels work, new orders do not";
    Rejection::new(ReasonCode::TradingHalted, "", message)
}

fn reduce_only(why: &str) -> Rejection {
    Rejection::new(ReasonCode::ReduceOnly, "", format!("trading is REDUCING for the account: {why}"))
}
