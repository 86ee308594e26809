//! An order from its verified table. What cannot be converted becomes the order's defect, for `apply` to answer.

use crate::{DEFAULT_ACCOUNT, schema as fb};
use bridge_core::{Decimal, Order, OrderType, Quote, ReasonCode, Rejection, Side, TimeInForce, TradingState};

pub(super) fn order(table: Option<fb::TradeOrder<'_>>) -> Order {
    let mut order = Order::default();
    order_into(table, &mut order, &mut Vec::new());
    order
}

/// Texts of metadata that can be used again.
pub(super) type SpareEntries = Vec<(String, String)>;

/// Reads an order into the memory of a former one, of which nothing stays.
pub(super) fn order_into(table: Option<fb::TradeOrder<'_>>, order: &mut Order, spare: &mut SpareEntries) {
    let Some(table) = table else {
        // Nothing given: `apply` answers that the id is missing.
        *order = Order { account: account(None), contract_version: crate::CONTRACT_VERSION, ..Order::default() };
        return;
    };
    let mut defect = None;
    order.order_type = table.order_type().and_then(|given| known("order_type", order_type(given), &mut defect));
    order.side = table.side().and_then(|given| known("side", side(given), &mut defect));
    let given = table.time_in_force();
    let time_in_force = given.and_then(|given| known("time_in_force", time_in_force(given), &mut defect));
    order.time_in_force = time_in_force.unwrap_or_default();
    text_into(table.order_id(), &mut order.order_id);
    text_into(Some(account_name(table.account())), &mut order.account);
    text_into(table.symbol(), &mut order.symbol);
    order.quantity = decimal(table.quantity());
    order.price = decimal(table.price());
    order.stop_loss = decimal(table.stop_loss());
    order.take_profit = decimal(table.take_profit());
    order.timestamp_ns = table.timestamp_ns();
    metadata_into(&table, &mut order.metadata, spare);
    order.expires_at_ns = table.expires_at_ns();
    order.contract_version = table.contract_version();
    text_into(table.trace_context(), &mut order.trace_context);
    order.defect = defect;
}

fn metadata_into(table: &fb::TradeOrder<'_>, metadata: &mut Vec<(String, String)>, spare: &mut SpareEntries) {
    let entries = table.metadata().unwrap_or_default();
    if metadata.capacity() > KEPT_ENTRIES {
        *metadata = Vec::new();
    }
    if metadata.len() > entries.len() {
        let room = KEPT_SPARE_ENTRIES.saturating_sub(spare.len());
        spare.extend(metadata.drain(entries.len()..).filter(is_worth_keeping).take(room));
    }
    while metadata.len() < entries.len() {
        metadata.push(spare.pop().unwrap_or_default());
    }
    for (entry, (key, value)) in entries.iter().zip(metadata) {
        text_into(entry.key(), key);
        text_into(entry.value(), value);
    }
}

/// Texts and entries beyond these are longer than any valid order's: their memory is not kept, or what was sent once
/// would be held for good.
const KEPT_TEXT_BYTES: usize = 256;
const KEPT_ENTRIES: usize = 32;
const KEPT_SPARE_ENTRIES: usize = 4096;

fn is_worth_keeping((key, value): &(String, String)) -> bool {
    key.capacity() <= KEPT_TEXT_BYTES && value.capacity() <= KEPT_TEXT_BYTES
}

/// Gives back what is too much to keep of an order whose memory waits to be used again.
pub(super) fn trim(order: &mut Order) {
    for text in [&mut order.order_id, &mut order.account, &mut order.symbol, &mut order.trace_context] {
        if text.capacity() > KEPT_TEXT_BYTES {
            *text = String::new();
        }
    }
    if order.metadata.capacity() > KEPT_ENTRIES {
        order.metadata = Vec::new();
    }
    order.metadata.retain(is_worth_keeping);
    order.defect = None;
}

