//! How each event changes the state. No decisions here: recovery runs this and nothing else.

use super::Exchange;
use crate::book::Book;
use crate::hash::{self, Sum};
use crate::order::OpenOrder;
use crate::{Event, Key, NewOrder, OrderType, Part, Party, Quote, Side, TimeInForce, Trade};

impl Exchange {
    /// Applies one recorded event. An event that does not fit the state (never one of this exchange's own) changes
    /// what it can and never panics; the state hash shows the difference.
    pub fn fold(&mut self, event: &Event) {
        match *event {
            Event::InstrumentAdded { symbol } => self.fold_instrument(symbol),
            Event::Opened(ref order) => self.fold_opened(order),
            Event::Triggered { key } => self.fold_triggered(key),
            Event::Trade(ref trade) => self.fold_trade(trade),
            Event::LegOpened { key, symbol, side, trigger_ticks, quantity_steps } => {
                self.fold_leg_opened(key, symbol, side, trigger_ticks, quantity_steps)
            }
            Event::LegResized { key, quantity_steps } => self.fold_leg_resized(key, quantity_steps),
            Event::Replaced { key, quantity_steps, price_ticks, requeued } => {
                self.fold_replaced(key, quantity_steps, price_ticks, requeued)
            }
            Event::Closed { key, .. } => self.fold_closed(key),
            Event::Quoted(ref quote) => self.fold_quoted(quote),
            Event::Rejected { .. } | Event::CommandRefused { .. } | Event::QuoteRefused { .. } => {}
        }
    }

    fn fold_instrument(&mut self, symbol: u32) {
        self.books.entry(symbol).or_default();
        self.change_book(symbol, |_| {});
    }

    fn fold_opened(&mut self, order: &NewOrder) {
        let priority = self.take_priority();
        let opened = OpenOrder::opened(order, priority);
        if let Some(former) = self.orders.insert(opened) {
            self.forget(&former);
        }
        self.change(order.key, |_| {});
    }

    fn fold_leg_opened(&mut self, key: Key, symbol: u32, side: Side, trigger: i64, quantity: i64) {
        let order_type = if key.part() == Some(Part::Stop) { OrderType::StopLoss } else { OrderType::TakeProfit };
        self.fold_opened(&NewOrder {
            key,
            symbol,
            side,
            order_type,
            time_in_force: TimeInForce::Gtc,
            quantity_steps: quantity,
            price_ticks: Some(trigger),
            stop_loss_ticks: None,
            take_profit_ticks: None,
        });
    }

    fn fold_triggered(&mut self, key: Key) {
        let priority = self.take_priority();
        self.change(key, |order| {
            order.triggered = true;
            order.priority = priority;
        });
    }

    fn fold_leg_resized(&mut self, key: Key, quantity_steps: i64) {
        let idle = self.orders.get(key).filter(|leg| leg.remaining_steps() == 0);
        // What its trigger was reached for is done; new fills of the entry wait for it anew.
        let rearms = idle.is_some_and(|leg| quantity_steps > leg.executed_steps);
        let priority = rearms.then(|| self.take_priority());
        self.change(key, |leg| {
            leg.total_steps = quantity_steps;
            if let Some(priority) = priority {
                leg.triggered = false;
                leg.priority = priority;
            }
        });
    }

    fn fold_replaced(&mut self, key: Key, quantity: i64, price: Option<i64>, requeued: bool) {
        let priority = requeued.then(|| self.take_priority());
        self.change(key, |order| {
            order.total_steps = quantity;
            order.price_ticks = price;
            order.priority = priority.unwrap_or(order.priority);
        });
    }

