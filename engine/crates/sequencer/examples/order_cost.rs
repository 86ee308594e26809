//! What one order costs the sequencer: time, allocations and bytes, from the request to the reply taken.
//!
//! `cargo run --release -p bridge-sequencer --example order_cost` prints a table for each kind of order; with `growth`,
//! medians with 10^3 to 10^6 remembered and 10^2 to 10^6 open orders; with `longest`, the longest order meanwhile; with `start`, how long a start takes with 10^6
//! orders in the journal; with `cancel_all`, the one turn that cancels all open orders; with `snapshot` how long from a snapshot of them and the last segment; with `loop KIND [N]`, one kind only, for a profiler. Time is the CPU time of this thread where
//! the system has it. The journal writes to nothing (`growth`, tables) or to memory (`start`).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/counting.rs"]
mod counting;
#[path = "../tests/support/nowhere.rs"]
mod nowhere;

use bridge_core::{CancelAllOrders, Command, Configuration, Decimal, Instrument, Order, OrderType, Quote, Side};
use bridge_journal::{Disk, fake::FakeDisk};
use bridge_sequencer::{Durability, Options, Origin, Output, Path, Reply, Request, Sequencer, Token};
use counting::{counted, per_order};
use nowhere::Nowhere;
use std::time::Instant;

const NOW_NS: i64 = 1_760_000_000_000_000_000;

fn configuration() -> Configuration {
    let price = |cents| Some(Decimal::new(cents, -2));
    let deep = Some(Decimal::new(900_000_000_000, 0));
    let opening_quote =
        Quote { bid: price(9_999), ask: price(10_001), bid_size: deep, ask_size: deep, ..Quote::default() };
    Configuration {
        instruments: vec![Instrument {
            symbol: "NASDAQ".into(),
            tick: Decimal::new(1, -2),
            quantity_step: Decimal::new(1, -3),
            opening_quote: Some(opening_quote),
        }],
        max_skew_ms: 1 << 40,
        retention_ms: 1 << 40,
        quote_retention_ms: 1 << 40,
        foreign_id_quota: u64::MAX,
        max_remembered_ids: u64::MAX,
        update_history: 10_000,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: bridge_core::RiskConfiguration::default(),
        max_leases: 100,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Filled at once against the quote.
    Market,
    /// Rests far from the market.
    Limit,
    /// Filled at once; both legs open and wait.
    Legs,
    /// Refused by validation, remembered.
    Rejected,
    /// Sent before: answered from memory.
    Duplicate,
}

const KINDS: [(&str, Kind); 5] = [
    ("market order, filled", Kind::Market),
    ("limit order, rests", Kind::Limit),
    ("market order with two legs", Kind::Legs),
    ("order that is rejected", Kind::Rejected),
    ("duplicate of a market order", Kind::Duplicate),
];

/// What a usual client sends: a UUIDv7 and two tags.
fn order(kind: Kind, number: u64) -> Order {
    let mut order = Order {
        order_id: String::with_capacity(36),
        account: "default".into(),
        symbol: "NASDAQ".into(),
        order_type: Some(OrderType::Market),
        side: Some(if number.is_multiple_of(2) { Side::Buy } else { Side::Sell }),
        quantity: Some(Decimal::new(1_500, -3)),
        timestamp_ns: Some(NOW_NS),
        metadata: vec![("strategy".into(), "momentum".into()), ("run".into(), "2026-01".into())],
        contract_version: 1,
        ..Order::default()
    };
    name(&mut order, kind, number);
    order
}

/// The same order under another id, in the same memory.
fn name(order: &mut Order, kind: Kind, number: u64) {
    order.order_id.clear();
    order.order_id.push_str("0199c8f0-1800-7000-8000-");
    let digits = (0..12).rev().map(|digit| char::from(b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]));
    order.order_id.extend(digits);
    let buys = number.is_multiple_of(2);
    order.side = Some(if buys { Side::Buy } else { Side::Sell });
    match kind {
        Kind::Limit => {
            order.order_type = Some(OrderType::Limit);
            let away = (number / 2 % 5_000) as i64;
            order.price = Some(Decimal::new(if buys { 9_000 - away } else { 11_000 + away }, -2));
        }
        Kind::Legs => {
            order.stop_loss = Some(Decimal::new(if buys { 5_000 } else { 15_000 }, -2));
            order.take_profit = Some(Decimal::new(if buys { 15_000 } else { 5_000 }, -2));
        }
        Kind::Rejected => order.quantity = Some(Decimal::new(15, -4)),
        Kind::Market | Kind::Duplicate => {}
    }
}

struct Rig<D: Disk> {
    sequencer: Sequencer<D>,
    origin: Origin,
    request: Request,
    sent: u64,
}

