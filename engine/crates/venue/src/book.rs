//! The book of one instrument: who stands where. It knows places, prices and totals, not orders' lives.
//!
//! Every index is an ordered map by rank and time, so a step costs the logarithm of what stands there, however much
//! that is, and a quote touches only what it trades with or triggers.

use crate::order::{Index, Spot, UNPRICED, Watch, rank};
use crate::{Key, Level, Part, Party, Quote, Side};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders by rank, then by time.
pub(crate) type Ranked = BTreeMap<(i64, u64), Key>;

/// In which order triggers of one quote fire: every stop before any target.
const FIRING_ORDER: [Watch; 4] = [
    Watch { part: Part::Stop, side: Side::Sell },
    Watch { part: Part::Stop, side: Side::Buy },
    Watch { part: Part::Target, side: Side::Sell },
    Watch { part: Part::Target, side: Side::Buy },
];

/// One side's orders that can trade.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
struct Queue {
    orders: Ranked,
    /// Sum of what is left per rank, so that a FOK order is judged by levels and not by orders.
    levels: BTreeMap<i64, i128>,
}

/// The book of one instrument.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Book {
    queues: [Queue; 2],
    waiting: [Ranked; 4],
    parked: Ranked,
    /// What is left of the feed's quote, by side (bid first).
    feed: [Option<Level>; 2],
    /// When the feed's quote arrived.
    pub(crate) quote_priority: u64,
    /// This book's part of the state hash.
    pub(crate) hash: u128,
}

/// The first to trade with on one side of a book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Best {
    pub price_ticks: i64,
    pub party: Party,
    /// What is left at this price of the feed; for an order, 0: its own state tells.
    pub feed_steps: i64,
}

impl Book {
    /// Moves an order from one place to another.
    pub fn shift(&mut self, key: Key, from: Option<Spot>, to: Option<Spot>) {
        if let Some(spot) = from {
            self.adjust_level(&spot, -i128::from(spot.quantity_steps));
        }
        if let Some(spot) = to {
            self.adjust_level(&spot, i128::from(spot.quantity_steps));
        }
        let place = |spot: Spot| (spot.index, spot.rank, spot.priority);
        if from.map(place) == to.map(place) {
            return;
        }
        if let Some(spot) = from {
            self.ranked(spot.index).remove(&(spot.rank, spot.priority));
        }
        if let Some(spot) = to {
            self.ranked(spot.index).insert((spot.rank, spot.priority), key);
        }
    }

    fn adjust_level(&mut self, spot: &Spot, by: i128) {
        let Index::Queue(side) = spot.index else {
            return;
        };
        let levels = &mut self.queues[side as usize].levels;
        let total = levels.entry(spot.rank).or_insert(0);
        *total = total.saturating_add(by);
        if *total == 0 {
            levels.remove(&spot.rank);
        }
    }

    fn ranked(&mut self, index: Index) -> &mut Ranked {
        match index {
            Index::Queue(side) => &mut self.queues[side as usize].orders,
            Index::Waiting(watch) => &mut self.waiting[slot(watch)],
            Index::Parked => &mut self.parked,
        }
    }

    /// Puts the feed's quote in the place of the former.
    pub fn quote(&mut self, quote: &Quote, priority: u64) {
        self.feed = [quote.bid, quote.ask];
        self.quote_priority = priority;
    }

    /// Hands over the legs that waited for a quote newer than the last one.
    pub fn take_parked(&mut self) -> Ranked {
        std::mem::take(&mut self.parked)
    }

    /// What is left of the feed's quote on a side; its price stays when nothing is.
    pub const fn feed(&self, side: Side) -> Option<Level> {
        self.feed[side as usize]
    }

    /// Takes a traded quantity off the feed's quote.
    pub fn reduce_feed(&mut self, side: Side, quantity_steps: i64) {
        if let Some(level) = &mut self.feed[side as usize] {
            level.quantity_steps = level.quantity_steps.saturating_sub(quantity_steps);
        }
    }

