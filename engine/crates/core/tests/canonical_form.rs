//! The canonical form against bytes worked out by hand, and against the worked examples of WIRE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bridge_core::{
    CancelAllOrders, CancelOrder, Decimal, Order, OrderType, PublishQuotes, Quote, ReasonCode, Rejection, ReplaceOrder,
    RiskLimits, SetCancelOnDisconnect, SetRiskLimits, SetTradingState, Side, TimeInForce, TradingState, canonical,
};
use serde_json::Value;

const WIRE: &str = include_str!("../../../../schemas/WIRE.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

fn decimal(fields: &Value, name: &str) -> Option<Decimal> {
    fields[name].as_str().map(|text| text.parse().expect("a decimal"))
}

fn order_of(fields: &Value) -> Order {
    let metadata = fields["metadata"].as_object();
    Order {
        order_id: text(fields, "order_id"),
        account: text(fields, "account"),
        symbol: text(fields, "symbol"),
        order_type: Some(match text(fields, "order_type").as_str() {
            "MARKET" => OrderType::Market,
            "LIMIT" => OrderType::Limit,
            other => panic!("no example has {other}"),
        }),
        side: Some(if text(fields, "side") == "BUY" { Side::Buy } else { Side::Sell }),
        quantity: decimal(fields, "quantity"),
        price: decimal(fields, "price"),
        stop_loss: decimal(fields, "stop_loss"),
        take_profit: decimal(fields, "take_profit"),
        timestamp_ns: fields["timestamp_ns"].as_i64(),
        metadata: metadata
            .map(|map| map.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect())
            .unwrap_or_default(),
        time_in_force: if text(fields, "time_in_force") == "IOC" { TimeInForce::Ioc } else { TimeInForce::Gtc },
        expires_at_ns: fields["expires_at_ns"].as_i64(),
        contract_version: u16::try_from(fields["contract_version"].as_u64().unwrap()).unwrap(),
        trace_context: text(fields, "trace_context"),
        defect: None,
    }
}

fn replace_of(fields: &Value) -> ReplaceOrder {
    ReplaceOrder {
        command_id: text(fields, "command_id"),
        account: text(fields, "account"),
        order_id: text(fields, "order_id"),
        expected_version: fields["expected_version"].as_u64(),
        quantity: decimal(fields, "quantity"),
        price: decimal(fields, "price"),
        defect: None,
    }
}

fn trading_state_of(fields: &Value) -> SetTradingState {
    SetTradingState {
        command_id: text(fields, "command_id"),
        state: Some(if text(fields, "state") == "HALTED" { TradingState::Halted } else { TradingState::Active }),
        cancel_open_orders: fields["cancel_open_orders"] == true,
        all_accounts: fields["all_accounts"] == true,
        ..SetTradingState::default()
    }
}

fn risk_limits_of(fields: &Value) -> SetRiskLimits {
    let limits = &fields["limits"];
    let count = |name: &str| limits[name].as_u64().map(|count| u32::try_from(count).unwrap());
    SetRiskLimits {
        command_id: text(fields, "command_id"),
        account: text(fields, "account"),
        symbol: text(fields, "symbol"),
        limits: RiskLimits {
            max_order_quantity: decimal(limits, "max_order_quantity"),
            max_order_notional: decimal(limits, "max_order_notional"),
            price_collar: decimal(limits, "price_collar"),
            max_open_orders: count("max_open_orders"),
            max_position: decimal(limits, "max_position"),
            orders_per_second: count("orders_per_second"),
            order_burst: count("order_burst"),
        },
        defect: None,
    }
}

fn lease_of(fields: &Value) -> SetCancelOnDisconnect {
    SetCancelOnDisconnect {
        command_id: text(fields, "command_id"),
        account: text(fields, "account"),
        session_id: text(fields, "session_id"),
        grace_ms: fields["grace_ms"].as_u64(),
        defect: None,
    }
}

/// The value of a line `label: value` of a block.
fn line<'a>(block: &'a str, label: &str) -> &'a str {
    let start = format!("{label}: ");
    block.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap_or_else(|| panic!("no {label} in {block}"))
}

#[test]
fn the_worked_examples_of_wire_md_are_what_this_code_computes() {
    let section = WIRE.split("### Worked examples").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks: Vec<&str> = section.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 8);
    for block in blocks {
        let fields: Value = serde_json::from_str(line(block, "fields (JSON)")).unwrap();
        let form = match line(block, "kind") {
            "order" => canonical::order(&order_of(&fields)),
            "replace" => canonical::replace(&replace_of(&fields)),
            "set-trading-state" => canonical::set_trading_state(&trading_state_of(&fields)),
            "set-risk-limits" => canonical::set_risk_limits(&risk_limits_of(&fields)),
            "set-cancel-on-disconnect" => canonical::set_cancel_on_disconnect(&lease_of(&fields)),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(hex(&form), line(block, "canonical (hex)"), "{}", line(block, "name"));
        assert_eq!(hex(&canonical::content_hash(&form)), line(block, "sha256-16 (hex)"), "{}", line(block, "name"));
    }
}

