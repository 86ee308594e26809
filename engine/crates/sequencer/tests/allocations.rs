//! What an order leaves in memory, and that nothing else is allocated for it on the way from request to reply.
//!
//! Counted over the whole way, journal record and reply included, on a disk that takes no memory. What an order leaves:
//! its id (one allocation, none where it has at most 23 bytes), in each leg's place the leg and its id, the words of a
//! rejection. All else is tables that grow (orders, ids, the book) and the bounded history of updates: they show as a
//! fraction of an allocation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/nowhere.rs"]
mod nowhere;

use bridge_core::{Command, Configuration, Decimal, Instrument, Order, OrderType, Quote, Side};
use bridge_sequencer::{Durability, Options, Origin, Output, Path, Reply, Request, Sequencer, Token};
use counting::per_order;
use nowhere::Nowhere;

/// The history of updates is full after so many orders, and every buffer has its size.
const WARM_UP: u64 = 12_000;
const ORDERS: u64 = 20_000;
/// Tables that grow: a chunk for 64 orders, shards of ids, the book's own.
const DOUBLING: f64 = 0.03;

/// An engine with a history of 10,000 updates and a deep market of 99.99 to 100.01, and a clock.
struct Engine {
    sequencer: Sequencer<Nowhere>,
    origin: Origin,
    now: i64,
}

fn engine() -> Engine {
    let now = 1_760_000_000_000_000_000;
    let deep = Some(Decimal::new(1_000_000_000, 0));
    let (bid, ask) = (Some(Decimal::new(9_999, -2)), Some(Decimal::new(10_001, -2)));
    let configuration = Configuration {
        instruments: vec![Instrument {
            symbol: "ACME".into(),
            tick: Decimal::new(1, -2),
            quantity_step: Decimal::new(1, 0),
            opening_quote: Some(Quote { bid, ask, bid_size: deep, ask_size: deep, ..Quote::default() }),
        }],
        max_skew_ms: 1 << 40,
        retention_ms: 1 << 40,
        quote_retention_ms: 1 << 40,
        foreign_id_quota: 1_000_000,
        max_remembered_ids: 1_000_000,
        update_history: 10_000,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: bridge_core::RiskConfiguration::default(),
        max_leases: 100,
    };
    let options = Options { durability: Durability::Os, segment_bytes: 1 << 30, ..Options::default() };
    let (sequencer, _) = Sequencer::open(Nowhere::default(), options, configuration, now).unwrap();
    let origin = Origin { principal: "local".into(), path: Path::Zmq, session_id: "session".into() };
    Engine { sequencer, origin, now }
}

/// A MARKET order of 1 with two tags, which are not in the order in which they are hashed.
fn market() -> Order {
    Order {
        order_id: String::with_capacity(64),
        account: "default".into(),
        symbol: "ACME".into(),
        order_type: Some(OrderType::Market),
        quantity: Some(Decimal::new(1, 0)),
        metadata: vec![("strategy".into(), "momentum".into()), ("run".into(), "2026-01".into())],
        contract_version: 1,
        ..Order::default()
    }
}

fn limit(cents: i64) -> Order {
    Order { order_type: Some(OrderType::Limit), price: Some(Decimal::new(cents, -2)), ..market() }
}

/// Another id (a UUIDv7) in the same memory; sides take turns.
fn name(order: &mut Order, number: u64) {
    use std::fmt::Write;
    order.order_id.clear();
    write!(order.order_id, "0199c8f0-1800-7000-8000-{number:012x}").unwrap();
    order.side = Some(if number.is_multiple_of(2) { Side::Buy } else { Side::Sell });
}

impl Engine {
    /// One request in a turn of its own; how many orders were answered.
    fn turn(&mut self, request: &Request) -> u64 {
        self.now += 1;
        self.sequencer.submit(Token(1), &self.origin, request, self.now);
        assert!(self.sequencer.end_turn().is_none(), "mode os waits for nobody");
        let mut replies = 0;
        while let Some(output) = self.sequencer.next_output() {
            match output {
                Output::Reply { reply: Reply::Execute(_), .. } => replies += 1,
                Output::Reply { reply: Reply::Batch(batch), .. } => replies += batch.len() as u64,
                Output::Reply { reply, .. } => panic!("not of an order: {reply:?}"),
                _ => {}
            }
        }
        replies
    }