    /// The first order of a side that works at market and may trade with `taker`.
    pub fn first_unpriced(&self, side: Side, taker: Party) -> Option<Key> {
        let unpriced = self.queues[side as usize].orders.range(..(UNPRICED + 1, 0));
        unpriced.map(|(_, key)| *key).find(|key| !is_family(*key, taker))
    }

    /// The best price of a side that `taker` may trade at, and who is first at it.
    pub fn best_priced(&self, side: Side, taker: Party) -> Option<Best> {
        let mut priced = self.queues[side as usize].orders.range((UNPRICED + 1, 0)..);
        let order = priced.find(|(_, key)| !is_family(**key, taker));
        let order = order.map(|(place, key)| (*place, Best::of_order(side, *place, *key)));
        let feed = self.live_feed(side).map(|level| {
            let place = (rank(side, level.price_ticks), self.quote_priority);
            (place, Best::of_feed(level))
        });
        let first = order.into_iter().chain(feed).min_by_key(|(place, _)| *place);
        first.map(|(_, best)| best)
    }

    fn live_feed(&self, side: Side) -> Option<Level> {
        self.feed(side).filter(|level| level.quantity_steps > 0)
    }

    /// Whether a taker of the other side finds `quantity_steps` on `side`, at `limit_ticks` or better.
    pub fn can_fill(&self, side: Side, limit_ticks: Option<i64>, quantity_steps: i64) -> bool {
        // Two orders without a price never trade with one another.
        let first = if limit_ticks.is_some() { UNPRICED } else { UNPRICED + 1 };
        let last = limit_ticks.map_or(i64::MAX, |limit| rank(side, limit));
        let wanted = i128::from(quantity_steps);
        let mut found: i128 = self
            .live_feed(side)
            .filter(|level| rank(side, level.price_ticks) <= last)
            .map_or(0, |level| i128::from(level.quantity_steps));
        for total in self.queues[side as usize].levels.range(first..=last) {
            if found >= wanted {
                break;
            }
            found = found.saturating_add(*total.1);
        }
        found >= wanted
    }

    /// The next waiting order whose trigger the present quote has reached.
    pub fn next_triggered(&self) -> Option<Key> {
        FIRING_ORDER.into_iter().find_map(|watch| {
            // A sell order looks at what the feed pays, a buy order at what it asks.
            let quoted = self.feed(watch.side.opposite())?.price_ticks;
            let (place, key) = self.waiting[slot(watch)].first_key_value()?;
            (place.0 <= watch.rank(quoted)).then_some(*key)
        })
    }

    /// Everything that clients have on a side at its best price, the feed's quote included.
    pub fn best_level(&self, side: Side) -> Option<(i64, i128)> {
        let best = self.best_priced(side, Party::Feed)?;
        let at = rank(side, best.price_ticks);
        let orders = self.queues[side as usize].levels.get(&at).copied().unwrap_or(0);
        let feed = self.live_feed(side).filter(|level| level.price_ticks == best.price_ticks);
        let feed_steps = feed.map_or(0, |level| i128::from(level.quantity_steps));
        Some((best.price_ticks, orders.saturating_add(feed_steps)))
    }
}

impl Best {
    const fn of_order(side: Side, place: (i64, u64), key: Key) -> Self {
        // Negation is its own inverse, so the rank of a rank is the price.
        Self { price_ticks: rank(side, place.0), party: Party::Order(key), feed_steps: 0 }
    }

    const fn of_feed(level: Level) -> Self {
        Self { price_ticks: level.price_ticks, party: Party::Feed, feed_steps: level.quantity_steps }
    }
}

/// Whether the two belong to one order: an entry and its legs do not trade with one another. At most one order on a
/// side is family, so that passing it by costs one step.
fn is_family(maker: Key, taker: Party) -> bool {
    taker.key().is_some_and(|key| key.order_no() == maker.order_no())
}

const fn slot(watch: Watch) -> usize {
    let part = match watch.part {
        Part::Target => 2,
        Part::Stop | Part::Entry => 0,
    };
    part + watch.side as usize
}
