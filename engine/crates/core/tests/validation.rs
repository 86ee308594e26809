//! What an order's fields may be (WIRE.md, section 3), and what is stored of one that is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

type Case = (&'static str, ReasonCode, fn(&mut Order));

const CASES: &[Case] = &[
    ("contract_version", ReasonCode::UnsupportedContractVersion, |order| order.contract_version = 2),
    ("symbol", ReasonCode::MissingField, |order| order.symbol = String::new()),
    ("symbol", ReasonCode::UnknownSymbol, |order| order.symbol = "DAX".into()),
    ("order_type", ReasonCode::MissingField, |order| order.order_type = None),
    ("side", ReasonCode::MissingField, |order| order.side = None),
    ("quantity", ReasonCode::MissingField, |order| order.quantity = None),
    ("quantity", ReasonCode::InvalidField, |order| order.quantity = Some(decimal("0"))),
    ("quantity", ReasonCode::InvalidField, |order| order.quantity = Some(decimal("-1"))),
    ("quantity", ReasonCode::QuantityOffStep, |order| order.quantity = Some(decimal("0.0005"))),
    ("quantity", ReasonCode::OutOfRange, |order| order.quantity = Some(decimal("1e18"))),
    ("price", ReasonCode::MissingField, |order| order.price = None),
    ("price", ReasonCode::InvalidField, |order| order.price = Some(decimal("-1"))),
    ("price", ReasonCode::PriceOffTick, |order| order.price = Some(decimal("100.001"))),
    ("price", ReasonCode::OutOfRange, |order| order.price = Some(decimal("1e100"))),
    ("price", ReasonCode::MissingField, |order| {
        order.order_type = Some(OrderType::StopLoss);
        order.price = None;
    }),
    ("price", ReasonCode::InvalidField, |order| {
        order.order_type = Some(OrderType::Market);
        order.price = Some(decimal("0"));
    }),
    ("stop_loss", ReasonCode::PriceOffTick, |order| order.stop_loss = Some(decimal("90.001"))),
    ("stop_loss", ReasonCode::InvalidField, |order| order.stop_loss = Some(decimal("100"))),
    ("take_profit", ReasonCode::InvalidField, |order| order.take_profit = Some(decimal("99"))),
    ("take_profit", ReasonCode::InvalidField, |order| {
        order.order_type = Some(OrderType::Market);
        order.stop_loss = Some(decimal("90"));
        order.take_profit = Some(decimal("80"));
    }),
    ("stop_loss", ReasonCode::InvalidField, |order| {
        order.side = Some(Side::Sell);
        order.stop_loss = Some(decimal("90"));
    }),
    ("metadata", ReasonCode::InvalidField, |order| order.metadata = vec![(String::new(), "x".into())]),
    ("metadata", ReasonCode::InvalidField, |order| {
        order.metadata = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
    }),
    ("metadata", ReasonCode::InvalidField, |order| order.metadata = vec![("a".into(), "x".repeat(257))]),
    ("metadata", ReasonCode::InvalidField, |order| {
        order.metadata = (0..33).map(|key| (key.to_string(), String::new())).collect();
    }),
    ("expires_at", ReasonCode::Expired, |order| order.expires_at_ns = Some(START_NS)),
    ("trace_context", ReasonCode::InvalidField, |order| order.trace_context = "x".repeat(129)),
    ("trace_context", ReasonCode::InvalidField, |order| order.trace_context = "é".into()),
];

#[test]
fn each_bad_field_is_rejected_with_its_code_and_name_and_the_reply_is_stored() {
    let mut desk = Desk::open();
    for (number, (field, code, spoil)) in CASES.iter().enumerate() {
        let mut order = limit(&format!("bad-{number}"));
        spoil(&mut order);
        let reply = desk.reply_to(order.clone());
        assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, *code), "{number} {field}: {reply:?}");
        assert_eq!(reply.field, *field, "case {number}");
        assert!(!reply.error_message.is_empty());
        assert_eq!(reply.order_version, 0);

        let again = desk.send(Command::Execute(order));
        assert!(again.duplicate);
        assert_eq!(order_reply(again), reply, "the id is spent");
        assert_eq!(desk.core.get("default", &reply.order_id).reply.as_ref(), Some(&reply));
    }
    assert!(desk.effects.is_empty(), "nothing reached the venue");
    let kinds: Vec<_> = desk.updates.iter().map(|update| (update.sequence, update.kind)).collect();
    let expected: Vec<_> = (1..=CASES.len() as u64).map(|sequence| (sequence, UpdateKind::Rejected)).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn a_good_order_of_each_type_goes_to_the_venue_in_integers() {
    let mut desk = Desk::open();
    for (number, order_type) in
        [OrderType::Market, OrderType::Limit, OrderType::StopLoss, OrderType::TakeProfit].into_iter().enumerate()
    {
        let order = Order {
            order_type: Some(order_type),
            stop_loss: Some(decimal("90")),
            take_profit: Some(decimal("110.50")),
            metadata: (0..32).map(|key| (key.to_string(), "x".repeat(256))).collect(),
            expires_at_ns: Some(START_NS + 1),
            trace_context: "x".repeat(128),
            ..limit(&format!("good-{number}"))
        };
        desk.work(order);
        let Some(Effect::Venue(VenueCommand::New(new))) = desk.effects.pop() else { panic!("not sent") };
        assert_eq!(new.quantity_steps, 10_000);
        assert_eq!(new.price_ticks, (order_type != OrderType::Market).then_some(10_000));
        assert_eq!((new.stop_loss_ticks, new.take_profit_ticks), (Some(9_000), Some(11_050)));
    }
}

