//! Legs: the stop-loss and take-profit orders that protect what an entry has executed.
//!
//! A leg that is open always has left exactly what the entry executed less what both legs executed.

use super::Turn;
use crate::order::OpenOrder;
use crate::{CloseReason, Event, Key, Part};

impl Turn<'_> {
    /// After a fill of an entry: opens its legs at the first one, and lets those that are still open grow.
    pub(super) fn grow_legs(&mut self, entry: Key, quantity_steps: i64) {
        let Some(order) = self.exchange.order(entry).copied() else {
            return;
        };
        let is_first_fill = order.executed_steps == quantity_steps;
        let triggers = [(Part::Stop, order.stop_loss_ticks), (Part::Target, order.take_profit_ticks)];
        for (part, trigger) in triggers {
            let Some(trigger_ticks) = trigger else {
                continue;
            };
            let leg = entry.with_part(part);
            if is_first_fill {
                self.open_leg(&order, leg, trigger_ticks, quantity_steps);
            } else {
                // A leg that is not there any more was cancelled, and stays so.
                self.resize_leg(leg, quantity_steps);
            }
        }
    }

    fn open_leg(&mut self, entry: &OpenOrder, key: Key, trigger_ticks: i64, quantity_steps: i64) {
        self.emit(Event::LegOpened {
            key,
            symbol: entry.symbol,
            side: entry.side.opposite(),
            trigger_ticks,
            quantity_steps,
        });
    }

    /// After a fill of one leg: takes as much off the other.
    pub(super) fn shrink_leg(&mut self, leg: Key, quantity_steps: i64) {
        self.resize_leg(leg, quantity_steps.saturating_neg());
    }

    fn resize_leg(&mut self, key: Key, by_steps: i64) {
        let Some(leg) = self.exchange.order(key) else {
            return;
        };
        let resized = leg.total_steps.saturating_add(by_steps);
        let quantity_steps = resized.max(leg.executed_steps);
        self.emit(Event::LegResized { key, quantity_steps });
    }

    /// Ends the legs of `key`'s order that have nothing left, unless the entry is open and may bring them more.
    pub(super) fn close_idle_legs(&mut self, key: Key) {
        if self.exchange.order(key.with_part(Part::Entry)).is_some() {
            return;
        }
        // The leg that traded first, then the one that this left with nothing.
        for wanted in [CloseReason::Filled, CloseReason::LegDone] {
            for leg in [key.with_part(Part::Stop), key.with_part(Part::Target)] {
                let order = self.exchange.order(leg);
                let idle = order.filter(|leg| leg.remaining_steps() <= 0);
                if idle.is_some_and(|leg| idle_reason(leg) == wanted) {
                    self.emit(Event::Closed { key: leg, reason: wanted });
                }
            }
        }
    }
}

/// Why a leg has nothing left. Only one of the two is ever triggered, and only that one trades; so the triggered one
/// executed its last itself, and the other was reduced to nothing by it.
const fn idle_reason(leg: &OpenOrder) -> CloseReason {
    if leg.triggered { CloseReason::Filled } else { CloseReason::LegDone }
}
