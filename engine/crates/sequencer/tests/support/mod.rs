//! What the tests share: a small market, orders in it, and a sequencer on a disk in memory.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod venue;

use bridge_core::{
    CancelOrder, Command, Configuration, Decimal, ExecuteReply, Instrument, Order, OrderType, OrderUpdate,
    PublishQuotes, Quote, Rejection, Side, UtcNanos,
};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{Options, Origin, Output, Path, Reply, Request, Sequencer, SyncJob, Token};

pub const START_NS: UtcNanos = 1_760_000_000_000_000_000;
pub const MS: UtcNanos = 1_000_000;

pub fn options() -> Options {
    Options { segment_bytes: 256 << 10, ..Options::default() }
}

pub fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// One instrument, ACME, quoted 99.99 to 100.01 with 1000 on each side.
pub fn configuration() -> Configuration {
    Configuration {
        instruments: vec![Instrument {
            symbol: "ACME".into(),
            tick: decimal("0.01"),
            quantity_step: decimal("1"),
            opening_quote: Some(quote("99.99", "100.01", "1000")),
        }],
        max_skew_ms: 60_000,
        retention_ms: 7 * 24 * 3_600_000,
        quote_retention_ms: 600_000,
        foreign_id_quota: 1_000_000,
        max_remembered_ids: 5_000_000,
        update_history: 10_000,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: bridge_core::RiskConfiguration::default(),
        max_leases: 100,
    }
}

pub fn quote(bid: &str, ask: &str, size: &str) -> Quote {
    Quote {
        symbol: "ACME".into(),
        bid: Some(decimal(bid)),
        ask: Some(decimal(ask)),
        bid_size: Some(decimal(size)),
        ask_size: Some(decimal(size)),
        ..Quote::default()
    }
}

pub fn market(id: &str, side: Side, quantity: &str) -> Order {
    Order {
        order_id: id.into(),
        account: "default".into(),
        symbol: "ACME".into(),
        order_type: Some(OrderType::Market),
        side: Some(side),
        quantity: Some(decimal(quantity)),
        contract_version: 1,
        ..Order::default()
    }
}

pub fn limit(id: &str, side: Side, quantity: &str, price: &str) -> Order {
    Order { order_type: Some(OrderType::Limit), price: Some(decimal(price)), ..market(id, side, quantity) }
}

pub fn execute(order: Order) -> Request {
    Request::Command(Command::Execute(order))
}

pub fn cancel(command_id: &str, order_id: &str) -> Request {
    Request::Command(Command::Cancel(CancelOrder {
        command_id: command_id.into(),
        account: "default".into(),
        order_id: order_id.into(),
        ..CancelOrder::default()
    }))
}

pub fn publish(command_id: &str, quotes: Vec<Quote>) -> Request {
    let account = "default".into();
    Request::Command(Command::PublishQuotes(PublishQuotes {
        command_id: command_id.into(),
        account,
        quotes,
        defect: None,
    }))
}

pub fn get(order_id: &str, fence: bool) -> Request {
    Request::GetOrder { account: String::new(), order_id: order_id.into(), fence }
}

pub fn origin(path: Path) -> Origin {
    Origin { principal: "local".into(), path, session_id: "session".into() }
}

/// A sequencer, its disk, and a clock that the test moves.
pub struct Rig {
    pub disk: FakeDisk,
    pub sequencer: Sequencer<FakeDisk>,
    pub now: UtcNanos,
    pub path: Path,
    last_token: u64,
}

impl Rig {
    pub fn new(options: Options) -> Self {
        Self::on(FakeDisk::new(1), options, START_NS)
    }

    pub fn on(disk: FakeDisk, options: Options, now: UtcNanos) -> Self {
        Self::configured(disk, options, configuration(), now)
    }

    pub fn configured(disk: FakeDisk, options: Options, configuration: Configuration, now: UtcNanos) -> Self {
        let (sequencer, _) = Sequencer::open(disk.clone(), options, configuration, now).expect("opens");
        let mut rig = Self { disk, sequencer, now, path: Path::Zmq, last_token: 0 };
        rig.outputs();
        rig
    }

    /// What a restart finds after the loss of the machine.
    pub fn after_crash(&self, options: Options) -> Self {
        Self::on(self.disk.crash(), options, self.now)
    }

    pub fn submit(&mut self, request: Request) -> Token {
        self.last_token += 1;
        self.now += MS;
        let token = Token(self.last_token);
        self.sequencer.submit(token, &origin(self.path), &request, self.now);
        token
    }

    /// What may leave now.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.sequencer.next_output()).collect()
    }

    /// The updates among these outputs, which left last.
    pub fn updates(&self, outputs: &[Output]) -> Vec<OrderUpdate> {
        let ranges = outputs.iter().filter_map(|output| match output {
            Output::Updates(range) => Some(range),
            _ => None,
        });
        ranges.flat_map(|range| self.sequencer.updates(range)).collect()
    }

    /// Ends the turn and waits for its sync; what may leave then.
    pub fn turn(&mut self) -> Vec<Output> {
        if let Some(job) = self.sequencer.end_turn() {
            self.finish(job);
        }
        self.outputs()
    }

    pub fn finish(&mut self, job: SyncJob<FakeDisk>) {
        let result = job.run();
        self.sequencer.synced(result);
    }

    /// One request in a turn of its own; its reply.
    pub fn ask(&mut self, request: Request) -> Reply {
        let token = self.submit(request);
        let outputs = self.turn();
        reply_to(&outputs, token).unwrap_or_else(|| panic!("no reply among {outputs:?}"))
    }

    /// One request in a turn of its own; its reply if it has one yet.
    pub fn ask_or_wait(&mut self, request: Request) -> Option<Reply> {
        let token = self.submit(request);
        let outputs = self.turn();
        reply_to(&outputs, token)
    }

    pub fn execute(&mut self, order: Order) -> ExecuteReply {
        match self.ask(execute(order)) {
            Reply::Execute(reply) => reply,
            other => panic!("not a reply to an order: {other:?}"),
        }
    }

    pub fn counter(&self, name: &str) -> u64 {
        let health = self.sequencer.health(self.now);
        health.counters.iter().find(|(counter, _)| *counter == name).map(|(_, value)| *value).unwrap()
    }

    pub fn state_hash(&self) -> u128 {
        self.sequencer.health(self.now).state_hash
    }
}

pub fn reply_to(outputs: &[Output], wanted: Token) -> Option<Reply> {
    outputs.iter().find_map(|output| match output {
        Output::Reply { token, reply } if *token == wanted => Some(reply.clone()),
        _ => None,
    })
}

pub fn refusal(reply: Reply) -> Rejection {
    match reply {
        Reply::Refused(rejection) => rejection,
        other => panic!("not refused: {other:?}"),
    }
}
