//! The echo as a service: what it answers. Needs nothing of this crate but the contract.

use crate::proto::{self, execution_service_server::ExecutionService};
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

/// Answers, and does nothing else.
pub struct Echo;

/// The echo has no journal; this is what it names.
const JOURNAL_ID: &str = "00000000-0000-0000-0000-000000000000";

fn canned(order: proto::TradeOrder) -> proto::OrderResponse {
    proto::OrderResponse {
        order_id: order.order_id,
        status: proto::ExecutionStatus::Filled.into(),
        exchange_order_id: "E-1".to_owned(),
        executed_quantity: 1.0,
        executed_price: 100.0,
        ..Default::default()
    }
}

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
        Ok(Response::new(canned(request.into_inner())))
    }

    async fn execute_batch_orders(
        &self,
        request: Request<Streaming<proto::TradeOrder>>,
    ) -> Result<Response<Replies>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map(|order| order.map(canned)))))
    }

    async fn execute_batch(
        &self,
        request: Request<proto::ExecuteBatchRequest>,
    ) -> Result<Response<proto::ExecuteBatchResponse>, Status> {
        let replies = request.into_inner().orders.into_iter().map(canned).collect();
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
}
