//! An independent view of the exchange, kept from its events alone, that judges every event and every state.
//!
//! It is slow and plain on purpose: who should have traded is found by looking at every order.

use bridge_venue::{
    CloseReason, Event, Exchange, Key, Level, NewOrder, OrderType, Part, Party, Quote, Refusal, Side, TimeInForce,
    Trade,
};
use std::collections::BTreeMap;

/// An order as its owner could reconstruct it.
#[derive(Clone, Debug)]
struct Entry {
    order: NewOrder,
    executed: i64,
    arrival: u64,
    triggered: bool,
    open: bool,
}

/// What the feed has, of one instrument.
#[derive(Clone, Copy, Debug)]
struct Feed {
    quote: Quote,
    left: [i64; 2],
    arrival: u64,
}

#[derive(Default)]
pub struct Ledger {
    orders: BTreeMap<Key, Entry>,
    feeds: BTreeMap<u32, Feed>,
    arrivals: u64,
    trades: u64,
}

/// Who could trade with a taker: at what price (none: works at market), since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Candidate {
    party: Party,
    price: Option<i64>,
    arrival: u64,
    left: i64,
}

fn level(quote: &Quote, side: Side) -> Option<Level> {
    match side {
        Side::Buy => quote.bid,
        Side::Sell => quote.ask,
    }
}

/// An entry and its own legs do not trade with one another.
fn is_family(one: Party, other: Party) -> bool {
    let (one, other) = (one.key().map(Key::order_no), other.key().map(Key::order_no));
    one.is_some() && one == other
}

impl Entry {
    fn left(&self) -> i64 {
        self.order.quantity_steps - self.executed
    }

    fn waits(&self) -> bool {
        !self.triggered && matches!(self.order.order_type, OrderType::StopLoss | OrderType::TakeProfit)
    }

    /// The price it is bound to; `None`: any.
    fn limit(&self) -> Option<i64> {
        self.order.price_ticks.filter(|_| self.order.order_type == OrderType::Limit)
    }

    /// Whether it stands in the queue of its side.
    fn rests(&self) -> bool {
        self.open
            && self.left() > 0
            && !self.waits()
            && self.order.order_type != OrderType::Market
            && self.order.time_in_force == TimeInForce::Gtc
    }

    fn is_reached_by(&self, quote: &Quote) -> bool {
        let Some(seen) = level(quote, self.order.side.opposite()) else { return false };
        let trigger = self.order.price_ticks.unwrap();
        match (self.order.order_type, self.order.side) {
            (OrderType::StopLoss, Side::Sell) | (OrderType::TakeProfit, Side::Buy) => seen.price_ticks <= trigger,
            _ => seen.price_ticks >= trigger,
        }
    }
}

impl Ledger {
    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn entry(&mut self, key: Key) -> &mut Entry {
        let entry = self.orders.get_mut(&key).expect("events name orders that were opened");
        assert!(entry.open, "{key:?} has ended, and nothing more comes from it");
        entry
    }

    fn get(&self, key: Key) -> Option<&Entry> {
        self.orders.get(&key).filter(|entry| entry.open)
    }

    /// Judges one event by what was before it, and takes it in.
    pub fn record(&mut self, event: &Event) {
        match *event {
            Event::InstrumentAdded { .. } | Event::QuoteRefused { .. } | Event::CommandRefused { .. } => {}
            Event::Rejected { reason, .. } => assert_ne!(reason, Refusal::UnknownOrder),
            Event::Opened(order) => self.open(order),
            Event::LegOpened { key, symbol, side, trigger_ticks, quantity_steps } => {
                let is_stop = key.part() == Some(Part::Stop);
                self.open(NewOrder {
                    key,
                    symbol,
                    side,
                    order_type: if is_stop { OrderType::StopLoss } else { OrderType::TakeProfit },
                    time_in_force: TimeInForce::Gtc,
                    quantity_steps,
                    price_ticks: Some(trigger_ticks),
                    stop_loss_ticks: None,
                    take_profit_ticks: None,
                });
            }
            Event::LegResized { key, quantity_steps } => self.resize(key, quantity_steps),
            Event::Triggered { key } => self.trigger(key),
            Event::Trade(trade) => self.trade(&trade),
            Event::Replaced { key, quantity_steps, price_ticks, requeued } => {
                let arrival = self.arrive();
                let entry = self.entry(key);
                let smaller = quantity_steps <= entry.order.quantity_steps && price_ticks == entry.order.price_ticks;
                assert_eq!(requeued, !smaller, "only another price or a larger quantity loses the place");
                entry.order.quantity_steps = quantity_steps;
                entry.order.price_ticks = price_ticks;
                entry.arrival = if requeued { arrival } else { entry.arrival };
            }
            Event::Closed { key, reason } => self.close(key, reason),
            Event::Quoted(quote) => {
                let left = [quote.bid, quote.ask].map(|level| level.map_or(0, |level| level.quantity_steps));
                let arrival = self.arrive();
                self.feeds.insert(quote.symbol, Feed { quote, left, arrival });
            }
        }
    }

