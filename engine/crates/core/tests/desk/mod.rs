//! A desk to test the core from: it hands commands in, plays the venue, and keeps every event.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bridge_core::*;

/// 2026-01-02T03:04:05Z, in nanoseconds.
pub const START_NS: UtcNanos = 1_767_323_045_000_000_000;
pub const MS: i64 = 1_000_000;

pub struct Desk {
    pub core: Core,
    pub events: Vec<Event>,
    pub effects: Vec<Effect>,
    pub updates: Vec<OrderUpdate>,
    pub now: UtcNanos,
    commands: u64,
    executions: u64,
}

pub fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn configuration() -> Configuration {
    let instrument = |symbol: &str| Instrument {
        symbol: symbol.into(),
        tick: decimal("0.01"),
        quantity_step: decimal("0.001"),
        opening_quote: None,
    };
    Configuration {
        instruments: vec![instrument("NASDAQ"), instrument("SP500")],
        max_skew_ms: 1_000,
        retention_ms: 60_000,
        quote_retention_ms: 10_000,
        foreign_id_quota: 1_000,
        max_remembered_ids: 1_000_000,
        update_history: 100,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: RiskConfiguration::default(),
        max_leases: 100,
    }
}

/// A LIMIT BUY of 10 at 100.00; change what the test is about.
pub fn limit(order_id: &str) -> Order {
    Order {
        order_id: order_id.into(),
        account: "default".into(),
        symbol: "NASDAQ".into(),
        order_type: Some(OrderType::Limit),
        side: Some(Side::Buy),
        quantity: Some(decimal("10")),
        price: Some(decimal("100.00")),
        contract_version: 1,
        ..Order::default()
    }
}

pub fn sell(order_id: &str, quantity: &str) -> Order {
    Order { side: Some(Side::Sell), quantity: Some(decimal(quantity)), ..limit(order_id) }
}

/// A UUIDv7 of this time.
pub fn uuid7(at_ms: i64) -> String {
    let hex = format!("{at_ms:012x}");
    format!("{}-{}-7abc-8def-0123456789ab", &hex[..8], &hex[8..])
}

impl Desk {
    pub fn open() -> Self {
        Self::open_with(configuration())
    }

    pub fn open_with(configuration: Configuration) -> Self {
        let mut desk = Self {
            core: Core::new(),
            events: Vec::new(),
            effects: Vec::new(),
            updates: Vec::new(),
            now: START_NS,
            commands: 0,
            executions: 0,
        };
        desk.core.check_configuration(&configuration).unwrap();
        desk.apply(&Input::Started { epoch: 1 });
        desk.apply(&Input::Configured(configuration));
        desk.effects.clear();
        desk
    }

    pub fn apply(&mut self, input: &Input) -> Outcome {
        self.apply_for("", input)
    }

    pub fn apply_for(&mut self, session_id: &str, input: &Input) -> Outcome {
        let outcome = self.core.apply_for(session_id, input, self.now, &mut self.events, &mut self.effects);
        self.collect();
        outcome
    }

    fn collect(&mut self) {
        let ranges: Vec<UpdateRange> = self.core.take_new_updates().collect();
        for range in ranges {
            self.updates.extend(self.core.updates(&range));
            self.core.release_updates(&range, 0);
        }
    }

    pub fn send(&mut self, command: Command) -> Outcome {
        self.core.admit(&command, self.now).unwrap();
        self.apply(&Input::Command(command))
    }

    pub fn reports(&mut self, reports: &[VenueReport]) {
        for report in reports {
            self.apply(&Input::Venue(report.clone()));
        }
        self.core.settle(self.now, &mut self.events);
        self.collect();
    }

    /// Sends an order that the venue accepts; its key.
    pub fn work(&mut self, order: Order) -> VenueKey {
        let outcome = self.send(Command::Execute(order));
        let Some(Call::Execute(no)) = outcome.waits_for else { panic!("rejected: {outcome:?}") };
        let key = VenueKey::entry(no);
        self.reports(&[accepted(key)]);
        key
    }

