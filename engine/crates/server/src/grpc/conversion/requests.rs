//! Requests: protobuf to core. What cannot be converted becomes the `defect`, so that `apply` looks the id up first.

use super::numbers::Defects;
use crate::proto;
use bridge_core::{
    CancelAllOrders, CancelOrder, Order, OrderType, PublishQuotes, Quote, ReasonCode, ReplaceOrder, RiskLimits,
    SetCancelOnDisconnect, SetRiskLimits, SetTradingState, Side, TimeInForce, TradingState,
};
use bridge_wire::CONTRACT_VERSION;

/// The account that is meant where none is named.
const DEFAULT_ACCOUNT: &str = "default";

fn account(given: String) -> String {
    if given.is_empty() { DEFAULT_ACCOUNT.to_owned() } else { given }
}

/// An order; `traceparent` is the header's, for orders that carry no trace context of their own.
pub fn order(from: proto::TradeOrder, traceparent: &str) -> Order {
    let mut defects = Defects::default();
    let contract_version = contract_version(from.contract_version, &mut defects);
    let order_type = order_type(&from, &mut defects);
    let side = side(&from, &mut defects);
    let mut metadata: Vec<_> = from.metadata.into_iter().collect();
    // The map has no order; one order of entries makes one record out of one message.
    metadata.sort_unstable();
    Order {
        order_id: from.order_id,
        account: account(from.account),
        symbol: from.symbol,
        order_type,
        side,
        quantity: defects.number("quantity", from.quantity, from.quantity_exact),
        price: defects.number("price", from.price, from.price_exact),
        stop_loss: defects.number("stop_loss", from.stop_loss, from.stop_loss_exact),
        take_profit: defects.number("take_profit", from.take_profit, from.take_profit_exact),
        timestamp_ns: defects.timestamp("timestamp", from.timestamp),
        metadata,
        time_in_force: time_in_force(from.time_in_force, &mut defects),
        expires_at_ns: defects.timestamp("expires_at", from.expires_at),
        contract_version,
        trace_context: if from.trace_context.is_empty() { traceparent.to_owned() } else { from.trace_context },
        defect: defects.first,
    }
}

/// Protobuf has no 16-bit numbers: what is above is refused in the words of the versions that merely are unknown.
fn contract_version(given: u32, defects: &mut Defects) -> u16 {
    u16::try_from(given).unwrap_or_else(|_| {
        let message = format!(
            "contract_version {given} may carry constraints that this engine does not know; it knows 0 to {CONTRACT_VERSION}"
        );
        defects.note(ReasonCode::UnsupportedContractVersion, "contract_version", message);
        u16::MAX
    })
}

fn order_type(from: &proto::TradeOrder, defects: &mut Defects) -> Option<OrderType> {
    let value = given("order_type", from.contract_version, from.order_type, from.order_type_given, defects)?;
    let converted = match value {
        0 => Some(OrderType::Market),
        1 => Some(OrderType::Limit),
        2 => Some(OrderType::StopLoss),
        3 => Some(OrderType::TakeProfit),
        _ => None,
    };
    if converted.is_none() {
        defects.note_unknown("order_type", value);
    }
    converted
}

fn side(from: &proto::TradeOrder, defects: &mut Defects) -> Option<Side> {
    let value = given("side", from.contract_version, from.side, from.side_given, defects)?;
    let converted = match value {
        0 => Some(Side::Buy),
        1 => Some(Side::Sell),
        _ => None,
    };
    if converted.is_none() {
        defects.note_unknown("side", value);
    }
    converted
}

/// The value of an enum with two fields: the original's, whose 0 may mean absent, and the one with presence.
fn given(
    field: &str,
    contract_version: u32,
    old: i32,
    with_presence: Option<i32>,
    defects: &mut Defects,
) -> Option<i32> {
    match with_presence {
        Some(value) if old != 0 && old != value => {
            let message = format!("{field} is {old} and {field}_given is {value}; give equal values");
            defects.note(ReasonCode::ConflictingValues, field, message);
            None
        }
        Some(value) => Some(value),
        None if contract_version == 0 => Some(old),
        None => None,
    }
}

fn time_in_force(value: i32, defects: &mut Defects) -> TimeInForce {
    match value {
        0 | 1 => TimeInForce::Gtc,
        2 => TimeInForce::Ioc,
        3 => TimeInForce::Fok,
        _ => {
            defects.note_unknown("time_in_force", value);
            TimeInForce::Gtc
        }
    }
}

/// `CancelOrder`.
pub fn cancel(from: proto::CancelOrderRequest) -> CancelOrder {
    CancelOrder {
        command_id: from.command_id,
        account: account(from.account),
        order_id: from.order_id,
        expected_version: from.expected_version,
        defect: None,
    }
}

