//! Decoding what clients send: what is understood, what is refused by which code, and bytes that mean harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bridge_core::{Command, ReasonCode};
use bridge_wire::codec::{
    ClientMessage, DecodeError, Encoder, Incoming, OrderFields, TradingStateFields, decode_request,
};
use bridge_wire::limits::DecodeLimits;
use flatbuffers::FlatBufferBuilder;
use proptest::prelude::*;

const LIMITS: DecodeLimits = DecodeLimits { max_message_bytes: 64 << 10, max_batch_orders: 10 };

fn order_message(order: &OrderFields<'_>) -> Vec<u8> {
    Encoder::new().execute_order(77, "journal", order).to_vec()
}

fn decoded_order(bytes: &[u8]) -> bridge_core::Order {
    match decode_request(bytes, &LIMITS).unwrap().body {
        ClientMessage::Command(Command::Execute(order)) => order,
        other => panic!("{other:?}"),
    }
}

fn refused(bytes: &[u8]) -> (u64, ReasonCode) {
    let DecodeError { correlation, rejection } = decode_request(bytes, &LIMITS).unwrap_err();
    assert!(!rejection.message.is_empty());
    (correlation, rejection.code)
}

/// An envelope with the number 77 whose body is an empty table of this union type.
fn empty_body(kind: u8) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let table = builder.start_table();
    let body = builder.end_table(table);
    let envelope = builder.start_table();
    builder.push_slot_always(4, 77_u64);
    builder.push_slot_always(10, body);
    builder.push_slot_always(8, kind);
    let root = builder.end_table(envelope);
    builder.finish(root, Some("XBR1"));
    builder.finished_data().to_vec()
}

#[test]
fn what_an_order_leaves_out_stays_out_and_only_account_and_versions_have_defaults() {
    let order = decoded_order(&empty_body(2));
    assert_eq!((order.order_id.as_str(), order.account.as_str(), order.contract_version), ("", "default", 1));
    let order =
        decoded_order(&order_message(&OrderFields { order_id: "a", contract_version: 1, ..Default::default() }));
    assert_eq!((order.order_type, order.side, order.quantity, order.defect), (None, None, None, None));
}

#[test]
fn an_enum_value_without_a_meaning_becomes_the_orders_first_defect() {
    let fields =
        OrderFields { order_id: "a", order_type: Some(1), side: Some(7), time_in_force: Some(9), ..Default::default() };
    let order = decoded_order(&order_message(&fields));
    let defect = order.defect.unwrap();
    assert_eq!((defect.code, defect.field.as_str(), order.side), (ReasonCode::InvalidField, "side", None));
    let bytes = Encoder::new()
        .set_trading_state(1, "", &TradingStateFields { command_id: "c", state: 200, ..TradingStateFields::default() })
        .to_vec();
    let ClientMessage::Command(Command::SetTradingState(state)) = decode_request(&bytes, &LIMITS).unwrap().body else {
        panic!("another message")
    };
    assert_eq!((state.state, state.defect.unwrap().field), (None, "state".into()));
}

#[test]
fn an_unknown_body_is_not_implemented_and_an_engines_body_is_malformed() {
    assert_eq!(refused(&empty_body(250)), (77, ReasonCode::NotImplemented));
    assert_eq!(refused(&empty_body(13)), (77, ReasonCode::MalformedMessage));
}

#[test]
fn sizes_are_refused_by_name_with_the_number_of_the_request() {
    let huge = "x".repeat(70 << 10);
    let bytes = order_message(&OrderFields { order_id: &huge, ..Default::default() });
    assert_eq!(refused(&bytes), (77, ReasonCode::MessageTooLarge));
    let mut encoder = Encoder::new();
    encoder.begin_batch();
    (0..11).for_each(|_| encoder.add_order(&OrderFields::default()));
    assert_eq!(refused(encoder.end_batch(77, "")), (77, ReasonCode::BatchTooLarge));
}

#[test]
fn a_buffer_that_fails_verification_is_answered_under_its_number() {
    let mut bytes = order_message(&OrderFields { order_id: "marker-of-this-test", ..Default::default() });
    let at = bytes.windows(6).position(|window| window == b"marker").unwrap();
    bytes[at] = 0xff;
    assert_eq!(refused(&bytes), (77, ReasonCode::MalformedMessage));
    bytes[4] = b'Y';
    assert_eq!(refused(&bytes), (0, ReasonCode::MalformedMessage));
    assert_eq!(refused(b"XBR1"), (0, ReasonCode::MalformedMessage));
}

