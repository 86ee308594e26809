//! The messages that the vectors hold, as the core's types, one of every kind and some with every field.

use bridge_core::{
    CancelAllOrders, CancelOrder, CommandReply, Decimal, ExecuteReply, ExecutionStatus, GetOrderReply, OpenOrders,
    Order, OrderCommandReply, OrderReply, OrderType, OrderUpdate, Quote, ReasonCode, Rejection, ReplaceOrder,
    RiskLimits, SetRiskLimits, Side, Text, TimeInForce, UpdateKind,
};
use bridge_wire::codec::{
    Encoder, GetOrder, HealthReply, Hello, ListOpenOrders, MarketData, MessageLimits, OrderFields, ServingStatus,
    Subscribe, SystemNotice, TradingStateFields, Welcome,
};

const JOURNAL: &str = "0190a5c4-7c1e-7d3a-9b5f-2f6f0a7c4e11";
const ORDER_ID: &str = "0190a5c4-8000-7abc-8def-0123456789ab";
const NOW_NS: i64 = 1_720_000_000_123_456_789;

type Vectors = Vec<(&'static str, Vec<u8>)>;

/// Name and bytes of every vector, as this crate's encoder writes them.
pub fn vectors() -> Vectors {
    let mut all = requests();
    all.extend(control());
    all.extend(orders());
    all.extend(replies());
    all.extend(stream());
    all
}

fn number(mantissa: i64, exponent: i8) -> Option<Decimal> {
    Some(Decimal { mantissa, exponent })
}

/// An order with every field.
pub fn full_order() -> Order {
    Order {
        order_id: ORDER_ID.to_owned(),
        account: "default".to_owned(),
        symbol: "SP500".to_owned(),
        order_type: Some(OrderType::Limit),
        side: Some(Side::Buy),
        quantity: number(1500, -3),
        price: number(545_025, -2),
        stop_loss: number(54, 2),
        take_profit: number(5_600_000_000, -6),
        timestamp_ns: Some(NOW_NS),
        metadata: vec![("strategy".to_owned(), "crossover".to_owned()), ("note".to_owned(), "käse ✓".to_owned())],
        time_in_force: TimeInForce::Ioc,
        expires_at_ns: Some(NOW_NS + 5_000_000_000),
        contract_version: 1,
        trace_context: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        defect: None,
    }
}

fn minimal_order() -> OrderFields<'static> {
    OrderFields {
        order_id: "a",
        symbol: "NASDAQ",
        order_type: Some(OrderType::Market as u8),
        side: Some(Side::Sell as u8),
        quantity: number(1, 0),
        contract_version: 1,
        ..OrderFields::default()
    }
}

fn orders() -> Vectors {
    let mut encoder = Encoder::new();
    let order = full_order();
    let metadata: Vec<(&str, &str)> =
        order.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let extremes = OrderFields {
        order_id: "extremes",
        quantity: number(i64::MAX, i8::MIN),
        price: number(i64::MIN, i8::MAX),
        timestamp_ns: Some(i64::MIN),
        expires_at_ns: Some(i64::MAX),
        contract_version: u16::MAX,
        ..minimal_order()
    };
    let mut all = vec![
        ("execute_order_full", encoder.execute_order(2, JOURNAL, &OrderFields::of(&order, &metadata)).to_vec()),
        ("execute_order_minimal", encoder.execute_order(u64::MAX, JOURNAL, &minimal_order()).to_vec()),
        ("execute_order_extremes", encoder.execute_order(3, JOURNAL, &extremes).to_vec()),
    ];
    encoder.begin_batch();
    encoder.add_order(&OrderFields::of(&order, &metadata));
    encoder.add_order(&minimal_order());
    all.push(("execute_batch", encoder.end_batch(4, JOURNAL).to_vec()));
    all
}