/// `ReplaceOrder`.
pub fn replace(from: proto::ReplaceOrderRequest) -> ReplaceOrder {
    let mut defects = Defects::default();
    ReplaceOrder {
        command_id: from.command_id,
        account: account(from.account),
        order_id: from.order_id,
        expected_version: from.expected_version,
        quantity: defects.exact("quantity", from.quantity),
        price: defects.exact("price", from.price),
        defect: defects.first,
    }
}

/// `CancelAllOrders`.
pub fn cancel_all(from: proto::CancelAllOrdersRequest) -> CancelAllOrders {
    CancelAllOrders { command_id: from.command_id, account: account(from.account), symbol: from.symbol, defect: None }
}

/// `SetTradingState`.
pub fn set_trading_state(from: proto::SetTradingStateRequest) -> SetTradingState {
    let mut defects = Defects::default();
    let state = match from.state {
        0 => None,
        1 => Some(TradingState::Active),
        2 => Some(TradingState::Reducing),
        3 => Some(TradingState::Halted),
        value => {
            defects.note_unknown("state", value);
            None
        }
    };
    SetTradingState {
        command_id: from.command_id,
        account: account(from.account),
        state,
        cancel_open_orders: from.cancel_open_orders,
        all_accounts: from.all_accounts,
        defect: defects.first,
    }
}

/// `SetRiskLimits`.
pub fn set_risk_limits(from: proto::SetRiskLimitsRequest) -> SetRiskLimits {
    let mut defects = Defects::default();
    let limits = from.limits.unwrap_or_default();
    SetRiskLimits {
        command_id: from.command_id,
        account: account(from.account),
        symbol: from.symbol,
        limits: RiskLimits {
            max_order_quantity: defects.exact("limits.max_order_quantity", limits.max_order_quantity),
            max_order_notional: defects.exact("limits.max_order_notional", limits.max_order_notional),
            price_collar: defects.exact("limits.price_collar", limits.price_collar),
            max_open_orders: limits.max_open_orders,
            max_position: defects.exact("limits.max_position", limits.max_position),
            orders_per_second: limits.orders_per_second,
            order_burst: limits.order_burst,
        },
        defect: defects.first,
    }
}

/// `SetCancelOnDisconnect`, of the session that the metadata names.
pub fn set_cancel_on_disconnect(from: proto::SetCancelOnDisconnectRequest, session_id: &str) -> SetCancelOnDisconnect {
    SetCancelOnDisconnect {
        command_id: from.command_id,
        account: account(from.account),
        session_id: session_id.to_owned(),
        grace_ms: from.grace_ms.map(u64::from),
        defect: None,
    }
}

/// `PublishQuotes`.
pub fn publish_quotes(from: proto::PublishQuotesRequest) -> PublishQuotes {
    let mut defects = Defects::default();
    let quotes = from.quotes.into_iter().map(|quote| self::quote(quote, &mut defects)).collect();
    PublishQuotes { command_id: from.command_id, account: DEFAULT_ACCOUNT.to_owned(), quotes, defect: defects.first }
}

fn quote(from: proto::Quote, defects: &mut Defects) -> Quote {
    Quote {
        symbol: from.symbol,
        bid: defects.exact("bid", from.bid),
        ask: defects.exact("ask", from.ask),
        bid_size: defects.exact("bid_size", from.bid_size),
        ask_size: defects.exact("ask_size", from.ask_size),
        last_price: defects.exact("last_price", from.last_price),
        volume: defects.exact("volume", from.volume),
        timestamp_ns: defects.timestamp("timestamp", from.timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_the_original_schema_buys_at_market_by_leaving_both_out() {
        let order = order(proto::TradeOrder { order_id: "a".into(), quantity: 1.0, ..Default::default() }, "");
        assert_eq!((order.order_type, order.side), (Some(OrderType::Market), Some(Side::Buy)));
        assert_eq!((order.account.as_str(), order.contract_version, order.defect), ("default", 0, None));
    }

    #[test]
    fn from_contract_version_1_on_type_and_side_must_be_given() {
        let order = order(proto::TradeOrder { contract_version: 1, order_type: 1, ..Default::default() }, "");
        assert_eq!((order.order_type, order.side), (None, None));
    }

    #[test]
    fn a_contract_version_beyond_16_bits_is_told_by_its_true_number() {
        let defect = order(proto::TradeOrder { contract_version: 70_000, ..Default::default() }, "").defect;
        let told = defect.map(|d| (d.code, d.message.contains("70000")));
        assert_eq!(told, Some((ReasonCode::UnsupportedContractVersion, true)));
    }

    #[test]
    fn two_fields_that_disagree_are_a_defect() {
        let from =
            proto::TradeOrder { contract_version: 1, order_type: 1, order_type_given: Some(2), ..Default::default() };
        let defect = order(from, "").defect;
        assert_eq!(defect.map(|d| (d.code, d.field)), Some((ReasonCode::ConflictingValues, "order_type".into())));
    }
}
