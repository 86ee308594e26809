//! Judges orders and replaces. Each check has its code; the first that an order breaks is the one that is told.
//!
//! Not checked: legs (they only reduce; what they may still do counts in the position) and what only shrinks.

use super::bounds::{Bounds, Notional};
use super::bucket::{Bucket, Rate};
use super::exposure::Exposure;
use super::last_price::half_ticks;
use crate::order_state::OrderState;
use crate::{Core, Decimal, Instrument, NewOrder, OrderType, Part, ReasonCode, Rejection, Side, TimeInForce, UtcNanos};

/// What is to be judged: an order as it would be.
struct Proposal<'a> {
    bounds: &'a Bounds,
    instrument: Option<&'a Instrument>,
    last_price: Option<i64>,
    side: Side,
    order_type: OrderType,
    quantity_steps: i64,
    price_ticks: Option<i64>,
}

impl Core {
    /// Whether this order keeps the account's limits; and its bucket after it, where orders are counted.
    ///
    /// # Errors
    /// ORDER_QUANTITY_LIMIT, NO_REFERENCE_PRICE, ORDER_NOTIONAL_LIMIT, PRICE_COLLAR, OPEN_ORDERS_LIMIT,
    /// POSITION_LIMIT, RATE_LIMIT.
    pub(crate) fn check_risk(&self, account: &str, new: &NewOrder, now: UtcNanos) -> Result<Option<Bucket>, Rejection> {
        let index = self.account_place(account);
        let unknown;
        let (bounds, rate) = match index.and_then(|index| self.risk.bounds(index, new.symbol)) {
            Some(bounds) => (bounds, index.and_then(|index| self.risk.rate(index))),
            None => {
                unknown = self.bounds_of_new_account(account, new.symbol);
                (&unknown.0, unknown.1)
            }
        };
        if *bounds != Bounds::NONE {
            let proposal = Proposal {
                bounds,
                instrument: self.instrument(new.symbol),
                last_price: self.risk.last_price(new.symbol),
                side: new.side,
                order_type: new.order_type,
                quantity_steps: new.quantity_steps,
                price_ticks: new.price_ticks,
            };
            let exposure = index.map_or_else(Exposure::default, |index| self.exposure(index, new.symbol));
            proposal.check_quantity()?;
            proposal.check_notional()?;
            proposal.check_collar()?;
            if may_rest(new) {
                proposal.check_open_orders(exposure)?;
            }
            let position = self.account(account).map_or(0, |account| account.position(new.symbol));
            proposal.check_position(position, exposure, new.quantity_steps)?;
        }
        let bucket = index.and_then(|index| self.risk.bucket(index));
        rate.map(|rate| take(rate, bucket, now)).transpose()
    }

    /// Whether a replace keeps the limits: one that makes the order larger, or gives it another price. `quantity_steps`
    /// is the total from then on. Gives the account's bucket after it, as for a new order.
    ///
    /// # Errors
    /// As [`Core::check_risk`], but for OPEN_ORDERS_LIMIT.
    pub(crate) fn check_risk_of_replace(
        &self,
        order: &OrderState,
        part: Part,
        quantity_steps: i64,
        new_price: Option<i64>,
        now: UtcNanos,
    ) -> Result<Option<Bucket>, Rejection> {
        let before = order.now();
        let grows = quantity_steps > before.quantity_steps;
        if part != Part::Entry || !(grows || new_price.is_some()) {
            return Ok(None);
        }
        let (Some(symbol), Some(side), Some(order_type)) = (order.symbol_index(), order.side, order.order_type) else {
            return Ok(None);
        };
        if let Some(bounds) = self.risk.bounds(order.account, symbol).filter(|bounds| **bounds != Bounds::NONE) {
            let is = |quantity_steps, price_ticks| Proposal {
                bounds,
                instrument: self.instrument(symbol),
                last_price: self.risk.last_price(symbol),
                side,
                order_type: if before.triggered { OrderType::Market } else { order_type },
                quantity_steps,
                price_ticks,
            };
            let then = is(quantity_steps, new_price.or(before.price_ticks));
            if grows {
                then.check_quantity()?;
                let others = self.exposure(order.account, symbol) - self.exposure_of(order.no);
                let position = self.accounts.get(order.account as usize).map_or(0, |one| one.position(symbol));
                then.check_position(position, others, quantity_steps.saturating_sub(before.executed_steps))?;
            }
            let was = is(before.quantity_steps, before.price_ticks);
            if then.notional() > was.notional() || then.notional().is_none() {
                then.check_notional()?;
            }
            then.check_collar()?;
        }
        let bucket = self.risk.bucket(order.account);
        self.risk.rate(order.account).map(|rate| take(rate, bucket, now)).transpose()
    }
}