    fn fold_trade(&mut self, trade: &Trade) {
        self.last_trade = trade.number;
        self.hash.counters_are_due = true;
        for (party, side) in [(trade.buyer, Side::Buy), (trade.seller, Side::Sell)] {
            match party {
                Party::Feed => self.change_book(trade.symbol, |book| {
                    book.reduce_feed(side, trade.quantity_steps);
                }),
                Party::Order(key) => self.change(key, |order| {
                    order.executed_steps = order.executed_steps.saturating_add(trade.quantity_steps);
                }),
            }
        }
    }

    fn fold_quoted(&mut self, quote: &Quote) {
        let priority = self.take_priority();
        self.change_book(quote.symbol, |book| book.quote(quote, priority));
        let parked = self.books.get_mut(&quote.symbol).map(Book::take_parked).unwrap_or_default();
        for key in parked.into_values() {
            if let Some(leg) = self.orders.get_mut(key) {
                leg.spot = None;
            }
            self.place(key);
        }
    }

    fn fold_closed(&mut self, key: Key) {
        if let Some(order) = self.orders.remove(key) {
            self.forget(&order);
            self.place_sibling(key);
        }
    }

    /// Takes an order that is no longer among the open ones out of the book and the hash.
    fn forget(&mut self, order: &OpenOrder) {
        self.hash.remove(order.hash);
        if let Some(book) = self.books.get_mut(&order.symbol) {
            book.shift(order.key, order.spot, None);
        }
    }

    /// Changes an order, and with it its place in the book and the hash.
    fn change(&mut self, key: Key, change: impl FnOnce(&mut OpenOrder)) {
        let Some(order) = self.orders.get_mut(key) else {
            return;
        };
        change(order);
        if !std::mem::replace(&mut order.hash_is_due, true) {
            self.hash.orders.push(key);
        }
        if self.hash.orders.len() >= Sum::MOST_CHANGED {
            self.hash_changes();
        }
        self.place(key);
        self.place_sibling(key);
    }

    /// A triggered leg holds the other one back, so a change of one can move the other.
    fn place_sibling(&mut self, key: Key) {
        if let Some(sibling) = key.sibling() {
            self.place(sibling);
        }
    }

    /// Puts an order where its state says it belongs.
    fn place(&mut self, key: Key) {
        let sibling = key.sibling().and_then(|sibling| self.orders.get(sibling));
        let held = sibling.is_some_and(|sibling| sibling.triggered);
        let Some(order) = self.orders.get_mut(key) else { return };
        let Some(book) = self.books.get_mut(&order.symbol) else { return };
        let proper = order.proper_spot(held, book.quote_priority);
        if proper != order.spot {
            book.shift(key, order.spot, proper);
            order.spot = proper;
        }
    }

    fn change_book(&mut self, symbol: u32, change: impl FnOnce(&mut Book)) {
        let Some(book) = self.books.get_mut(&symbol) else {
            return;
        };
        change(book);
        if !self.hash.books.contains(&symbol) {
            self.hash.books.push(symbol);
        }
    }

    fn take_priority(&mut self) -> u64 {
        let priority = self.next_priority;
        // 2^64 events are out of reach; saturating only keeps arithmetic total.
        self.next_priority = priority.saturating_add(1);
        self.hash.counters_are_due = true;
        priority
    }

    /// Brings the state hash up to date.
    pub(super) fn hash_changes(&mut self) -> u128 {
        let (mut orders, mut books) = (std::mem::take(&mut self.hash.orders), std::mem::take(&mut self.hash.books));
        for key in orders.drain(..) {
            if let Some(order) = self.orders.get_mut(key) {
                order.hash_is_due = false;
                let hash = hash::of_order(order);
                self.hash.replace(&mut order.hash, hash);
            }
        }
        for symbol in books.drain(..) {
            if let Some(book) = self.books.get_mut(&symbol) {
                let hash = hash::of_book(symbol, book);
                self.hash.replace(&mut book.hash, hash);
            }
        }
        (self.hash.orders, self.hash.books) = (orders, books);
        self.hash.count(self.next_priority, self.last_trade);
        self.hash.total()
    }
}