impl<D: Disk> Rig<D> {
    fn on(disk: D) -> Self {
        let options = Options { durability: Durability::Os, max_batch_orders: 100_000, ..Options::default() };
        let (sequencer, _) = Sequencer::open(disk, options, configuration(), NOW_NS).expect("opens");
        let origin = Origin { principal: "local".into(), path: Path::Zmq, session_id: "session-of-the-bench".into() };
        let request = Request::Command(Command::Execute(order(Kind::Market, 0)));
        let mut rig = Self { sequencer, origin, request, sent: 0 };
        rig.turn();
        rig
    }

    /// Ends the turn and takes what may leave; how many replies.
    fn turn(&mut self) -> usize {
        assert!(self.sequencer.failed().is_none());
        if let Some(job) = self.sequencer.end_turn() {
            let result = job.run();
            self.sequencer.synced(result);
        }
        let mut replies = 0;
        while let Some(output) = self.sequencer.next_output() {
            match output {
                Output::Reply { reply: Reply::Execute(_), .. } => replies += 1,
                Output::Reply { reply: Reply::Batch(batch), .. } => replies += batch.len(),
                Output::Reply { reply: Reply::Command(_), .. } => replies += 1,
                Output::Reply { reply, .. } => panic!("{reply:?}"),
                _ => {}
            }
        }
        replies
    }

    /// One order in a turn of its own.
    fn send(&mut self, kind: Kind, number: u64) {
        let Request::Command(Command::Execute(order)) = &mut self.request else { return };
        name(order, kind, number);
        self.sent += 1;
        self.sequencer.submit(Token(self.sent), &self.origin, &self.request, NOW_NS + self.sent as i64);
        assert_eq!(self.turn(), 1);
    }

    /// Starts with an order of this kind in the scratch request.
    fn of(&mut self, kind: Kind) -> &mut Self {
        self.request = Request::Command(Command::Execute(order(kind, 0)));
        self
    }
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    on_cpu.unwrap_or_else(|| START.with(|start| start.elapsed().as_nanos() as u64))
}

thread_local! {
    static START: Instant = Instant::now();
}

/// Ns, allocations and bytes kept per order.
fn measured(orders: u64, run: impl FnOnce()) -> (f64, f64, f64) {
    let began = cpu_ns();
    let (allocations, bytes) = per_order(orders, run);
    ((cpu_ns() - began) as f64 / orders as f64, allocations, bytes)
}

fn print(name: &str, (ns, allocations, bytes): (f64, f64, f64)) {
    println!("| {name} | {ns:.0} | {allocations:.3} | {bytes:.0} |");
}

/// After a warm-up that fills the history; 200,000 orders of each kind on an engine of its own.
fn table() {
    const WARM_UP: u64 = 20_000;
    const ORDERS: u64 = 200_000;
    println!("| what | CPU ns per order | allocations per order | bytes kept per order |\n| --- | --- | --- | --- |");
    for (title, kind) in KINDS {
        let mut rig = Rig::on(Nowhere::default());
        let sent = if kind == Kind::Duplicate { WARM_UP } else { WARM_UP + ORDERS };
        rig.of(kind);
        (0..WARM_UP).for_each(|number| rig.send(kind, number));
        let numbers = WARM_UP..WARM_UP + ORDERS;
        let cost = measured(ORDERS, || numbers.for_each(|number| rig.send(kind, number % sent)));
        print(title, cost);
    }
    for size in [1, 100, 1_000] {
        let mut rig = Rig::on(Nowhere::default());
        let mut orders: Vec<Order> = (0..size).map(|number| order(Kind::Market, number)).collect();
        rig.request = Request::ExecuteBatch(Vec::new());
        let mut next = 0;
        let mut batches = |rig: &mut Rig<Nowhere>, count: u64| {
            for _ in 0..count {
                for order in &mut orders {
                    name(order, Kind::Market, next);
                    next += 1;
                }
                rig.request = Request::ExecuteBatch(std::mem::take(&mut orders));
                rig.sent += 1;
                rig.sequencer.submit(Token(rig.sent), &rig.origin, &rig.request, NOW_NS + rig.sent as i64);
                assert_eq!(rig.turn() as u64, size);
                let Request::ExecuteBatch(back) = &mut rig.request else { return };
                orders = std::mem::take(back);
            }
        };
        batches(&mut rig, WARM_UP / size);
        let cost = measured(ORDERS / size * size, || batches(&mut rig, ORDERS / size));
        print(&format!("market orders in batches of {size}"), cost);
    }
}