    /// The reply to an order that the core answers at once.
    pub fn reply_to(&mut self, order: Order) -> OrderReply {
        match self.send(Command::Execute(order)).reply {
            Some(CommandOutcome::Execute(reply)) => reply,
            other => panic!("not answered: {other:?}"),
        }
    }

    pub fn filled(&mut self, key: VenueKey, quantity_steps: i64, price_ticks: i64) -> VenueReport {
        self.executions += 1;
        VenueReport::Filled { key, execution_id: self.executions, quantity_steps, price_ticks }
    }

    pub fn fill(&mut self, key: VenueKey, quantity_steps: i64, price_ticks: i64) {
        let report = self.filled(key, quantity_steps, price_ticks);
        self.reports(&[report]);
    }

    pub fn command_id(&mut self) -> String {
        self.commands += 1;
        format!("command-{}", self.commands)
    }

    pub fn cancel(&mut self, order_id: &str) -> Command {
        let command_id = self.command_id();
        Command::Cancel(CancelOrder {
            command_id,
            account: "default".into(),
            order_id: order_id.into(),
            ..CancelOrder::default()
        })
    }

    pub fn replace(&mut self, order_id: &str, version: u64, quantity: Option<&str>, price: Option<&str>) -> Command {
        let command_id = self.command_id();
        Command::Replace(ReplaceOrder {
            command_id,
            account: "default".into(),
            order_id: order_id.into(),
            expected_version: Some(version),
            quantity: quantity.map(decimal),
            price: price.map(decimal),
            defect: None,
        })
    }

    pub fn set_state(&mut self, state: TradingState, cancel_open_orders: bool) -> Outcome {
        let command_id = self.command_id();
        self.send(Command::SetTradingState(SetTradingState {
            command_id,
            state: Some(state),
            cancel_open_orders,
            ..SetTradingState::default()
        }))
    }

    /// A position of so many steps, bought at 100.00.
    pub fn hold(&mut self, steps: i64) {
        let quantity = Decimal::from_steps(steps, decimal("0.001")).unwrap();
        let key = self.work(Order { quantity: Some(quantity), ..limit("holding") });
        self.fill(key, steps, 10_000);
    }

    /// The one call that was concluded since the last time.
    pub fn concluded(&mut self) -> (Call, CommandOutcome) {
        let mut concluded = self.core.take_concluded();
        assert_eq!(concluded.len(), 1, "{concluded:?}");
        concluded.pop().unwrap()
    }

    pub fn concluded_order_command(&mut self) -> OrderCommandReply {
        let mut concluded = self.core.take_concluded();
        match concluded.pop() {
            Some((Call::Command(_), CommandOutcome::OrderCommand(reply))) => reply,
            other => panic!("no cancel or replace: {other:?}"),
        }
    }

    pub fn concluded_command(&mut self) -> CommandReply {
        let mut concluded = self.core.take_concluded();
        match concluded.pop() {
            Some((Call::Command(_), CommandOutcome::Command(reply))) => reply,
            other => panic!("no command: {other:?}"),
        }
    }

    pub fn state(&self, order_id: &str) -> OrderReply {
        self.core.get("default", order_id).order.expect("an order")
    }

    /// What recovery makes of the events so far.
    pub fn recovered(&self) -> Core {
        let mut core = Core::new();
        self.events.iter().for_each(|event| core.fold(event));
        core
    }
}

pub fn accepted(key: VenueKey) -> VenueReport {
    VenueReport::Accepted { key, venue_order_id: format!("V{}", key.0).into() }
}

pub fn closed(key: VenueKey, code: ReasonCode) -> VenueReport {
    VenueReport::Closed { key, code }
}

pub fn order_reply(outcome: Outcome) -> OrderReply {
    match outcome.reply {
        Some(CommandOutcome::Execute(reply)) => reply,
        other => panic!("no order reply: {other:?}"),
    }
}

pub fn order_command_reply(outcome: Outcome) -> OrderCommandReply {
    match outcome.reply {
        Some(CommandOutcome::OrderCommand(reply)) => reply,
        other => panic!("no cancel or replace reply: {other:?}"),
    }
}