fn text_into(given: Option<&str>, text: &mut String) {
    if text.capacity() > KEPT_TEXT_BYTES {
        *text = String::new();
    }
    text.clear();
    text.push_str(given.unwrap_or_default());
}

pub(super) fn quote(table: fb::Quote<'_>) -> Quote {
    Quote {
        symbol: text(table.symbol()),
        bid: decimal(table.bid()),
        ask: decimal(table.ask()),
        bid_size: decimal(table.bid_size()),
        ask_size: decimal(table.ask_size()),
        last_price: decimal(table.last_price()),
        volume: decimal(table.volume()),
        timestamp_ns: table.timestamp_ns(),
    }
}

pub(super) fn text(given: Option<&str>) -> String {
    given.unwrap_or_default().to_owned()
}

pub(super) fn account(given: Option<&str>) -> String {
    account_name(given).to_owned()
}

fn account_name(given: Option<&str>) -> &str {
    given.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_ACCOUNT)
}

pub(super) fn decimal(given: Option<&fb::Decimal>) -> Option<Decimal> {
    given.map(|number| Decimal { mantissa: number.mantissa(), exponent: number.exponent() })
}

/// The value if its number has a meaning; otherwise the first such field is the defect. `None` in `Ok` is the
/// schema's own "unspecified", which counts as absent.
pub(super) fn known<T>(field: &str, value: Result<Option<T>, u8>, defect: &mut Option<Rejection>) -> Option<T> {
    value.unwrap_or_else(|number| {
        defect.get_or_insert_with(|| unknown_value(field, i64::from(number)));
        None
    })
}

/// What an enum's field is told whose number has no meaning: the same words on both paths.
pub fn unknown_value(field: &str, number: i64) -> Rejection {
    let allowed = match field {
        "order_type" => "MARKET (0), LIMIT (1), STOP_LOSS (2), TAKE_PROFIT (3)",
        "side" => "BUY (0), SELL (1)",
        "time_in_force" => "GTC (1), IOC (2), FOK (3)",
        "state" => "ACTIVE (1), REDUCING (2), HALTED (3)",
        _ => "the values of the schema",
    };
    Rejection::new(ReasonCode::InvalidField, field, format!("{field} {number} is none of {allowed}"))
}

fn order_type(given: fb::OrderType) -> Result<Option<OrderType>, u8> {
    match given {
        fb::OrderType::MARKET => Ok(Some(OrderType::Market)),
        fb::OrderType::LIMIT => Ok(Some(OrderType::Limit)),
        fb::OrderType::STOP_LOSS => Ok(Some(OrderType::StopLoss)),
        fb::OrderType::TAKE_PROFIT => Ok(Some(OrderType::TakeProfit)),
        fb::OrderType(other) => Err(other),
    }
}

fn side(given: fb::OrderSide) -> Result<Option<Side>, u8> {
    match given {
        fb::OrderSide::BUY => Ok(Some(Side::Buy)),
        fb::OrderSide::SELL => Ok(Some(Side::Sell)),
        fb::OrderSide(other) => Err(other),
    }
}

fn time_in_force(given: fb::TimeInForce) -> Result<Option<TimeInForce>, u8> {
    match given {
        fb::TimeInForce::UNSPECIFIED => Ok(None),
        fb::TimeInForce::GTC => Ok(Some(TimeInForce::Gtc)),
        fb::TimeInForce::IOC => Ok(Some(TimeInForce::Ioc)),
        fb::TimeInForce::FOK => Ok(Some(TimeInForce::Fok)),
        fb::TimeInForce(other) => Err(other),
    }
}

pub(super) fn trading_state(given: fb::TradingState) -> Result<Option<TradingState>, u8> {
    match given {
        fb::TradingState::UNSPECIFIED => Ok(None),
        fb::TradingState::ACTIVE => Ok(Some(TradingState::Active)),
        fb::TradingState::REDUCING => Ok(Some(TradingState::Reducing)),
        fb::TradingState::HALTED => Ok(Some(TradingState::Halted)),
        fb::TradingState(other) => Err(other),
    }
}