#[test]
fn a_message_that_refers_to_one_part_many_times_is_refused() {
    let mut builder = FlatBufferBuilder::new();
    let text = builder.create_string(&"x".repeat(10_000));
    let table = builder.start_table();
    builder.push_slot_always(4, text);
    let order = builder.end_table(table);
    let orders = builder.create_vector(&vec![order; 1000]);
    let table = builder.start_table();
    builder.push_slot_always(4, orders);
    let body = builder.end_table(table);
    let envelope = builder.start_table();
    builder.push_slot_always(10, body);
    builder.push_slot_always(8, 3_u8);
    let root = builder.end_table(envelope);
    builder.finish(root, Some("XBR1"));
    assert_eq!(refused(builder.finished_data()), (0, ReasonCode::MalformedMessage));
}

#[test]
fn an_encoder_does_not_grow_from_message_to_message() {
    let mut encoder = Encoder::new();
    let order = OrderFields { order_id: "a", symbol: "SP500", metadata: &[("key", "value")], ..Default::default() };
    let first = encoder.execute_order(1, "journal", &order).to_vec();
    for _ in 0..1000 {
        assert_eq!(encoder.execute_order(1, "journal", &order), first);
    }
}

fn valid() -> Vec<u8> {
    let metadata = [("one", "1"), ("two", "2")];
    let order =
        OrderFields { order_id: "a", symbol: "SP500", side: Some(0), metadata: &metadata, ..Default::default() };
    let mut encoder = Encoder::new();
    encoder.begin_batch();
    (0..3).for_each(|_| encoder.add_order(&order));
    encoder.end_batch(77, "journal").to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_behind_the_identifier_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 8..400)) {
        bytes[4..8].copy_from_slice(b"XBR1");
        let _ = decode_request(&bytes, &LIMITS);
        bytes[0..4].copy_from_slice(&16_u32.to_le_bytes());
        let _ = decode_request(&bytes, &LIMITS);
    }

    #[test]
    fn damaged_messages_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), cut in any::<prop::sample::Index>()) {
        let mut bytes = valid();
        for (index, value) in damage {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        let _ = decode_request(&bytes, &LIMITS);
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode_request(&bytes, &LIMITS);
    }
}

/// Orders with and without each field, alone and in batches, and a message without an order.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![Just(String::new()), "[a-z]{1,30}"];
    let entries = prop::collection::vec((text.clone(), text.clone()), 0..4);
    let number = prop::option::of((any::<i64>(), any::<i8>()));
    let order = (text.clone(), text.clone(), text, entries, number, prop::option::of(0..4_u8), 0..2_u16);
    let orders = prop::collection::vec(order, 0..5);
    (orders, any::<bool>(), any::<u64>()).prop_map(|(orders, batch, correlation)| {
        let mut encoder = Encoder::new();
        let metadata: Vec<Vec<(&str, &str)>> =
            orders.iter().map(|order| order.3.iter().map(|(key, value)| (&**key, &**value)).collect()).collect();
        let fields = orders.iter().zip(&metadata).map(|((id, symbol, account, _, number, kind, version), metadata)| {
            let quantity = number.map(|(mantissa, exponent)| bridge_core::Decimal { mantissa, exponent });
            OrderFields {
                order_id: id,
                symbol,
                account,
                metadata,
                quantity,
                price: quantity,
                order_type: *kind,
                side: *kind,
                timestamp_ns: kind.map(i64::from),
                contract_version: *version,
                ..OrderFields::default()
            }
        });
        let fields: Vec<OrderFields<'_>> = fields.collect();
        match &fields[..] {
            [] => encoder.health_check(correlation, "journal", "").to_vec(),
            [order] if !batch => encoder.execute_order(correlation, "journal", order).to_vec(),
            orders => {
                encoder.begin_batch();
                orders.iter().for_each(|order| encoder.add_order(order));
                encoder.end_batch(correlation, "").to_vec()
            }
        }
    })
}

proptest! {
    #[test]
    fn a_request_read_into_used_memory_is_the_one_read_into_new(messages in prop::collection::vec(requests(), 1..12)) {
        let mut incoming = Incoming::new();
        for bytes in messages {
            let envelope = decode_request(&bytes, &LIMITS).unwrap();
            incoming.read(&bytes, &LIMITS).unwrap();
            prop_assert_eq!(
                (incoming.correlation, &*incoming.journal_id, &incoming.body),
                (envelope.correlation, envelope.journal_id, &envelope.body)
            );
        }
    }
}

#[test]
fn what_is_refused_is_refused_by_both_and_the_next_request_is_read() {
    let mut incoming = Incoming::new();
    for bytes in [&b"no envelope"[..], &empty_body(250), &empty_body(13), &empty_body(0)] {
        assert_eq!(incoming.read(bytes, &LIMITS).unwrap_err(), decode_request(bytes, &LIMITS).unwrap_err());
    }
    incoming.read(&order_message(&OrderFields { order_id: "a", ..Default::default() }), &LIMITS).unwrap();
    assert!(matches!(incoming.body, ClientMessage::Command(Command::Execute(order)) if order.order_id == "a"));
}