    fn open(&mut self, order: NewOrder) {
        if order.key.part() == Some(Part::Entry) {
            // The generator uses the keys of ended orders again: this is another order.
            self.orders.remove(&order.key.with_part(Part::Stop));
            self.orders.remove(&order.key.with_part(Part::Target));
        }
        let arrival = self.arrive();
        let entry = Entry { order, executed: 0, arrival, triggered: false, open: true };
        let former = self.orders.insert(order.key, entry);
        assert!(former.is_none_or(|former| !former.open), "{:?} opened twice", order.key);
    }

    fn resize(&mut self, key: Key, quantity: i64) {
        let arrival = self.arrive();
        let leg = self.entry(key);
        let had_nothing = leg.left() == 0;
        leg.order.quantity_steps = quantity;
        assert!(leg.left() >= 0, "{key:?} cannot have executed more than its total");
        if had_nothing && leg.left() > 0 {
            leg.triggered = false;
            leg.arrival = arrival;
        }
    }

    fn trigger(&mut self, key: Key) {
        let arrival = self.arrive();
        let entry = self.entry(key).clone();
        let quote = self.feeds[&entry.order.symbol].quote;
        assert!(entry.waits() && entry.left() > 0 && entry.is_reached_by(&quote), "{key:?} triggered without a reason");
        let sibling = key.sibling().and_then(|sibling| self.get(sibling));
        if let Some(sibling) = sibling {
            assert!(!sibling.triggered, "the other leg is already closing the position");
            let stop_waits = sibling.order.order_type == OrderType::StopLoss && sibling.left() > 0;
            let rearmed = sibling.executed > 0 && sibling.arrival > self.feeds[&entry.order.symbol].arrival;
            let stop_is_due = stop_waits && !rearmed && sibling.is_reached_by(&quote);
            assert!(!stop_is_due, "the stop wins over the target");
        }
        let entry = self.entry(key);
        entry.triggered = true;
        entry.arrival = arrival;
    }

    fn close(&mut self, key: Key, reason: CloseReason) {
        let entry = self.entry(key).clone();
        let found = self.counterparties(&entry).iter().map(|candidate| i128::from(candidate.left)).sum::<i128>();
        let entry_can_fill = self.get(key.with_part(Part::Entry)).is_some();
        match reason {
            CloseReason::Filled if key.sibling().is_none() => assert_eq!(entry.left(), 0),
            CloseReason::Filled | CloseReason::LegDone => {
                assert!(entry.left() == 0 && key.sibling().is_some() && !entry_can_fill);
                assert_eq!(entry.triggered, reason == CloseReason::Filled, "only who was triggered can be filled");
            }
            CloseReason::FokUnfillable => {
                assert_eq!(entry.executed, 0, "all or nothing");
                assert!(found < i128::from(entry.left()), "it could have been filled");
            }
            CloseReason::NoLiquidity | CloseReason::IocRemainder => {
                assert!(entry.left() > 0 && found == 0, "there was more to be had");
            }
            CloseReason::Cancelled => {}
        }
        self.entry(key).open = false;
    }

    /// Everybody that the order could trade with now.
    fn counterparties(&self, entry: &Entry) -> Vec<Candidate> {
        let order = &entry.order;
        let mut candidates = self.candidates(order.symbol, order.side.opposite());
        candidates.retain(|candidate| match (candidate.price, entry.limit()) {
            (None, bound) => bound.is_some(),
            (Some(_), None) => true,
            (Some(price), Some(limit)) if order.side == Side::Buy => price <= limit,
            (Some(price), Some(limit)) => price >= limit,
        });
        candidates.retain(|candidate| !is_family(candidate.party, Party::Order(order.key)));
        candidates
    }

    fn trade(&mut self, trade: &Trade) {
        self.trades += 1;
        assert_eq!(trade.number, self.trades, "trades are numbered without holes");
        assert!(trade.quantity_steps > 0 && trade.price_ticks > 0);
        assert_ne!(trade.buyer, trade.seller);
        self.judge_maker(trade);
        for (party, side) in [(trade.buyer, Side::Buy), (trade.seller, Side::Sell)] {
            self.fill(party, side, trade);
        }
    }

    fn fill(&mut self, party: Party, side: Side, trade: &Trade) {
        let Party::Order(key) = party else {
            let left = &mut self.feeds.get_mut(&trade.symbol).unwrap().left[side as usize];
            *left -= trade.quantity_steps;
            assert!(*left >= 0, "the feed traded more than it quoted");
            return;
        };
        let entry = self.entry(key);
        assert_eq!((entry.order.side, entry.order.symbol), (side, trade.symbol));
        assert!(!entry.waits(), "{key:?} traded without its trigger");
        entry.executed += trade.quantity_steps;
        assert!(entry.left() >= 0, "{key:?} executed more than its total");
        if let Some(limit) = entry.limit() {
            let worse = if side == Side::Buy { trade.price_ticks > limit } else { trade.price_ticks < limit };
            assert!(!worse, "{key:?} traded beyond its limit");
        }
    }