/// Median of single orders, ns of the wall clock.
fn median_ns(rig: &mut Rig<Nowhere>, kind: Kind, first: u64) -> u64 {
    let mut times: Vec<u64> = (first..first + 20_001)
        .map(|number| {
            let began = Instant::now();
            rig.send(kind, number);
            began.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn growth() {
    println!("| market order with | median ns |\n| --- | --- |");
    let mut rig = Rig::on(Nowhere::default());
    let mut next = 0;
    for remembered in [1_000, 10_000, 100_000, 1_000_000] {
        rig.of(Kind::Market);
        while next < remembered {
            rig.send(Kind::Market, next);
            next += 1;
        }
        println!("| {remembered} remembered orders | {} |", median_ns(&mut rig, Kind::Market, next));
        next += 20_001;
    }
    for kind in [Kind::Market, Kind::Limit] {
        let mut rig = Rig::on(Nowhere::default());
        let (mut open, mut others) = (0, 1 << 40);
        for wanted in [100, 1_000, 10_000, 100_000, 1_000_000] {
            rig.of(Kind::Limit);
            while open < wanted {
                rig.send(Kind::Limit, open);
                open += 1;
            }
            rig.of(kind);
            let title = if kind == Kind::Market { "market order" } else { "limit order, rests" };
            println!("| {title}, {open} open orders | {} |", median_ns(&mut rig, kind, others));
            others += 20_001;
            if kind == Kind::Limit {
                open += 20_001;
            }
        }
    }
}

/// The longest of single orders while tables grow, of the wall clock: what other processes took is in it.
fn longest(orders: u64) {
    println!("| while {orders} came | longest us | over 1 ms |\n| --- | --- | --- |");
    for (title, kind) in [("market order, filled", Kind::Market), ("limit order, rests", Kind::Limit)] {
        let mut rig = Rig::on(Nowhere::default());
        rig.of(kind);
        let times = (0..orders).map(|number| {
            let began = Instant::now();
            rig.send(kind, number);
            began.elapsed().as_micros() as u64
        });
        let (longest, long) = times.fold((0, 0), |(longest, long), us| (us.max(longest), long + u64::from(us > 1_000)));
        println!("| {title} | {longest} | {long} |");
    }
}

/// Cancelling all open orders is one input, one record and one turn: nobody is answered meanwhile.
fn cancel_all() {
    println!("| open orders | CPU ms of the turn | us per order | bytes of the record |\n| --- | --- | --- | --- |");
    for orders in [10_000, 100_000] {
        let mut rig = Rig::on(Nowhere::default());
        rig.of(Kind::Limit);
        (0..orders).for_each(|number| rig.send(Kind::Limit, number));
        let cancel = CancelAllOrders { command_id: "all".into(), ..CancelAllOrders::default() };
        let request = Request::Command(Command::CancelAll(cancel));
        let bytes = |rig: &Rig<Nowhere>| {
            let counters = rig.sequencer.health(NOW_NS).counters;
            counters.into_iter().find(|(name, _)| *name == "journal_bytes").map_or(0, |(_, bytes)| bytes)
        };
        let (before, began) = (bytes(&rig), cpu_ns());
        rig.sequencer.submit(Token(0), &rig.origin, &request, NOW_NS + 1_000_000);
        assert_eq!(rig.turn(), 1);
        let ms = (cpu_ns() - began) as f64 / 1e6;
        println!("| {orders} | {ms:.1} | {:.2} | {} |", ms * 1e3 / orders as f64, bytes(&rig) - before);
    }
}

fn start(orders: u64, with_snapshot: bool) {
    let disk = FakeDisk::new(1);
    let mut rig = Rig::on(disk.clone());
    (0..orders).for_each(|number| rig.send(Kind::Market, number));
    if with_snapshot {
        let began = cpu_ns();
        let made = rig.sequencer.snapshot_job(0).expect("segments are closed").run().expect("made");
        let seconds = (cpu_ns() - began) as f64 / 1e9;
        println!("a snapshot of record {}: {seconds:.2} s of CPU, {} bytes", made.seq, made.bytes);
    }
    rig.sequencer.close().expect("closes");
    for _ in 0..3 {
        let (began, (_, bytes)) = (cpu_ns(), counted());
        let rig = Rig::on(disk.clone());
        let seconds = (cpu_ns() - began) as f64 / 1e9;
        let kept = (counted().1 - bytes) / orders as i64;
        let hash = rig.sequencer.health(NOW_NS).state_hash;
        println!(
            "start with {orders} orders in the journal: {seconds:.2} s of CPU, {kept} bytes kept per order, {hash:032x}"
        );
        rig.sequencer.close().expect("closes");
    }
}

fn main() {
    START.with(|_| {});
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        ["growth"] => growth(),
        ["longest"] => longest(1_000_000),
        ["cancel_all"] => cancel_all(),
        ["start"] => start(1_000_000, false),
        ["start", orders] => start(orders.parse().expect("a count"), false),
        ["snapshot"] => start(1_000_000, true),
        ["snapshot", orders] => start(orders.parse().expect("a count"), true),
        ["loop", kind, ref more @ ..] => {
            let (_, kind) = KINDS.into_iter().find(|(name, _)| name.contains(kind)).expect("a kind");
            let orders = more.first().map_or(100_000, |count| count.parse().expect("a count"));
            let mut rig = Rig::on(Nowhere::default());
            rig.of(kind);
            (0..orders).for_each(|number| rig.send(kind, number));
        }
        _ => panic!("see the first lines of this file"),
    }
}