    /// Sends orders one by one, from one request that is used again and again.
    fn send(&mut self, request: &mut Request, numbers: impl Iterator<Item = u64>, name: fn(&mut Order, u64)) {
        for number in numbers {
            let Request::Command(Command::Execute(order)) = request else { panic!("not an order") };
            name(order, number);
            assert_eq!(self.turn(request), 1);
        }
    }
}

/// Allocations, and bytes that stay, per order like this one.
fn cost_of(order: Order, name: fn(&mut Order, u64)) -> (f64, f64) {
    let (mut engine, mut request) = (engine(), Request::Command(Command::Execute(order)));
    engine.send(&mut request, 0..WARM_UP, name);
    let cost = per_order(ORDERS, || engine.send(&mut request, WARM_UP..WARM_UP + ORDERS, name));
    println!("{:.3} allocations, {:.0} bytes per order", cost.0, cost.1);
    cost
}

/// `stored`: how many allocations the order's state is; `shared`: its share of trees and of tables that double;
/// `bytes`: what it may hold, that share included.
fn assert_cost((allocations, held): (f64, f64), stored: f64, shared: f64, bytes: f64) {
    assert!(allocations >= stored, "{allocations} allocations per order: the test counts nothing");
    assert!(allocations <= stored + shared, "{allocations} allocations per order, and its state is {stored}");
    assert!(held <= bytes, "{held} bytes per order stay, and {bytes} are documented");
}

#[test]
fn a_filled_market_order_allocates_its_id_and_nothing_else() {
    assert_cost(cost_of(market(), name), 1.0, DOUBLING, 900.0);
}

#[test]
fn an_order_with_a_short_id_allocates_nothing() {
    let short = |order: &mut Order, number: u64| {
        name(order, number);
        order.order_id.replace_range(..20, "");
    };
    assert_cost(cost_of(market(), short), 0.0, DOUBLING, 900.0);
}

#[test]
fn a_resting_limit_order_allocates_its_id_and_its_share_of_the_book() {
    // It stands in three trees: the book's, and those of open orders here and there. A node holds six to eleven.
    let buys = |order: &mut Order, number: u64| {
        name(order, number);
        order.side = Some(Side::Buy);
    };
    assert_cost(cost_of(limit(1_000), buys), 1.0, 3.0 / 6.0 + DOUBLING, 1_300.0);
}

#[test]
fn an_order_with_legs_allocates_three_ids_and_two_legs() {
    let legs = |order: &mut Order, number: u64| {
        name(order, number);
        let (low, high) = (Some(Decimal::new(10, 0)), Some(Decimal::new(200, 0)));
        let buys = order.side == Some(Side::Buy);
        (order.stop_loss, order.take_profit) = if buys { (low, high) } else { (high, low) };
    };
    // Both legs stand in three trees.
    assert_cost(cost_of(market(), legs), 5.0, 6.0 / 6.0 + DOUBLING, 3_000.0);
}

#[test]
fn a_rejected_order_allocates_its_id_and_the_words_of_its_rejection() {
    // The words are put together in a text that grows once and is given back.
    let order = Order { quantity: Some(Decimal::new(15, -1)), ..market() };
    assert_cost(cost_of(order, name), 2.0 + 2.0, DOUBLING, 1_000.0);
}

#[test]
fn a_duplicate_allocates_nothing() {
    let (mut engine, mut request) = (engine(), Request::Command(Command::Execute(market())));
    engine.send(&mut request, 0..WARM_UP, name);
    let again = (0..ORDERS).map(|number| number % WARM_UP);
    assert_eq!(per_order(ORDERS, || engine.send(&mut request, again, name)), (0.0, 0.0));
}

#[test]
fn a_batch_allocates_its_orders_ids_and_one_list_of_replies() {
    const SIZE: u64 = 1_000;
    let mut engine = engine();
    let mut request = Request::ExecuteBatch((0..SIZE).map(|_| market()).collect());
    let mut send = |engine: &mut Engine, batches: std::ops::Range<u64>| {
        for batch in batches {
            let Request::ExecuteBatch(orders) = &mut request else { panic!("not a batch") };
            orders.iter_mut().zip(batch * SIZE..).for_each(|(order, number)| name(order, number));
            assert_eq!(engine.turn(&request), SIZE);
        }
    };
    send(&mut engine, 0..WARM_UP / SIZE);
    assert_cost(
        per_order(ORDERS, || send(&mut engine, WARM_UP / SIZE..(WARM_UP + ORDERS) / SIZE)),
        1.0,
        DOUBLING,
        900.0,
    );
}
