//! An exchange in another process, which survives the engine: it does what it is told, each time that it is told.

pub mod link;

use crate::bugs::honest_id;
use crate::ledger::{Execution, OpenOrder, side_name, text_of, texts_of};
use bridge_core::{Instrument, Level, NewOrder, OrderNo, Part, ReasonCode, VenueCommand, VenueKey, VenueReport};
use bridge_journal::fake::Dice;
use bridge_sequencer::venue_words;
use bridge_venue::{Event, Exchange, Key};
use link::{LinkId, ToEngine, ToVenue};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See `Venue` in `tests/simulation/_native_sim.pyi`.
pub struct ExternalVenue {
    exchange: Exchange,
    instruments: Vec<Instrument>,
    dice: Dice,
    refused_share: f64,
    /// Orders by the venue's own numbers, which are given out anew each time that one is told.
    orders: BTreeMap<u64, Told>,
    /// The engine's number of an order to the venue's, of the copy that was told last.
    latest: BTreeMap<u64, u64>,
    /// Orders of the engine that the venue was asked for, and on which connection last.
    asked: BTreeMap<u64, LinkId>,
    /// Orders that it did not know when it was asked: it never takes them.
    fenced: BTreeSet<u64>,
    /// All there were; the first has the number 1.
    reports: Vec<VenueReport>,
    link: Option<LinkId>,
    out: VecDeque<Vec<u8>>,
    executions: Vec<Execution>,
    received: Vec<(&'static str, String)>,
    events: Vec<Event>,
}

/// One copy of an order that was told.
struct Told {
    engine_no: u64,
    order_id: String,
    symbol: u32,
}

impl ExternalVenue {
    /// A venue whose feed stands where the instruments open.
    pub fn new(seed: u64, instruments: Vec<Instrument>, refused_share: f64) -> Self {
        let mut venue = Self {
            exchange: Exchange::new(),
            instruments,
            dice: Dice::new(seed),
            refused_share,
            orders: BTreeMap::new(),
            latest: BTreeMap::new(),
            asked: BTreeMap::new(),
            fenced: BTreeSet::new(),
            reports: Vec::new(),
            link: None,
            out: VecDeque::new(),
            executions: Vec::new(),
            received: Vec::new(),
            events: Vec::new(),
        };
        for index in 0..venue.instruments.len() {
            let symbol = u32::try_from(index).unwrap_or(u32::MAX);
            venue.carry_out(&VenueCommand::AddInstrument { symbol });
            let instrument = &venue.instruments[index];
            let level = |price: Option<_>, size: Option<_>| level_of(instrument, price?, size?).ok();
            let opening = instrument.opening_quote.as_ref();
            let bid = opening.and_then(|quote| level(quote.bid, quote.bid_size));
            let ask = opening.and_then(|quote| level(quote.ask, quote.ask_size));
            venue.carry_out(&VenueCommand::Quote { symbol, bid, ask });
        }
        venue
    }

    /// One message of the engine.
    ///
    /// # Errors
    /// It is none.
    pub fn receive(&mut self, message: &[u8]) -> Result<(), String> {
        match link::read(message)? {
            ToVenue::Hello { link, after } => self.hello(link, after),
            ToVenue::Command { link, order_id, command } => self.command(link, &order_id, command),
            ToVenue::Ask { link, order_id, key } => self.ask(link, &order_id, key),
        }
        Ok(())
    }

    /// What the engine is to get by the present connection.
    pub fn take_out(&mut self) -> Vec<Vec<u8>> {
        self.out.drain(..).collect()
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.link = None;
        self.out.clear();
    }

    /// The market moves.
    ///
    /// # Errors
    /// No such symbol, or a number that is none of the instrument's.
    pub fn quote(&mut self, symbol: &str, bid: Option<(&str, &str)>, ask: Option<(&str, &str)>) -> Result<(), String> {
        let index = self.instruments.iter().position(|instrument| instrument.symbol == symbol);
        let index = index.ok_or_else(|| format!("{symbol:?} is no instrument of this venue"))?;
        let instrument = &self.instruments[index];
        let level = |(price, size): (&str, &str)| {
            level_of(instrument, crate::settings::number(price)?, crate::settings::number(size)?)
        };
        let (bid, ask) = (bid.map(level).transpose()?, ask.map(level).transpose()?);
        self.carry_out(&VenueCommand::Quote { symbol: u32::try_from(index).unwrap_or(u32::MAX), bid, ask });
        Ok(())
    }