fn requests() -> Vectors {
    let mut encoder = Encoder::new();
    let (account, order_id, command_id) = ("default".to_owned(), ORDER_ID.to_owned(), "cmd-1".to_owned());
    let hello = Hello {
        protocol_version: 1,
        client: "vectors 1.0".to_owned(),
        session_id: "session-7".to_owned(),
        resume_from: Some(41),
        account: account.clone(),
    };
    let cancel = CancelOrder {
        command_id: command_id.clone(),
        account: account.clone(),
        order_id: order_id.clone(),
        expected_version: Some(3),
        defect: None,
    };
    let replace = ReplaceOrder {
        command_id: command_id.clone(),
        account: account.clone(),
        order_id: order_id.clone(),
        expected_version: Some(1),
        quantity: number(25, -1),
        price: None,
        defect: None,
    };
    let cancel_all = CancelAllOrders {
        command_id: command_id.clone(),
        account: account.clone(),
        symbol: "SP500".to_owned(),
        defect: None,
    };
    let quote = Quote {
        symbol: "SP500".to_owned(),
        bid: number(544_975, -2),
        ask: number(545_000, -2),
        bid_size: number(10, 0),
        ask_size: number(75, -1),
        last_price: None,
        volume: number(123_456, 3),
        timestamp_ns: Some(NOW_NS),
    };
    let halt = TradingStateFields {
        command_id: "cmd-2",
        account: "default",
        state: 3,
        cancel_open_orders: true,
        all_accounts: true,
    };
    let one_sided = Quote { symbol: "NASDAQ".to_owned(), bid: number(1, 4), ..Quote::default() };
    vec![
        ("hello", encoder.hello(1, "", &hello).to_vec()),
        ("cancel_order", encoder.cancel_order(5, JOURNAL, &cancel).to_vec()),
        ("replace_order", encoder.replace_order(6, JOURNAL, &replace).to_vec()),
        (
            "get_order",
            encoder.get_order(7, JOURNAL, &GetOrder { order_id, account: account.clone(), fence: true }).to_vec(),
        ),
        ("cancel_all_orders", encoder.cancel_all_orders(8, JOURNAL, &cancel_all).to_vec()),
        ("set_trading_state", encoder.set_trading_state(9, JOURNAL, &halt).to_vec()),
        ("publish_quotes", encoder.publish_quotes(10, JOURNAL, "cmd-3", &[quote, one_sided]).to_vec()),
        (
            "subscribe",
            encoder.subscribe(11, JOURNAL, &Subscribe { account, resume_from: Some(0), accept_gaps: true }).to_vec(),
        ),
        ("unsubscribe", encoder.unsubscribe(12, JOURNAL, 11).to_vec()),
        ("health_check", encoder.health_check(13, "", "").to_vec()),
    ]
}

/// Risk limits, cancel on disconnect, open orders; some with every field, some with none.
fn control() -> Vectors {
    let mut encoder = Encoder::new();
    let limits = RiskLimits {
        max_order_quantity: number(25, 0),
        max_order_notional: number(1_000_000_000, -3),
        price_collar: number(5, -2),
        max_open_orders: Some(u32::MAX),
        max_position: number(100, 0),
        orders_per_second: Some(50),
        order_burst: Some(1),
    };
    let (command_id, account) = ("cmd-4".to_owned(), "default".to_owned());
    let set = SetRiskLimits { command_id, account, symbol: "SP500".to_owned(), limits, defect: None };
    let none = SetRiskLimits { command_id: "cmd-5".to_owned(), ..SetRiskLimits::default() };
    let next = ListOpenOrders { account: "default".to_owned(), after_order_id: format!("{ORDER_ID}·SL") };
    let page = OpenOrders {
        last_sequence: 42,
        orders: vec![filled(), OrderReply { order_id: format!("{ORDER_ID}·SL").into(), ..filled() }],
        more: true,
        code: ReasonCode::None,
        message: Text::default(),
        field: Text::default(),
    };
    let refused = OpenOrders {
        last_sequence: 0,
        orders: Vec::new(),
        more: false,
        code: ReasonCode::UnknownOrder,
        message: "no order has the id x".into(),
        field: "after_order_id".into(),
    };
    vec![
        ("set_risk_limits", encoder.set_risk_limits(14, JOURNAL, &set).to_vec()),
        ("set_risk_limits_none", encoder.set_risk_limits(15, JOURNAL, &none).to_vec()),
        (
            "set_cancel_on_disconnect",
            encoder.set_cancel_on_disconnect(16, JOURNAL, "cmd-6", "default", Some(0)).to_vec(),
        ),
        (
            "set_cancel_on_disconnect_off",
            encoder.set_cancel_on_disconnect(17, JOURNAL, "cmd-7", "default", None).to_vec(),
        ),
        ("list_open_orders", encoder.list_open_orders(18, JOURNAL, &next).to_vec()),
        ("open_orders", encoder.open_orders(18, &page).to_vec()),
        ("open_orders_refused", encoder.open_orders(19, &refused).to_vec()),
    ]
}

fn filled() -> OrderReply {
    OrderReply {
        order_id: ORDER_ID.into(),
        status: ExecutionStatus::PartiallyFilled,
        exchange_order_id: "X-17".into(),
        executed_quantity: Decimal { mantissa: 5, exponent: -1 },
        executed_price: number(544_987_500_000, -8),
        execution_time_ns: Some(NOW_NS),
        error_message: Text::default(),
        code: ReasonCode::None,
        field: Text::default(),
        account: "default".into(),
        order_version: 1,
        sequence: 42,
        remaining_quantity: Decimal { mantissa: 1, exponent: 0 },
        symbol: "SP500".into(),
        order_type: Some(OrderType::Limit),
        side: Some(Side::Buy),
        quantity: number(1500, -3),
        price: number(545_025, -2),
        parent_order_id: Text::default(),
    }
}

fn rejected() -> OrderReply {
    OrderReply {
        order_id: "a".into(),
        status: ExecutionStatus::Rejected,
        exchange_order_id: Text::default(),
        executed_quantity: Decimal { mantissa: 0, exponent: 0 },
        executed_price: None,
        execution_time_ns: None,
        error_message: "price: 1.005 is not a multiple of the tick 0.01".into(),
        code: ReasonCode::PriceOffTick,
        field: "price".into(),
        account: "default".into(),
        order_version: 0,
        sequence: 0,
        remaining_quantity: Decimal { mantissa: 0, exponent: 0 },
        symbol: Text::default(),
        order_type: None,
        side: None,
        quantity: None,
        price: None,
        parent_order_id: Text::default(),
    }
}

