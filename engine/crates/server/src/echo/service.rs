//! The echo as a service: what it answers. Needs nothing of this crate but the contract.

use crate::proto::{self, execution_service_server::ExecutionService};
use prost_types::Timestamp;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

/// Answers, and does nothing else.
#[derive(Default)]
pub struct Echo {
    /// Clients demand that the numbers of updates grow.
    sequence: Arc<AtomicU64>,
}

/// The echo has no journal; this is what it names.
const JOURNAL_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Every field that the engine's reply to a filled order has.
fn canned(order: proto::TradeOrder, sequence: u64) -> proto::OrderResponse {
    let price = proto::Decimal { mantissa: 10_001, exponent: -2 };
    proto::OrderResponse {
        status: proto::ExecutionStatus::Filled.into(),
        exchange_order_id: "E-123456".to_owned(),
        executed_quantity: 1.5,
        executed_price: 100.01,
        execution_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
        executed_quantity_exact: order.quantity_exact,
        executed_price_exact: Some(price),
        remaining_quantity: Some(proto::Decimal { mantissa: 0, exponent: 0 }),
        quantity: order.quantity_exact,
        order_type: Some(order.order_type),
        side: Some(order.side),
        order_version: 2,
        sequence,
        order_id: order.order_id,
        account: order.account,
        symbol: order.symbol,
        ..Default::default()
    }
}

fn next(sequence: &AtomicU64) -> u64 {
    FIRST_SEQUENCE + sequence.fetch_add(1, Ordering::Relaxed)
}

/// As long on the wire as those of an engine at work.
const FIRST_SEQUENCE: u64 = 100_000;

type Replies = Pin<Box<dyn Stream<Item = Result<proto::OrderResponse, Status>> + Send>>;
type Quotes = Pin<Box<dyn Stream<Item = Result<proto::MarketDataUpdate, Status>> + Send>>;

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the echo answers ExecuteOrder, ExecuteBatch and ExecuteBatchOrders only"))
}

#[tonic::async_trait]
impl ExecutionService for Echo {
    type ExecuteBatchOrdersStream = Replies;
    type StreamMarketDataStream = Quotes;
    type SubscribeOrderUpdatesStream = Replies;

    async fn execute_order(
        &self,
        request: Request<proto::TradeOrder>,
    ) -> Result<Response<proto::OrderResponse>, Status> {
        Ok(Response::new(canned(request.into_inner(), next(&self.sequence))))
    }

    async fn execute_batch_orders(
        &self,
        request: Request<Streaming<proto::TradeOrder>>,
    ) -> Result<Response<Replies>, Status> {
        let sequence = self.sequence.clone();
        let replies = request.into_inner().map(move |order| order.map(|order| canned(order, next(&sequence))));
        Ok(Response::new(Box::pin(replies)))
    }

    async fn execute_batch(
        &self,
        request: Request<proto::ExecuteBatchRequest>,
    ) -> Result<Response<proto::ExecuteBatchResponse>, Status> {
        let replies =
            request.into_inner().orders.into_iter().map(|order| canned(order, next(&self.sequence))).collect();
        Ok(Response::new(proto::ExecuteBatchResponse { replies }))
    }

    async fn health_check(
        &self,
        _: Request<proto::HealthCheckRequest>,
    ) -> Result<Response<proto::HealthCheckResponse>, Status> {
        let status = proto::health_check_response::ServingStatus::Serving.into();
        let journal_id = JOURNAL_ID.to_owned();
        let health = proto::HealthCheckResponse { status, journal_id, epoch: 1, ..Default::default() };
        let mut response = Response::new(health);
        // Clients send nothing to an engine that they do not know.
        response.metadata_mut().insert("x-journal-id", MetadataValue::from_static(JOURNAL_ID));
        response.metadata_mut().insert("x-epoch", MetadataValue::from_static("1"));
        Ok(response)
    }

    async fn stream_market_data(&self, _: Request<proto::MarketDataRequest>) -> Result<Response<Quotes>, Status> {
        not_here()
    }

    async fn subscribe_order_updates(
        &self,
        _: Request<proto::OrderSubscriptionRequest>,
    ) -> Result<Response<Replies>, Status> {
        not_here()
    }

    async fn cancel_order(
        &self,
        _: Request<proto::CancelOrderRequest>,
    ) -> Result<Response<proto::OrderCommandResponse>, Status> {
        not_here()
    }

    async fn replace_order(
        &self,
        _: Request<proto::ReplaceOrderRequest>,
    ) -> Result<Response<proto::OrderCommandResponse>, Status> {
        not_here()
    }

    async fn get_order(&self, _: Request<proto::GetOrderRequest>) -> Result<Response<proto::GetOrderResponse>, Status> {
        not_here()
    }

    async fn cancel_all_orders(
        &self,
        _: Request<proto::CancelAllOrdersRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        not_here()
    }

    async fn publish_quotes(
        &self,
        _: Request<proto::PublishQuotesRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        not_here()
    }

    async fn set_trading_state(
        &self,
        _: Request<proto::SetTradingStateRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        not_here()
    }

    async fn set_risk_limits(
        &self,
        _: Request<proto::SetRiskLimitsRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        not_here()
    }

    async fn set_cancel_on_disconnect(
        &self,
        _: Request<proto::SetCancelOnDisconnectRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        not_here()
    }

    async fn list_open_orders(
        &self,
        _: Request<proto::ListOpenOrdersRequest>,
    ) -> Result<Response<proto::OpenOrdersResponse>, Status> {
        not_here()
    }
}
