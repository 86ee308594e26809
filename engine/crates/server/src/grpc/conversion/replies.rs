//! Replies, updates and market data: core to protobuf. Both the doubles of the original and the exact numbers.

use super::numbers::{decimal, timestamp};
use crate::{proto, reactor::PublishedQuote};
use bridge_core::{
    CommandReply, ExecuteReply, ExecutionStatus, GetOrderReply, OpenOrders, OrderCommandReply, OrderReply, OrderUpdate,
    Rejection,
};
use bridge_sequencer::{HealthReport, HealthStatus};

/// State of one order.
pub fn order_reply(from: OrderReply) -> proto::OrderResponse {
    proto::OrderResponse {
        status: from.status as i32,
        executed_quantity: from.executed_quantity.to_f64(),
        executed_price: from.executed_price.map_or(0.0, |price| price.to_f64()),
        execution_time: from.execution_time_ns.map(timestamp),
        code: from.code as i32,
        executed_quantity_exact: Some(decimal(from.executed_quantity)),
        executed_price_exact: from.executed_price.map(decimal),
        remaining_quantity: Some(decimal(from.remaining_quantity)),
        order_type: from.order_type.map(|value| value as i32),
        side: from.side.map(|value| value as i32),
        quantity: from.quantity.map(decimal),
        price: from.price.map(decimal),
        order_version: from.order_version,
        sequence: from.sequence,
        order_id: from.order_id.into(),
        exchange_order_id: from.exchange_order_id.into(),
        error_message: from.error_message.into(),
        field: from.field.into(),
        account: from.account.into(),
        symbol: from.symbol.into(),
        parent_order_id: from.parent_order_id.into(),
        ..Default::default()
    }
}

/// An order of a stream or batch that was refused before `apply`: this copy had no effect.
pub fn refused_order(order_id: String, rejection: Rejection) -> proto::OrderResponse {
    proto::OrderResponse {
        order_id,
        status: ExecutionStatus::Failed as i32,
        code: rejection.code as i32,
        field: rejection.field.into(),
        error_message: rejection.message.into(),
        ..Default::default()
    }
}

/// Ends `ExecuteBatch`.
pub fn batch_reply(from: Vec<ExecuteReply>) -> proto::ExecuteBatchResponse {
    let one = |reply: ExecuteReply| proto::OrderResponse { duplicate: reply.duplicate, ..order_reply(reply.reply) };
    proto::ExecuteBatchResponse { replies: from.into_iter().map(one).collect() }
}

/// Ends `CancelOrder` and `ReplaceOrder`.
pub fn order_command_reply(from: OrderCommandReply) -> proto::OrderCommandResponse {
    proto::OrderCommandResponse {
        command_id: from.command_id.into(),
        code: from.code as i32,
        message: from.message.into(),
        field: from.field.into(),
        order: from.order.map(order_reply),
        duplicate: from.duplicate,
        fenced: from.fenced,
    }
}

/// Ends the commands that are not about one order.
pub fn command_reply(from: CommandReply) -> proto::CommandResponse {
    proto::CommandResponse {
        command_id: from.command_id.into(),
        code: from.code as i32,
        message: from.message.into(),
        field: from.field.into(),
        affected: from.affected,
        duplicate: from.duplicate,
    }
}

/// Ends `GetOrder`.
pub fn get_order_reply(from: GetOrderReply) -> proto::GetOrderResponse {
    proto::GetOrderResponse {
        found: from.found,
        fenced: from.fenced,
        order: from.order.map(order_reply),
        reply: from.reply.map(order_reply),
        code: from.code.map_or(0, |code| code as i32),
        message: from.message.into(),
        field: from.field.into(),
    }
}

/// Answers `ListOpenOrders`.
pub fn open_orders(from: OpenOrders) -> proto::OpenOrdersResponse {
    proto::OpenOrdersResponse {
        last_sequence: from.last_sequence,
        orders: from.orders.into_iter().map(order_reply).collect(),
        more: from.more,
        code: from.code as i32,
        message: from.message.into(),
        field: from.field.into(),
    }
}

/// One update of a subscription.
pub fn update(from: &OrderUpdate) -> proto::OrderResponse {
    proto::OrderResponse {
        // The update's own number: the order's state carries the same one.
        sequence: from.sequence,
        update_kind: from.kind as i32,
        execution_id: from.execution_id,
        last_quantity: from.last_quantity.map(decimal),
        last_price: from.last_price.map(decimal),
        event_time: Some(timestamp(from.event_time_ns)),
        snapshot: from.snapshot,
        ..order_reply(from.order.clone())
    }
}

/// A gap mark: this message is that and nothing else.
pub fn gap(first_sequence: u64, last_sequence: u64) -> proto::OrderResponse {
    proto::OrderResponse { gap: Some(proto::UpdateGap { first_sequence, last_sequence }), ..Default::default() }
}

/// One quote of a feed.
pub fn market_data(from: &PublishedQuote) -> proto::MarketDataUpdate {
    let data = &from.data;
    let double = |value: Option<bridge_core::Decimal>| value.map_or(0.0, |value| value.to_f64());
    proto::MarketDataUpdate {
        symbol: data.symbol.to_string(),
        bid: double(data.bid),
        ask: double(data.ask),
        last_price: double(data.last_price),
        volume: double(data.volume),
        timestamp: Some(timestamp(data.timestamp_ns)),
        bid_exact: data.bid.map(decimal),
        ask_exact: data.ask.map(decimal),
        last_price_exact: data.last_price.map(decimal),
        volume_exact: data.volume.map(decimal),
        bid_size: data.bid_size.map(decimal),
        ask_size: data.ask_size.map(decimal),
        topic_sequence: from.topic_sequence,
    }
}

/// Ends `HealthCheck`.
pub fn health_reply(from: HealthReport) -> proto::HealthCheckResponse {
    use proto::health_check_response::ServingStatus;
    let status = match from.status {
        HealthStatus::Serving => ServingStatus::Serving,
        HealthStatus::Degraded => ServingStatus::Degraded,
        HealthStatus::NotServing => ServingStatus::NotServing,
    };
    proto::HealthCheckResponse {
        status: status.into(),
        message: from.message,
        journal_id: from.journal_id,
        epoch: from.epoch,
        journal_seq: from.journal_seq,
        state_hash: format!("{:032x}", from.state_hash),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        durability: from.durability.name().to_owned(),
        duplicates: from.duplicates,
        counters: from.counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        contract_version: crate::reactor::CONTRACT_VERSION.into(),
    }
}
