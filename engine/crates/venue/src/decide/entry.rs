//! New orders: what is refused, and what becomes of the rest by type and time in force.

use super::Turn;
use crate::{CloseReason, Event, Key, NewOrder, OrderType, Part, Refusal, TimeInForce};

impl Turn<'_> {
    pub(super) fn open(&mut self, order: &NewOrder) {
        if let Err(reason) = self.admit(order) {
            self.emit(Event::Rejected { key: order.key, reason });
            return;
        }
        self.emit(Event::Opened(*order));
        if matches!(order.order_type, OrderType::Market | OrderType::Limit) {
            self.work(order.key);
        }
        self.fire_triggers(order.symbol);
    }

    fn admit(&self, order: &NewOrder) -> Result<(), Refusal> {
        if !self.exchange.has_instrument(order.symbol) {
            return Err(Refusal::UnknownSymbol);
        }
        if order.key.part() != Some(Part::Entry) || self.exchange.is_taken(order.key) {
            return Err(Refusal::KeyNotUsable);
        }
        if order.quantity_steps <= 0 {
            return Err(Refusal::BadQuantity);
        }
        let positive = |price: Option<i64>| price.is_none_or(|ticks| ticks > 0);
        let price_is_good =
            order.order_type == OrderType::Market || (order.price_ticks.is_some() && positive(order.price_ticks));
        if !(price_is_good && positive(order.stop_loss_ticks) && positive(order.take_profit_ticks)) {
            return Err(Refusal::BadPrice);
        }
        Ok(())
    }

    /// Lets an order that may trade now do so, and ends what may not stay.
    pub(super) fn work(&mut self, key: Key) {
        let Some(order) = self.exchange.order(key) else {
            return;
        };
        if order.time_in_force == TimeInForce::Fok && !self.exchange.can_fill(order) {
            self.close(key, CloseReason::FokUnfillable);
            return;
        }
        self.trade_order(key);
        let Some(order) = self.exchange.order(key) else {
            return;
        };
        match (order.order_type, order.time_in_force) {
            (OrderType::Market, _) => self.close(key, CloseReason::NoLiquidity),
            (_, TimeInForce::Gtc) => {}
            (_, TimeInForce::Ioc) => self.close(key, CloseReason::IocRemainder),
            (_, TimeInForce::Fok) => self.close(key, CloseReason::FokUnfillable),
        }
    }
}
