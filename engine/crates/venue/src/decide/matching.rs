//! Matching: who trades with whom, at what price.

use super::Turn;
use crate::order::OpenOrder;
use crate::{CloseReason, Event, Key, Party, Side, Trade};

/// Who came later and looks for a counterparty.
#[derive(Clone, Copy)]
struct Taker {
    party: Party,
    symbol: u32,
    side: Side,
    /// The worst price it takes; `None`: any.
    limit_ticks: Option<i64>,
    remaining_steps: i64,
}

/// Who was there first, and what the two of them would trade.
struct Maker {
    party: Party,
    price_ticks: i64,
    remaining_steps: i64,
}

impl Taker {
    fn order(order: &OpenOrder) -> Self {
        Self {
            party: Party::Order(order.key),
            symbol: order.symbol,
            side: order.side,
            limit_ticks: order.limit_ticks(),
            remaining_steps: order.remaining_steps(),
        }
    }

    /// Whether this price is within the limit.
    fn takes(&self, price_ticks: i64) -> bool {
        self.limit_ticks.is_none_or(|limit| match self.side {
            Side::Buy => price_ticks <= limit,
            Side::Sell => price_ticks >= limit,
        })
    }
}

impl Turn<'_> {
    /// Trades an order for as long as it finds a counterparty.
    pub(super) fn trade_order(&mut self, key: Key) {
        // Read anew after each trade: consequences of a trade can change the order itself (a leg grows).
        while let Some(order) = self.exchange.order(key).filter(|order| order.is_working()) {
            let taker = Taker::order(order);
            if taker.remaining_steps <= 0 || !self.trade_once(taker) {
                return;
            }
        }
    }

    /// Trades one side of the feed's quote, which has just arrived, with what was there before it.
    pub(super) fn trade_feed(&mut self, symbol: u32, side: Side) {
        while let Some(level) = self.exchange.feed(symbol, side) {
            let taker = Taker {
                party: Party::Feed,
                symbol,
                side,
                limit_ticks: Some(level.price_ticks),
                remaining_steps: level.quantity_steps,
            };
            if taker.remaining_steps <= 0 || !self.trade_once(taker) {
                return;
            }
        }
    }

    fn trade_once(&mut self, taker: Taker) -> bool {
        let Some(maker) = self.maker_for(&taker) else {
            return false;
        };
        let quantity_steps = taker.remaining_steps.min(maker.remaining_steps);
        if quantity_steps <= 0 {
            return false;
        }
        let (buyer, seller) = match taker.side {
            Side::Buy => (taker.party, maker.party),
            Side::Sell => (maker.party, taker.party),
        };
        self.emit(Event::Trade(Trade {
            number: self.exchange.next_trade(),
            symbol: taker.symbol,
            price_ticks: maker.price_ticks,
            quantity_steps,
            buyer,
            seller,
            taker: taker.side,
        }));
        // The maker first: its order ends before its counterparty's does.
        for key in [maker.party, taker.party].into_iter().filter_map(Party::key) {
            self.after_fill(key, quantity_steps);
        }
        true
    }

    /// First those that work at market, then by price, then by time.
    fn maker_for(&self, taker: &Taker) -> Option<Maker> {
        let side = taker.side.opposite();
        let best = self.exchange.best_priced(taker.symbol, side, taker.party);
        // Without a price on either side there is nothing to trade at.
        if let Some(limit) = taker.limit_ticks
            && let Some(key) = self.exchange.first_unpriced(taker.symbol, side, taker.party)
        {
            // It joins the best price of its own side; where that has none, the taker's price is the only one.
            let joined = best.map(|best| best.price_ticks);
            let price_ticks = joined.filter(|price| taker.takes(*price)).unwrap_or(limit);
            return self.order_as_maker(key, price_ticks);
        }
        let best = best.filter(|best| taker.takes(best.price_ticks))?;
        match best.party {
            Party::Order(key) => self.order_as_maker(key, best.price_ticks),
            Party::Feed => {
                Some(Maker { party: Party::Feed, price_ticks: best.price_ticks, remaining_steps: best.feed_steps })
            }
        }
    }

    fn order_as_maker(&self, key: Key, price_ticks: i64) -> Option<Maker> {
        let order = self.exchange.order(key)?;
        Some(Maker { party: Party::Order(key), price_ticks, remaining_steps: order.remaining_steps() })
    }

    /// What follows from a fill: legs grow or shrink, and who has nothing left ends.
    fn after_fill(&mut self, key: Key, quantity_steps: i64) {
        if let Some(sibling) = key.sibling() {
            self.shrink_leg(sibling, quantity_steps);
            self.close_idle_legs(key);
            return;
        }
        self.grow_legs(key, quantity_steps);
        let order = self.exchange.order(key);
        if order.is_some_and(|order| order.remaining_steps() <= 0) {
            self.close(key, CloseReason::Filled);
        }
    }
}
