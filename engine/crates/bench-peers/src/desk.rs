//! What a responder of an ordinary message library does with an order: reads every field of its JSON, and answers with
//! a JSON that has every field of the reply. Nothing is remembered, matched or journaled.

use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, hint::black_box};

/// `transport.Order` as msgspec writes it: decimals are texts, enums numbers.
#[derive(Deserialize)]
#[expect(dead_code, reason = "reading is the point: serde makes every field")]
struct Order<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    order_type: u8,
    side: u8,
    #[serde(borrow)]
    quantity: Cow<'a, str>,
    #[serde(borrow)]
    price: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_loss: Option<Cow<'a, str>>,
    #[serde(borrow)]
    take_profit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    #[serde(borrow)]
    account: Cow<'a, str>,
    time_in_force: u8,
    timestamp_ns: Option<i64>,
    #[serde(borrow)]
    metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    expires_at_ns: Option<i64>,
    contract_version: u16,
    #[serde(borrow)]
    trace_context: Cow<'a, str>,
}

/// `transport.OrderReply` as msgspec reads it.
#[derive(Serialize)]
struct OrderReply<'a> {
    order_id: &'a str,
    status: u8,
    exchange_order_id: &'a str,
    executed_quantity: &'a str,
    executed_price: &'a str,
    execution_time_ns: i64,
    error_message: &'a str,
    code: u16,
    field: &'a str,
    account: &'a str,
    order_version: u64,
    sequence: u64,
    remaining_quantity: &'a str,
    symbol: &'a str,
    order_type: u8,
    side: u8,
    quantity: &'a str,
    price: Option<&'a str>,
    parent_order_id: &'a str,
}

/// `ExecutionStatus.FILLED`.
const FILLED: u8 = 1;

/// Answers orders, and counts them.
#[derive(Default)]
pub struct Desk {
    answered: u64,
}

impl Desk {
    /// The reply to one order, into `answer`.
    ///
    /// # Errors
    /// The bytes are no order.
    pub fn answer(&mut self, request: &[u8], answer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        // Every field has been read by then; the compiler must not find out that most are not used.
        let order: Order<'_> = black_box(serde_json::from_slice(request)?);
        self.answered += 1;
        answer.clear();
        let reply = OrderReply {
            order_id: &order.order_id,
            status: FILLED,
            exchange_order_id: "E-123456",
            executed_quantity: &order.quantity,
            executed_price: "100.01",
            execution_time_ns: 1_718_000_000_123_456_789,
            error_message: "",
            code: 0,
            field: "",
            account: &order.account,
            order_version: 1,
            sequence: self.answered,
            remaining_quantity: "0",
            symbol: &order.symbol,
            order_type: order.order_type,
            side: order.side,
            quantity: &order.quantity,
            price: order.price.as_deref(),
            parent_order_id: "",
        };
        serde_json::to_writer(answer, &reply)
    }
}

#[cfg(test)]
mod tests {
    use super::Desk;

    const ORDER: &str = r#"{"symbol":"NASDAQ","order_type":1,"side":0,"quantity":"1.5","price":null,"stop_loss":null,
        "take_profit":null,"order_id":"id-1","account":"default","time_in_force":1,"timestamp_ns":null,
        "metadata":{"desk":"Z\u00fcrich"},"expires_at_ns":null,"contract_version":1,"trace_context":""}"#;

    #[test]
    fn an_order_is_answered_by_its_own_fields() -> Result<(), Box<dyn std::error::Error>> {
        let (mut desk, mut answer) = (Desk::default(), b"what was there before".to_vec());
        for sequence in 1..=2 {
            desk.answer(ORDER.as_bytes(), &mut answer)?;
            let reply: serde_json::Value = serde_json::from_slice(&answer)?;
            assert_eq!((&reply["order_id"], &reply["quantity"]), (&"id-1".into(), &"1.5".into()));
            assert_eq!(reply["sequence"], sequence);
        }
        Ok(())
    }

    #[test]
    fn an_order_without_one_of_its_fields_is_none() {
        let short = ORDER.replace(r#""side":0,"#, "");
        assert!(Desk::default().answer(short.as_bytes(), &mut Vec::new()).is_err());
    }
}