#[test]
fn an_order_is_its_fields_by_rising_tag() {
    let order = Order {
        order_id: "a".into(),
        symbol: "XY".into(),
        order_type: Some(OrderType::Limit),
        side: Some(Side::Sell),
        quantity: Some(Decimal::new(150, -2)),
        metadata: vec![("z".into(), "1".into()), ("b".into(), String::new())],
        ..Order::default()
    };
    let by_hand: &[&[u8]] = &[
        b"XBR-ORDER1",
        b"\x01\x01\0\0\0a",
        b"\x02\x02\0\0\0XY",
        b"\x03\x01\0\0\0\x01",
        b"\x04\x01\0\0\0\x01",
        b"\x05\x09\0\0\0\x0f\0\0\0\0\0\0\0\xff",
        b"\x0a\x05\0\0\0\x01\0\0\0b",
        b"\x0a\x06\0\0\0\x01\0\0\0z1",
        b"\x0b\x07\0\0\0default",
        b"\x0c\x01\0\0\0\x01",
    ];
    assert_eq!(canonical::order(&order), by_hand.concat());
}

#[test]
fn a_defect_is_content_and_its_field_is_left_out() {
    let defect = Some(Rejection::new(ReasonCode::OutOfRange, "price", "words are not content"));
    let order = Order { order_id: "a".into(), defect, ..Order::default() };
    let end = [b"\x0c\x01\0\0\0\x01".as_slice(), b"\xff\x07\0\0\0\x03\0price"].concat();
    assert!(canonical::order(&order).ends_with(&end));
}

#[test]
fn version_and_trace_context_are_not_content() {
    let plain = Order { order_id: "a".into(), ..Order::default() };
    let other =
        Order { contract_version: 1, trace_context: "00-a-b-01".into(), account: "default".into(), ..plain.clone() };
    assert_eq!(canonical::order(&plain), canonical::order(&other));
}

#[test]
fn commands_are_their_fields_by_rising_tag() {
    let cancel = CancelOrder {
        command_id: "c".into(),
        order_id: "a".into(),
        expected_version: Some(258),
        ..CancelOrder::default()
    };
    let by_hand: &[&[u8]] = &[
        b"XBR-CANCELORDER1",
        b"\x01\x01\0\0\0c",
        b"\x02\x01\0\0\0a",
        b"\x03\x07\0\0\0default",
        b"\x04\x08\0\0\0\x02\x01\0\0\0\0\0\0",
    ];
    assert_eq!(canonical::cancel(&cancel), by_hand.concat());

    let cancel_all = CancelAllOrders { command_id: "c".into(), symbol: "XY".into(), ..CancelAllOrders::default() };
    let by_hand: &[&[u8]] =
        &[b"XBR-CANCELALLORDERS1", b"\x01\x01\0\0\0c", b"\x03\x07\0\0\0default", b"\x07\x02\0\0\0XY"];
    assert_eq!(canonical::cancel_all(&cancel_all), by_hand.concat());

    let set = SetTradingState {
        command_id: "c".into(),
        state: Some(TradingState::Halted),
        cancel_open_orders: true,
        ..SetTradingState::default()
    };
    let by_hand: &[&[u8]] = &[
        b"XBR-SETTRADINGSTATE1",
        b"\x01\x01\0\0\0c",
        b"\x03\x07\0\0\0default",
        b"\x08\x01\0\0\0\x03",
        b"\x09\x01\0\0\0\x01",
    ];
    assert_eq!(canonical::set_trading_state(&set), by_hand.concat());
}

#[test]
fn a_quote_says_which_of_its_numbers_are_there() {
    let quote = Quote {
        symbol: "XY".into(),
        bid: Some(Decimal::new(10, 0)),
        bid_size: Some(Decimal::new(-3, -1)),
        timestamp_ns: Some(256),
        ..Quote::default()
    };
    let publish = PublishQuotes { command_id: "c".into(), quotes: vec![quote], ..PublishQuotes::default() };
    let by_hand: &[&[u8]] = &[
        b"XBR-PUBLISHQUOTES1",
        b"\x01\x01\0\0\0c",
        b"\x03\x07\0\0\0default",
        b"\x0a\x27\0\0\0",
        b"\x02\0\0\0XY",
        b"\x01\x01\0\0\0\0\0\0\0\x01",
        b"\0",
        b"\x01\xfd\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0",
        b"\x01\0\x01\0\0\0\0\0\0",
    ];
    assert_eq!(canonical::publish_quotes(&publish), by_hand.concat());
}