impl Proposal<'_> {
    fn check_quantity(&self) -> Result<(), Rejection> {
        if i128::from(self.quantity_steps) <= self.bounds.quantity_steps {
            return Ok(());
        }
        let most = self.quantity(self.bounds.quantity_steps);
        let message = format!("the quantity is above the {most} that one order may have");
        Err(Rejection::new(ReasonCode::OrderQuantityLimit, "quantity", message))
    }

    /// The price that the order's value is reckoned with: what it may trade at at worst, as far as one knows. `None`
    /// without a last price where that is needed.
    fn worst_price(&self) -> Option<i64> {
        let own = self.price_ticks.and_then(half_ticks);
        match (self.order_type, self.side) {
            (OrderType::Limit, Side::Buy) => own,
            // A sale at its limit or better.
            (OrderType::Limit, Side::Sell) => own.max(self.last_price),
            (OrderType::Market, _) => self.last_price,
            // One that is triggered at once trades at the market's price, not at its own.
            (OrderType::StopLoss | OrderType::TakeProfit, _) => Some(own?.max(self.last_price?)),
        }
    }

    fn notional(&self) -> Option<Notional> {
        Some(i128::from(self.worst_price()?) * i128::from(self.quantity_steps))
    }

    fn check_notional(&self) -> Result<(), Rejection> {
        if self.bounds.notional == Bounds::NONE.notional {
            return Ok(());
        }
        let notional = self.notional().ok_or_else(|| no_reference_price("the largest notional"))?;
        if notional <= self.bounds.notional {
            return Ok(());
        }
        let message = "quantity times price is above what one order may come to";
        Err(Rejection::new(ReasonCode::OrderNotionalLimit, "quantity", message))
    }

    /// Triggers have no collar: they say when, not at what price.
    fn check_collar(&self) -> Result<(), Rejection> {
        let Some(fraction) = self.bounds.collar.filter(|_| self.order_type == OrderType::Limit) else { return Ok(()) };
        let Some(price) = self.price_ticks.and_then(half_ticks) else { return Ok(()) };
        let last_price = self.last_price.ok_or_else(|| no_reference_price("the price collar"))?;
        if self.bounds.is_in_collar(price, last_price) {
            return Ok(());
        }
        let message = format!("the price lies further from the last price than {fraction} of that");
        Err(Rejection::new(ReasonCode::PriceCollar, "price", message))
    }

    fn check_open_orders(&self, exposure: Exposure) -> Result<(), Rejection> {
        let open = u64::try_from(exposure.open).unwrap_or(0);
        if open < self.bounds.open_orders {
            return Ok(());
        }
        let message = format!("the symbol has {open} open orders and legs, and may have {}", self.bounds.open_orders);
        Err(Rejection::new(ReasonCode::OpenOrdersLimit, "", message))
    }

    /// The position if this order, of which so much is left, and all that is open on its side were filled.
    fn check_position(&self, position: i128, exposure: Exposure, remaining_steps: i64) -> Result<(), Rejection> {
        let signed = match self.side {
            Side::Buy => position,
            Side::Sell => position.saturating_neg(),
        };
        let worst = signed.saturating_add(exposure.of(self.side)).saturating_add(i128::from(remaining_steps));
        if worst <= self.bounds.position_steps {
            return Ok(());
        }
        let most = self.quantity(self.bounds.position_steps);
        let way = if self.side == Side::Buy { "long" } else { "short" };
        let message = format!("with all open orders filled the position could be more than {most} {way}");
        Err(Rejection::new(ReasonCode::PositionLimit, "quantity", message))
    }

    /// Steps as people write them.
    fn quantity(&self, steps: i128) -> Decimal {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        self.instrument.and_then(|one| Decimal::from_steps(steps, one.quantity_step)).unwrap_or(Decimal::ZERO)
    }
}

/// Whether something of an order can stay open, itself or its legs: what executes at once or not at all, and has none,
/// adds to no open orders.
fn may_rest(new: &NewOrder) -> bool {
    if new.stop_loss_ticks.is_some() || new.take_profit_ticks.is_some() {
        return true;
    }
    match new.order_type {
        OrderType::Market => false,
        OrderType::Limit => new.time_in_force == TimeInForce::Gtc,
        OrderType::StopLoss | OrderType::TakeProfit => true,
    }
}

fn take(rate: Rate, bucket: Option<Bucket>, now: UtcNanos) -> Result<Bucket, Rejection> {
    rate.take(bucket, now).ok_or_else(|| {
        let Rate { per_second, burst } = rate;
        let message =
            format!("the account may send {per_second} orders a second, {burst} at once; a new try needs a new id");
        Rejection::new(ReasonCode::RateLimit, "", message)
    })
}

fn no_reference_price(what: &str) -> Rejection {
    let message = format!("{what} needs a last price, and the symbol has none yet: wait for a quote");
    Rejection::new(ReasonCode::NoReferencePrice, "price", message)
}
