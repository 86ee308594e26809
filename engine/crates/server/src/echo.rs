//! A bare tonic server that answers every `ExecuteOrder` with one canned reply: what gRPC itself costs, for `bench/`.

use crate::{failure::Failure, grpc, proto, settings};
use proto::execution_service_server::{ExecutionService, ExecutionServiceServer};
use std::{pin::Pin, time::Duration};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, transport::Server};

struct Echo;

/// The echo has no journal; this is what it names.
const JOURNAL_ID: &str = "00000000-0000-0000-0000-000000000000";
/// As the engine's default.
const HANDSHAKE: Duration = Duration::from_secs(5);

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
        // Clients send nothing to an engine that they do not know.
        let identity = grpc::Identity { journal_id: JOURNAL_ID.into(), epoch: 1 };
        let journal_id = JOURNAL_ID.to_owned();
        let health = proto::HealthCheckResponse { status, journal_id, epoch: 1, ..Default::default() };
        Ok(identity.response(health))
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

/// Serves until it is killed; prints a ready line like `serve`'s.
///
/// # Errors
/// The address is no loopback address, or taken.
pub fn serve(address: &str) -> Result<(), Failure> {
    let address = settings::parse_address("grpc", address)?;
    grpc::runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|e| Failure::setup(format!("grpc: cannot listen on {address}: {e}")))?;
        let bound = listener.local_addr().map_err(|e| Failure::broken(e.to_string()))?;
        println!("{}", serde_json::json!({"event": "ready", "grpc": bound.to_string(), "pid": std::process::id()}));
        let connections = grpc::connections(listener, &grpc::ConnectionCount::new(256), HANDSHAKE);
        let server = Server::builder().add_service(ExecutionServiceServer::new(Echo));
        server.serve_with_incoming(connections).await.map_err(|e| Failure::broken(format!("the echo failed: {e}")))
    })
}
