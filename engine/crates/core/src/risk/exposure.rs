//! What open orders may still do: kept per account and instrument with every event, so that a check costs the same
//! with a million open orders as with one.

use crate::{Core, Event, Intent, OrderNo, Part, Side, VenueKey};
use std::ops::{Add, Sub};

/// What open orders may still do, and how many they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Exposure {
    /// Orders and legs.
    pub open: i64,
    /// Steps that may still be bought.
    pub buys: i128,
    /// Steps that may still be sold.
    pub sells: i128,
}

impl Exposure {
    /// Steps that may still be executed on one side.
    pub const fn of(&self, side: Side) -> i128 {
        match side {
            Side::Buy => self.buys,
            Side::Sell => self.sells,
        }
    }

    fn add_steps(&mut self, side: Side, steps: i64) {
        match side {
            Side::Buy => self.buys += i128::from(steps),
            Side::Sell => self.sells += i128::from(steps),
        }
    }
}

impl Add for Exposure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { open: self.open + other.open, buys: self.buys + other.buys, sells: self.sells + other.sells }
    }
}

impl Sub for Exposure {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { open: self.open - other.open, buys: self.buys - other.buys, sells: self.sells - other.sells }
    }
}

impl Core {
    /// What one order and its legs may still do. Of two legs only one executes. A larger quantity that the venue has
    /// not answered for counts already.
    pub(crate) fn exposure_of(&self, no: OrderNo) -> Exposure {
        let mut exposure = Exposure::default();
        let Some(order) = self.order(no) else { return exposure };
        if let Some(work) = order.work(Part::Entry).filter(|work| work.now.is_open())
            && let Some(side) = order.side
        {
            let asked = self.quantity_asked(order.key(Part::Entry));
            let larger = asked.map_or(0, |asked| asked.saturating_sub(work.now.executed_steps));
            exposure.open += 1;
            exposure.add_steps(side, work.now.remaining_steps().max(larger));
        }
        let mut of_legs = 0;
        for part in [Part::Stop, Part::Target] {
            if let Some(work) = order.work(part).filter(|work| work.now.is_open()) {
                exposure.open += 1;
                of_legs = of_legs.max(work.now.remaining_steps());
            }
        }
        if let Some(side) = order.side_of(Part::Stop) {
            exposure.add_steps(side, of_legs);
        }
        exposure
    }

    /// The largest total quantity that replaces ask for which the venue has not answered.
    fn quantity_asked(&self, key: VenueKey) -> Option<i64> {
        if self.waiting.is_empty() {
            return None; // always so with the embedded exchange, but within an input
        }
        let waiting = self.waiting.get(&key)?.iter().filter_map(|no| self.command(*no));
        let asked = waiting.filter_map(|command| match command.intent {
            Intent::Replace { quantity_steps, .. } => quantity_steps,
            _ => None,
        });
        asked.max()
    }

    /// What open orders of an account may still do in an instrument.
    pub(crate) fn exposure(&self, account: u32, symbol: u32) -> Exposure {
        self.risk.exposure(account, symbol)
    }

    /// An event was absorbed that may have changed what this order may still do; `before` is what that was.
    pub(crate) fn exposure_changed(&mut self, no: OrderNo, before: Exposure) {
        let after = self.exposure_of(no);
        if after == before {
            return;
        }
        let place = self.order(no).and_then(|order| Some((order.account, order.symbol_index()?)));
        if let Some((account, symbol)) = place {
            self.risk.shift_exposure(account, symbol, after - before);
        }
    }

    /// The same from scratch, for a state that was not built from events, and for tests.
    pub(crate) fn recompute_exposures(&self) -> Vec<(u32, u32, Exposure)> {
        let mut exposures = std::collections::BTreeMap::<(u32, u32), Exposure>::new();
        for account in &self.accounts {
            let mut orders: Vec<OrderNo> = account.open.iter().map(VenueKey::order).collect();
            orders.sort_unstable();
            orders.dedup();
            for no in orders {
                let Some(order) = self.order(no) else { continue };
                let Some(symbol) = order.symbol_index() else { continue };
                let sum = exposures.entry((order.account, symbol)).or_default();
                *sum = *sum + self.exposure_of(no);
            }
        }
        exposures.into_iter().map(|((account, symbol), exposure)| (account, symbol, exposure)).collect()
    }
}

/// The order whose exposure this event may change.
pub(crate) fn order_moved_by(event: &Event) -> Option<OrderNo> {
    let key = match event {
        Event::OrderOpened(opened) => opened.new.key,
        Event::VenueRejected { key, .. }
        | Event::Filled { key, .. }
        | Event::Closed { key, .. }
        | Event::Replaced { key, .. }
        | Event::CommandRefused { key, .. }
        | Event::LegOpened { key, .. }
        | Event::LegResized { key, .. } => *key,
        Event::CommandRecorded(recorded) => match recorded.intent {
            Intent::Replace { key, .. } => key,
            _ => return None,
        },
        _ => return None,
    };
    Some(key.order())
}