    /// Price-time priority: nobody on the maker's side would have been before it.
    fn judge_maker(&self, trade: &Trade) {
        let (taker, maker) = match trade.taker {
            Side::Buy => (trade.buyer, trade.seller),
            Side::Sell => (trade.seller, trade.buyer),
        };
        let bound = match taker {
            Party::Order(key) => self.orders[&key].limit(),
            Party::Feed => level(&self.feeds[&trade.symbol].quote, trade.taker).map(|level| level.price_ticks),
        };
        let side = trade.taker.opposite();
        let mut candidates = self.candidates(trade.symbol, side);
        candidates.retain(|candidate| candidate.price.is_some() || bound.is_some());
        candidates.retain(|candidate| !is_family(candidate.party, taker));
        let better = |price: i64| if side == Side::Buy { -price } else { price };
        candidates.sort_by_key(|candidate| (candidate.price.map(better), candidate.arrival));
        let first = candidates.first().expect("a trade has a maker");
        assert_eq!(first.party, maker, "not the first in line: {candidates:?}");
        if let Some(price) = first.price {
            assert_eq!(trade.price_ticks, price, "a trade is at the price of what was there first");
        }
    }

    fn candidates(&self, symbol: u32, side: Side) -> Vec<Candidate> {
        let resting = self
            .orders
            .iter()
            .filter(|(_, entry)| entry.rests() && entry.order.side == side && entry.order.symbol == symbol);
        let mut candidates: Vec<_> = resting
            .map(|(key, entry)| Candidate {
                party: Party::Order(*key),
                price: entry.limit(),
                arrival: entry.arrival,
                left: entry.left(),
            })
            .collect();
        if let Some(feed) = self.feeds.get(&symbol).filter(|feed| feed.left[side as usize] > 0) {
            let price = level(&feed.quote, side).map(|level| level.price_ticks);
            let left = feed.left[side as usize];
            candidates.push(Candidate { party: Party::Feed, price, arrival: feed.arrival, left });
        }
        candidates
    }

    /// Judges the state between two commands.
    pub fn judge(&self, exchange: &Exchange, symbols: &[u32]) {
        let open = exchange.orders().map(|o| (o.key, o.total_steps, o.executed_steps, o.triggered));
        let mut theirs: Vec<_> = open.collect();
        theirs.sort_unstable();
        let open = self.orders.iter().filter(|(_, entry)| entry.open);
        let ours: Vec<_> =
            open.clone().map(|(key, e)| (*key, e.order.quantity_steps, e.executed, e.triggered)).collect();
        assert_eq!(theirs, ours, "events and state tell the same");
        for (key, entry) in open {
            self.judge_open(*key, entry);
        }
        for symbol in symbols {
            self.judge_book(exchange, *symbol);
        }
    }

    fn judge_open(&self, key: Key, entry: &Entry) {
        assert!(entry.rests() || entry.waits() || key.sibling().is_some(), "{key:?} has no business here: {entry:?}");
        let Some(sibling) = key.sibling() else {
            assert!(entry.left() > 0, "{key:?} is filled and has not ended");
            return;
        };
        let executed = |key: Key| self.orders.get(&key).map_or(0, |entry| entry.executed);
        let position = executed(key.with_part(Part::Entry)) - executed(key) - executed(sibling);
        assert_eq!(entry.left(), position, "a leg covers what is open of its entry, no more and no less");
        if position == 0 {
            assert!(self.get(key.with_part(Part::Entry)).is_some(), "{key:?} can never again have anything left");
        }
    }

    fn judge_book(&self, exchange: &Exchange, symbol: u32) {
        let sides = [Side::Buy, Side::Sell].map(|side| self.candidates(symbol, side));
        let bid = sides[0].iter().filter_map(|candidate| candidate.price).max();
        let ask = sides[1].iter().filter_map(|candidate| candidate.price).min();
        assert!(bid.is_none() || ask.is_none() || bid < ask, "crossed: {bid:?} {ask:?}");
        assert_eq!(bid, exchange.best(symbol, Side::Buy).map(|best| best.0));
        assert_eq!(ask, exchange.best(symbol, Side::Sell).map(|best| best.0));
        for (unpriced, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
            for waiting in unpriced.iter().filter(|candidate| candidate.price.is_none()) {
                let mut counterparties = other.iter().filter(|other| other.price.is_some());
                let missed = counterparties.find(|other| !is_family(other.party, waiting.party));
                assert!(missed.is_none(), "{waiting:?} works at market and passed {missed:?} by");
            }
        }
        let Some(feed) = self.feeds.get(&symbol) else { return };
        for (key, entry) in self.orders.iter().filter(|(_, e)| e.open && e.order.symbol == symbol && e.left() > 0) {
            let held = key.sibling().and_then(|sibling| self.get(sibling)).is_some_and(|sibling| sibling.triggered);
            let rearmed = entry.executed > 0 && entry.arrival > feed.arrival;
            let may_wait = held || rearmed || !entry.is_reached_by(&feed.quote);
            assert!(!entry.waits() || may_wait, "{key:?} should have triggered");
        }
    }
}
