//! A trading floor for tests: an exchange with one instrument, short words for commands, and what they led to.

use bridge_venue::{
    CloseReason, Command, Event, Exchange, Key, Level, NewOrder, OpenOrder, OrderType, Part, Party, Quote, Refusal,
    Replace, Side, TimeInForce,
};

/// The instrument of most tests.
pub const SYMBOL: u32 = 0;

pub struct Floor {
    pub exchange: Exchange,
    /// Everything that happened since the floor opened.
    pub history: Vec<Event>,
}

/// A fill as the owner of an order sees it: steps, then ticks.
pub type Fill = (i64, i64);

pub fn entry(order_no: u64) -> Key {
    Key::entry(order_no).unwrap()
}

pub fn stop(order_no: u64) -> Key {
    entry(order_no).with_part(Part::Stop)
}

pub fn target(order_no: u64) -> Key {
    entry(order_no).with_part(Part::Target)
}

fn order(order_no: u64, side: Side, order_type: OrderType, quantity_steps: i64, price: Option<i64>) -> NewOrder {
    NewOrder {
        key: entry(order_no),
        symbol: SYMBOL,
        side,
        order_type,
        time_in_force: TimeInForce::Gtc,
        quantity_steps,
        price_ticks: price,
        stop_loss_ticks: None,
        take_profit_ticks: None,
    }
}

pub fn market(order_no: u64, side: Side, quantity: i64) -> NewOrder {
    order(order_no, side, OrderType::Market, quantity, None)
}

pub fn limit(order_no: u64, side: Side, quantity: i64, price: i64) -> NewOrder {
    order(order_no, side, OrderType::Limit, quantity, Some(price))
}

pub fn stop_loss(order_no: u64, side: Side, quantity: i64, trigger: i64) -> NewOrder {
    order(order_no, side, OrderType::StopLoss, quantity, Some(trigger))
}

pub fn take_profit(order_no: u64, side: Side, quantity: i64, trigger: i64) -> NewOrder {
    order(order_no, side, OrderType::TakeProfit, quantity, Some(trigger))
}

/// The same order with another time in force.
pub fn with(time_in_force: TimeInForce, order: NewOrder) -> NewOrder {
    NewOrder { time_in_force, ..order }
}

/// The same order with legs.
pub fn bracket(order: NewOrder, stop_loss: i64, take_profit: i64) -> NewOrder {
    NewOrder { stop_loss_ticks: Some(stop_loss), take_profit_ticks: Some(take_profit), ..order }
}

impl Floor {
    pub fn open() -> Self {
        let mut floor = Self { exchange: Exchange::new(), history: Vec::new() };
        floor.run(Command::AddInstrument { symbol: SYMBOL });
        floor
    }

    pub fn run(&mut self, command: Command) -> Vec<Event> {
        let mut events = Vec::new();
        self.exchange.execute(&command, &mut events);
        self.history.extend_from_slice(&events);
        events
    }

    pub fn send(&mut self, order: NewOrder) -> Vec<Event> {
        self.run(Command::New(order))
    }

    pub fn cancel(&mut self, key: Key) -> Vec<Event> {
        self.run(Command::Cancel { key })
    }

    pub fn replace(&mut self, key: Key, quantity: Option<i64>, price: Option<i64>) -> Vec<Event> {
        self.run(Command::Replace(Replace { key, quantity_steps: quantity, price_ticks: price }))
    }

    /// A quote with both sides, each `(price, size)`.
    pub fn quote(&mut self, bid: (i64, i64), ask: (i64, i64)) -> Vec<Event> {
        self.quote_sides(Some(bid), Some(ask))
    }

    pub fn quote_sides(&mut self, bid: Option<(i64, i64)>, ask: Option<(i64, i64)>) -> Vec<Event> {
        let level = |(price_ticks, quantity_steps)| Level { price_ticks, quantity_steps };
        self.run(Command::Quote(Quote { symbol: SYMBOL, bid: bid.map(level), ask: ask.map(level) }))
    }

    pub fn order(&self, key: Key) -> &OpenOrder {
        self.exchange.order(key).expect("the order is open")
    }

    pub fn is_open(&self, key: Key) -> bool {
        self.exchange.order(key).is_some()
    }

    pub fn best(&self, side: Side) -> Option<(i64, i128)> {
        self.exchange.best(SYMBOL, side)
    }

    /// All fills of an order so far.
    pub fn fills(&self, key: Key) -> Vec<Fill> {
        fills(&self.history, Party::Order(key))
    }

    /// Why the order ended; `None` while it is open.
    pub fn ended(&self, key: Key) -> Option<CloseReason> {
        self.history.iter().find_map(|event| match event {
            Event::Closed { key: closed, reason } if *closed == key => Some(*reason),
            _ => None,
        })
    }
}

/// The fills of one party among events.
pub fn fills(events: &[Event], party: Party) -> Vec<Fill> {
    let trades = events.iter().filter_map(|event| match event {
        Event::Trade(trade) if trade.buyer == party || trade.seller == party => Some(trade),
        _ => None,
    });
    trades.map(|trade| (trade.quantity_steps, trade.price_ticks)).collect()
}

/// Who was triggered among events, in order.
pub fn triggered(events: &[Event]) -> Vec<Key> {
    let keys = events.iter().filter_map(|event| match event {
        Event::Triggered { key } => Some(*key),
        _ => None,
    });
    keys.collect()
}

/// The one refusal that answered a command.
pub fn refusal(events: &[Event]) -> Refusal {
    match events {
        [
            Event::Rejected { reason, .. } | Event::CommandRefused { reason, .. } | Event::QuoteRefused { reason, .. },
        ] => *reason,
        other => panic!("expected one refusal and nothing else, got {other:?}"),
    }
}
