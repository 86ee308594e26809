//! Cancels and replaces.

use super::Turn;
use crate::order::OpenOrder;
use crate::{CloseReason, Event, Key, Part, Refusal, Replace};

impl Turn<'_> {
    pub(super) fn cancel(&mut self, key: Key) {
        let Some(symbol) = self.exchange.order(key).map(|order| order.symbol) else {
            self.refuse(key, Refusal::UnknownOrder);
            return;
        };
        self.close(key, CloseReason::Cancelled);
        // A leg that the cancelled one held back waits again, perhaps for what is already there.
        self.fire_triggers(symbol);
    }

    pub(super) fn replace(&mut self, replace: &Replace) {
        let Some(order) = self.exchange.order(replace.key).copied() else {
            self.refuse(replace.key, Refusal::UnknownOrder);
            return;
        };
        if let Err(reason) = check(replace, &order) {
            self.refuse(replace.key, reason);
            return;
        }
        let quantity_steps = replace.quantity_steps.unwrap_or(order.total_steps);
        let price_ticks = replace.price_ticks.or(order.price_ticks);
        self.emit(Event::Replaced {
            key: order.key,
            quantity_steps,
            price_ticks,
            requeued: quantity_steps > order.total_steps || price_ticks != order.price_ticks,
        });
        if order.is_working() {
            self.work(order.key);
        }
        self.fire_triggers(order.symbol);
    }
}

fn check(replace: &Replace, order: &OpenOrder) -> Result<(), Refusal> {
    if let Some(quantity) = replace.quantity_steps {
        let is_leg = order.key.part() != Some(Part::Entry);
        if is_leg && quantity != order.total_steps {
            return Err(Refusal::LegQuantityFixed);
        }
        if quantity <= 0 {
            return Err(Refusal::BadQuantity);
        }
        if !is_leg && quantity <= order.executed_steps {
            return Err(Refusal::QuantityBelowExecuted);
        }
    }
    match replace.price_ticks {
        Some(price) if price <= 0 => Err(Refusal::BadPrice),
        Some(price) if order.triggered && Some(price) != order.price_ticks => Err(Refusal::AlreadyTriggered),
        _ => Ok(()),
    }
}