    /// All it has done.
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// All that reached it.
    pub fn received(&self) -> &[(&'static str, String)] {
        &self.received
    }

    /// What works.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        let mut open: Vec<OpenOrder> = self.exchange.orders().filter_map(|order| self.open_order(order)).collect();
        open.sort_by(|one, other| one.order_id.cmp(&other.order_id));
        open
    }

    fn open_order(&self, order: &bridge_venue::OpenOrder) -> Option<OpenOrder> {
        let (order_id, instrument) = self.named(order.key)?;
        Some(OpenOrder {
            order_id,
            side: side_name(order.side),
            quantity: text_of(order.total_steps, instrument.quantity_step),
            executed: text_of(order.executed_steps, instrument.quantity_step),
            price: order.price_ticks.map(|ticks| text_of(ticks, instrument.tick)),
        })
    }

    fn hello(&mut self, link: LinkId, after: u64) {
        if self.link.is_some_and(|known| known > link) {
            return; // it comes late: a newer connection stands
        }
        self.link = Some(link);
        self.out.clear();
        let first = usize::try_from(after).unwrap_or(usize::MAX).min(self.reports.len());
        for index in first..self.reports.len() {
            self.tell(index);
        }
    }

    /// Puts a report on the connection, if one stands.
    fn tell(&mut self, index: usize) {
        if let Some(link) = self.link {
            let message = ToEngine::Report { link, number: index as u64 + 1, report: self.reports[index].clone() };
            self.out.push_back(link::write(&message));
        }
    }

    fn report(&mut self, report: VenueReport) {
        self.reports.push(report);
        self.tell(self.reports.len() - 1);
    }

    fn command(&mut self, link: LinkId, order_id: &str, command: VenueCommand) {
        match command {
            VenueCommand::AddInstrument { .. } => {}
            VenueCommand::Quote { .. } => self.carry_out(&command),
            VenueCommand::New(new) => self.new_order(order_id, new),
            VenueCommand::Cancel { key } => self.change(link, order_id, key, "cancel", command),
            VenueCommand::Replace { key, .. } => self.change(link, order_id, key, "replace", command),
        }
    }

    fn new_order(&mut self, order_id: &str, new: NewOrder) {
        self.received.push(("new", honest_id(order_id)));
        let (key, engine_no) = (new.key, new.key.order().0);
        let why = if self.fenced.contains(&engine_no) {
            Some("this venue has said that it will not take this order")
        } else if self.dice.happens(self.refused_share) {
            Some("this venue does not like this order")
        } else {
            None
        };
        let own = self.orders.len() as u64 + 1;
        self.orders.insert(own, Told { engine_no, order_id: order_id.to_owned(), symbol: new.symbol });
        self.latest.insert(engine_no, own);
        match why {
            Some(why) => {
                self.report(VenueReport::Rejected { key, code: ReasonCode::VenueRejected, message: why.into() })
            }
            None => self.carry_out(&VenueCommand::New(NewOrder { key: VenueKey::entry(OrderNo(own)), ..new })),
        }
    }

    /// A cancel or a replace.
    fn change(&mut self, link: LinkId, order_id: &str, key: VenueKey, name: &'static str, command: VenueCommand) {
        self.received.push((name, honest_id(order_id)));
        let engine_no = key.order().0;
        if self.asked.get(&engine_no).is_some_and(|asked| *asked > link) {
            return; // it was asked for since, and is settled: see `docs/venue-protocol.md`
        }
        let (Some(own), Some(part)) = (self.latest.get(&engine_no), key.part()) else {
            let (code, message) = (ReasonCode::OrderClosed, "this venue has no such order".into());
            return self.report(VenueReport::CommandRefused { key, code, message });
        };
        let own_key = VenueKey::new(OrderNo(*own), part);
        self.carry_out(&match command {
            VenueCommand::Replace { quantity_steps, price_ticks, .. } => {
                VenueCommand::Replace { key: own_key, quantity_steps, price_ticks }
            }
            _ => VenueCommand::Cancel { key: own_key },
        });
    }