fn replies() -> Vectors {
    let mut encoder = Encoder::new();
    let welcome = Welcome {
        protocol_version: 1,
        contract_version: 1,
        journal_id: JOURNAL.to_owned(),
        epoch: 3,
        engine_version: "0.1.0".to_owned(),
        limits: MessageLimits {
            max_message_bytes: 1 << 20,
            max_batch_orders: 1000,
            max_in_flight: 1024,
            max_metadata_entries: 32,
            update_history: 10_000,
        },
        last_sequence: 41,
        pub_endpoint: "tcp://127.0.0.1:5556".to_owned(),
    };
    let versions = Rejection::new(ReasonCode::UnsupportedProtocolVersion, "protocol_version", "9 is not spoken here");
    let cancelled = OrderCommandReply {
        command_id: "cmd-1".into(),
        code: ReasonCode::None,
        message: Text::default(),
        field: Text::default(),
        order: Some(filled()),
        duplicate: true,
        fenced: false,
    };
    let fenced = OrderCommandReply {
        code: ReasonCode::UnknownOrder,
        order: None,
        fenced: true,
        duplicate: false,
        ..cancelled.clone()
    };
    let command = CommandReply {
        command_id: "cmd-3".into(),
        code: ReasonCode::DuplicateCommandId,
        message: "stands for another command".into(),
        field: "command_id".into(),
        affected: 2,
        duplicate: false,
    };
    let found = GetOrderReply { found: true, order: Some(filled()), reply: Some(filled()), ..GetOrderReply::default() };
    let executed = ExecuteReply { reply: filled(), duplicate: false };
    let refused = ExecuteReply { reply: rejected(), duplicate: true };
    vec![
        ("welcome", encoder.welcome(1, &welcome).to_vec()),
        ("refusal", encoder.refusal(1, &versions, &[1, 2], JOURNAL).to_vec()),
        ("execute_reply", encoder.execute_reply(2, &executed).to_vec()),
        ("execute_reply_rejected", encoder.execute_reply(3, &refused).to_vec()),
        ("batch_reply", encoder.batch_reply(4, &[executed, refused]).to_vec()),
        ("order_command_reply", encoder.order_command_reply(5, &cancelled).to_vec()),
        ("order_command_reply_fenced", encoder.order_command_reply(6, &fenced).to_vec()),
        ("command_reply", encoder.command_reply(10, &command).to_vec()),
        ("get_order_reply", encoder.get_order_reply(7, &found).to_vec()),
        ("subscribe_reply", encoder.subscribe_reply(11, "default", 41).to_vec()),
    ]
}

fn stream() -> Vectors {
    let mut encoder = Encoder::new();
    let update = OrderUpdate {
        sequence: 42,
        kind: UpdateKind::Fill,
        order: filled(),
        execution_id: 99,
        last_quantity: number(5, -1),
        last_price: number(54_498_750, -4),
        event_time_ns: NOW_NS,
        snapshot: false,
    };
    let leg = OrderUpdate {
        kind: UpdateKind::LegChanged,
        order: OrderReply { order_id: format!("{ORDER_ID}·SL").into(), parent_order_id: ORDER_ID.into(), ..filled() },
        execution_id: 0,
        last_quantity: None,
        last_price: None,
        snapshot: true,
        ..update.clone()
    };
    let health = HealthReply {
        status: ServingStatus::Degraded,
        message: "the last sync took 1200 ms",
        journal_id: JOURNAL,
        epoch: 3,
        journal_seq: 1234,
        state_hash: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        engine_version: "0.1.0",
        durability: "always",
        duplicates: 4,
        counters: &[("orders", 17), ("duplicates_zmq", 4)],
    };
    let market = MarketData {
        topic_sequence: 8,
        symbol: "SP500",
        bid: number(544_975, -2),
        ask: number(545_000, -2),
        last_price: None,
        volume: number(0, 0),
        bid_size: number(10, 0),
        ask_size: number(75, -1),
        timestamp_ns: NOW_NS,
    };
    let notice =
        SystemNotice { topic_sequence: 1, code: ReasonCode::ShuttingDown, message: "goodbye", timestamp_ns: NOW_NS };
    vec![
        ("order_update", encoder.order_update(11, &update).to_vec()),
        ("order_update_leg", encoder.order_update(11, &leg).to_vec()),
        ("update_gap", encoder.update_gap(11, 1, 40).to_vec()),
        ("subscription_ended", encoder.subscription_ended(11, ReasonCode::SlowConsumer, "cut off", 42).to_vec()),
        ("health_reply", encoder.health_reply(13, &health).to_vec()),
        ("going_away", encoder.going_away("shutting down", 5000).to_vec()),
        ("market_data", encoder.market_data(&market).to_vec()),
        ("system_notice", encoder.system_notice(&notice).to_vec()),
        ("topic_mark", encoder.topic_mark("md.SP500", 8).to_vec()),
    ]
}
