//! The dump: a client's ledger can be compared with it, order by order and fill by fill.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{Order, Side};
use bridge_sequencer::{Options, dump};
use serde_json::Value;
use support::*;

type Fill = (String, u64, String, String);

/// Orders of each kind that trade with the feed and with one another; every record as a line, and the fills that the
/// account's updates told of.
fn dumped_run() -> (Vec<Value>, Vec<Fill>) {
    let mut rig = Rig::new(Options::default());
    let legs = Order {
        stop_loss: Some(decimal("98.00")),
        take_profit: Some(decimal("103.00")),
        ..market("with legs", Side::Buy, "5")
    };
    let requests = [
        execute(legs),
        execute(limit("resting", Side::Sell, "3", "100.00")),
        execute(limit("crossing", Side::Buy, "2", "100.00")),
        execute(limit("bad", Side::Buy, "2", "100.001")),
        publish("q", vec![quote("97.00", "97.50", "100")]),
        cancel("c", "resting"),
        get("fenced", true),
    ];
    let mut told = Vec::new();
    for request in requests {
        rig.submit(request);
        let outputs = rig.turn();
        for update in rig.updates(&outputs) {
            if let (Some(quantity), Some(price)) = (update.last_quantity, update.last_price) {
                let id = update.order.order_id.to_string();
                told.push((id, update.execution_id, quantity.to_string(), price.to_string()));
            }
        }
    }
    let mut lines = Vec::new();
    dump(&rig.disk, |line| lines.push(serde_json::from_str(&line.to_string()).expect("parses"))).unwrap();
    (lines, told)
}

fn fill(value: &Value) -> Fill {
    let text = |field: &str| value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}")).to_owned();
    (text("order_id"), value["execution_id"].as_u64().unwrap(), text("quantity"), text("price"))
}

fn items<'a>(lines: &'a [Value], list: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().flat_map(move |line| line[list].as_array().unwrap())
}

#[test]
fn what_the_account_was_told_and_what_the_exchange_did_agree_fill_by_fill() {
    let (lines, mut told) = dumped_run();
    let mut events: Vec<Fill> = items(&lines, "events").filter(|event| event["event"] == "Filled").map(fill).collect();
    let trades = items(&lines, "venue_events").filter(|event| event["venue_event"] == "Trade");
    let mut fills: Vec<Fill> = trades.flat_map(|trade| trade["fills"].as_array().unwrap()).map(fill).collect();
    for list in [&mut told, &mut events, &mut fills] {
        list.sort();
    }
    assert!(told.len() >= 4, "{told:?}");
    assert!(told.iter().any(|(id, ..)| id == "with legs\u{b7}SL"), "legs have names: {told:?}");
    assert_eq!(events, told);
    assert_eq!(fills, told);
}

#[test]
fn a_line_says_who_asked_what_and_what_was_answered() {
    let (lines, _) = dumped_run();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    let expected = [
        "Started",
        "Configured",
        "ExecuteOrder",
        "ExecuteOrder",
        "ExecuteOrder",
        "ExecuteOrder",
        "PublishQuotes",
        "CancelOrder",
        "Fence",
    ];
    assert_eq!(kinds, expected);
    let line = &lines[4];
    assert_eq!(
        (&line["seq"], &line["principal"], &line["path"], &line["session_id"]),
        (&5.into(), &"local".into(), &"zmq".into(), &"session".into())
    );
    assert_eq!((&line["input"]["order_id"], &line["input"]["price"]), (&"crossing".into(), &"100".into()));
    let reply = &line["reply"];
    assert_eq!((&reply["order_id"], &reply["status"]), (&"crossing".into(), &"FILLED".into()));
    assert_eq!(
        (&lines[5]["reply"]["status"], &lines[5]["reply"]["code"]),
        (&"REJECTED".into(), &"PRICE_OFF_TICK".into())
    );
    assert_eq!(lines[8]["events"][0]["order_id"], "fenced");
    let mut opening = lines[1]["events"].as_array().unwrap().iter();
    let last_price = opening.find(|event| event["event"] == "LastPriceSet").unwrap();
    assert_eq!((&last_price["symbol"], &last_price["last_price"]), (&"ACME".into(), &"100".into()));
}

#[test]
fn no_internal_number_stands_where_an_id_or_a_decimal_belongs() {
    let (lines, _) = dumped_run();
    let text = lines.iter().map(Value::to_string).collect::<String>();
    for internal in ["_ticks", "_steps", "mantissa", "\"key\"", "unprintable"] {
        let position = text.find(internal);
        assert_eq!(position, None, "{internal}: …{}", &text[position.unwrap_or(0)..][..80]);
    }
}