#[test]
fn a_market_order_may_name_a_reference_price_off_the_tick() {
    let mut desk = Desk::open();
    desk.work(Order { order_type: Some(OrderType::Market), price: Some(decimal("100.0001")), ..limit("a") });
    assert_eq!(desk.state("a").price, Some(decimal("100.0001")));
}

#[test]
fn a_bad_id_or_account_is_rejected_and_not_stored() {
    let mut desk = Desk::open();
    let before = desk.events.len();
    let long = "x".repeat(65);
    for (id, account, field, code) in [
        ("", "default", "order_id", ReasonCode::MissingField),
        ("a\n", "default", "order_id", ReasonCode::InvalidField),
        ("é", "default", "order_id", ReasonCode::InvalidField),
        ("a·SL", "default", "order_id", ReasonCode::InvalidField),
        (&long, "default", "order_id", ReasonCode::InvalidField),
        ("a", "other", "account", ReasonCode::AccountNotAllowed),
    ] {
        let reply = desk.reply_to(Order { account: account.into(), ..limit(id) });
        assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, code), "{id}");
        assert_eq!((reply.field.as_str(), reply.sequence), (field, 0));
    }
    assert_eq!(desk.events.len(), before);
    assert!(!desk.core.get("default", "a").found);
}

#[test]
fn an_empty_account_is_the_default_one() {
    let mut desk = Desk::open();
    desk.work(Order { account: String::new(), ..limit("a") });
    let again = desk.send(Command::Execute(limit("a")));
    assert!(again.duplicate, "the same order");
    assert_eq!(order_reply(again).account, "default");
}

#[test]
fn of_several_faults_the_first_of_the_table_is_told_whoever_found_it() {
    let mut desk = Desk::open();
    let defect = |field: &str| Some(Rejection::new(ReasonCode::OutOfRange, field, "found by the conversion"));
    let late = Order { symbol: "DAX".into(), defect: defect("price"), price: None, ..limit("a") };
    assert_eq!(desk.reply_to(late).code, ReasonCode::UnknownSymbol);
    let early = Order { quantity: None, price: None, defect: defect("quantity"), ..limit("b") };
    let reply = desk.reply_to(early);
    assert_eq!((reply.code, reply.error_message.as_str()), (ReasonCode::OutOfRange, "found by the conversion"));
    let alone = Order { defect: defect("timestamp"), ..limit("c") };
    assert_eq!(desk.reply_to(alone).field, "timestamp");
}

#[test]
fn an_id_from_too_far_ahead_is_rejected_and_stored() {
    let mut desk = Desk::open();
    let now_ms = START_NS / MS;
    let ahead = uuid7(now_ms + 1_001);
    assert_eq!(desk.reply_to(limit(&ahead)).code, ReasonCode::IdFromFuture);
    assert!(desk.core.get("default", &ahead).found);
    desk.work(limit(&uuid7(now_ms + 1_000)));
}

#[test]
fn an_id_from_before_the_retention_window_is_rejected_and_not_stored() {
    let mut desk = Desk::open();
    let now_ms = START_NS / MS;
    let events = desk.events.len();
    let old = uuid7(now_ms - 60_001);
    assert_eq!(desk.reply_to(limit(&old)).code, ReasonCode::IdTooOld);
    assert!(matches!(&desk.events[events..], [Event::Forgotten(forgotten)] if forgotten.numbers.is_empty()));
    assert_eq!(desk.core.remembered_ids().used, 0);
    desk.work(limit(&uuid7(now_ms - 60_000)));
}