    fn ask(&mut self, link: LinkId, order_id: &str, key: VenueKey) {
        self.received.push(("ask", honest_id(order_id)));
        let engine_no = key.order().0;
        self.asked.insert(engine_no, link);
        let known = self.latest.contains_key(&engine_no);
        if !known {
            self.fenced.insert(engine_no);
        }
        if self.link == Some(link) {
            let is_meant = |report: &&VenueReport| match key.part() {
                Some(Part::Entry) => key_of(report).order() == key.order(),
                _ => key_of(report) == key,
            };
            let reports = known.then(|| self.reports.iter().filter(is_meant).cloned().collect());
            self.out.push_back(link::write(&ToEngine::Answer { link, key, reports }));
        }
    }

    fn carry_out(&mut self, command: &VenueCommand) {
        let mut events = std::mem::take(&mut self.events);
        self.exchange.execute(&venue_words::command(command), &mut events);
        for event in &events {
            self.note_trade(event);
            let mut reports = Vec::new();
            venue_words::reports(event, |report| reports.push(report));
            for report in reports {
                if let Some(report) = self.in_words_of_the_engine(report) {
                    self.report(report);
                }
            }
        }
        events.clear();
        self.events = events;
    }

    fn note_trade(&mut self, event: &Event) {
        let Event::Trade(trade) = event else { return };
        let sides = [("BUY", trade.buyer.key()), ("SELL", trade.seller.key())];
        for (side, key) in sides.into_iter().filter_map(|(side, key)| key.map(|key| (side, key))) {
            let Some((order_id, instrument)) = self.named(key) else { continue };
            let (quantity, price) = texts_of(trade.quantity_steps, trade.price_ticks, instrument);
            self.executions.push(Execution { order_id, execution_id: trade.number, side, quantity, price });
        }
    }

    /// The client's id behind a key of the venue's own, and its instrument.
    fn named(&self, key: Key) -> Option<(String, &Instrument)> {
        let key = VenueKey(key.0);
        let told = self.orders.get(&key.order().0)?;
        let leg = match key.part()? {
            Part::Entry => "",
            Part::Stop => "·SL",
            Part::Target => "·TP",
        };
        let order_id = honest_id(&format!("{}{leg}", told.order_id));
        Some((order_id, self.instruments.get(usize::try_from(told.symbol).ok()?)?))
    }

    /// A report with the engine's key; `None`: about no order.
    fn in_words_of_the_engine(&self, mut report: VenueReport) -> Option<VenueReport> {
        let key = key_mut(&mut report);
        let told = self.orders.get(&key.order().0)?;
        *key = VenueKey::new(OrderNo(told.engine_no), key.part()?);
        Some(report)
    }
}

fn level_of(instrument: &Instrument, price: bridge_core::Decimal, size: bridge_core::Decimal) -> Result<Level, String> {
    let price_ticks = price.to_steps(instrument.tick).map_err(|error| format!("price {price} {error}"))?;
    let quantity_steps = size.to_steps(instrument.quantity_step).map_err(|error| format!("size {size} {error}"))?;
    Ok(Level { price_ticks, quantity_steps })
}

fn key_of(report: &VenueReport) -> VenueKey {
    match report {
        VenueReport::Accepted { key, .. }
        | VenueReport::Rejected { key, .. }
        | VenueReport::Filled { key, .. }
        | VenueReport::Closed { key, .. }
        | VenueReport::Triggered { key }
        | VenueReport::Replaced { key, .. }
        | VenueReport::CommandRefused { key, .. }
        | VenueReport::LegOpened { key, .. }
        | VenueReport::LegResized { key, .. } => *key,
    }
}

fn key_mut(report: &mut VenueReport) -> &mut VenueKey {
    match report {
        VenueReport::Accepted { key, .. }
        | VenueReport::Rejected { key, .. }
        | VenueReport::Filled { key, .. }
        | VenueReport::Closed { key, .. }
        | VenueReport::Triggered { key }
        | VenueReport::Replaced { key, .. }
        | VenueReport::CommandRefused { key, .. }
        | VenueReport::LegOpened { key, .. }
        | VenueReport::LegResized { key, .. } => key,
    }
}
