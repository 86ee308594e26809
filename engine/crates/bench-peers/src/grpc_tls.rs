//! The original design's transport: gRPC unary with TLS on both sides (mTLS), a canned reply and no engine behind it.

use crate::{Failure, proto};
use proto::execution_service_server::{ExecutionService, ExecutionServiceServer};
use std::{hint::black_box, net::SocketAddr, path::PathBuf, pin::Pin};
use tokio::runtime::Builder;
use tonic::{
    Request, Response, Status, Streaming,
    codegen::tokio_stream::Stream,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

/// Where, and as whom. All certificates are PEM.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The server's certificate chain.
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key.
    #[arg(long)]
    key: PathBuf,
    /// Who signs the clients' certificates; a client without one is refused.
    #[arg(long)]
    client_ca: PathBuf,
}

/// Prints a ready line and serves until it is killed.
///
/// # Errors
/// A certificate cannot be read, or the address is taken.
pub fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let identity = Identity::from_pem(read(&arguments.certificate)?, read(&arguments.key)?);
    let clients = Certificate::from_pem(read(&arguments.client_ca)?);
    let tls = ServerTlsConfig::new().identity(identity).client_ca_root(clients);
    // One thread, as the engine's: two cores are shared with the client.
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let incoming = TcpIncoming::bind(arguments.listen)?.with_nodelay(Some(true));
        let bound = incoming.local_addr()?;
        println!("{}", serde_json::json!({"event": "ready", "grpc": bound.to_string(), "pid": std::process::id()}));
        let service = ExecutionServiceServer::new(Canned);
        Ok(Server::builder().tls_config(tls)?.add_service(service).serve_with_incoming(incoming).await?)
    })
}

struct Canned;

/// Every field that a filled order's reply has.
fn reply(order: proto::TradeOrder) -> proto::OrderResponse {
    // prost has read every field by now.
    let order = black_box(order);
    proto::OrderResponse {
        status: proto::ExecutionStatus::Filled.into(),
        exchange_order_id: "E-123456".to_owned(),
        executed_quantity: order.quantity,
        executed_price: 100.01,
        execution_time: Some(prost_types::Timestamp { seconds: 1_718_000_000, nanos: 123_456_789 }),
        account: order.account,
        order_version: 1,
        sequence: 246_912,
        executed_quantity_exact: order.quantity_exact,
        executed_price_exact: Some(proto::Decimal { mantissa: 10001, exponent: -2 }),
        remaining_quantity: Some(proto::Decimal::default()),
        symbol: order.symbol,
        order_type: order.order_type_given,
        side: order.side_given,
        quantity: order.quantity_exact,
        order_id: order.order_id,
        ..Default::default()
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<proto::OrderResponse, Status>> + Send>>;
type Quotes = Pin<Box<dyn Stream<Item = Result<proto::MarketDataUpdate, Status>> + Send>>;

/// What async_trait would make of methods that never wait: it does not see into macros.
macro_rules! answers {
    ($($name:ident($request:ty) -> $reply:ty = $answer:expr;)*) => {$(
        fn $name<'this, 'call>(
            &'this self,
            request: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$reply>, Status>> + Send + 'call>>
        where
            'this: 'call,
        {
            Box::pin(async move { $answer(request.into_inner()).map(Response::new) })
        }
    )*};
}

fn not_here<Request, Reply>(_: Request) -> Result<Reply, Status> {
    Err(Status::unimplemented("the canned server answers ExecuteOrder only"))
}

impl ExecutionService for Canned {
    type ExecuteBatchOrdersStream = Replies;
    type StreamMarketDataStream = Quotes;
    type SubscribeOrderUpdatesStream = Replies;

    answers! {
        execute_order(proto::TradeOrder) -> proto::OrderResponse = |order| Ok(reply(order));
        execute_batch_orders(Streaming<proto::TradeOrder>) -> Replies = not_here;
        execute_batch(proto::ExecuteBatchRequest) -> proto::ExecuteBatchResponse = not_here;
        health_check(proto::HealthCheckRequest) -> proto::HealthCheckResponse = not_here;
        stream_market_data(proto::MarketDataRequest) -> Quotes = not_here;
        subscribe_order_updates(proto::OrderSubscriptionRequest) -> Replies = not_here;
        cancel_order(proto::CancelOrderRequest) -> proto::OrderCommandResponse = not_here;
        replace_order(proto::ReplaceOrderRequest) -> proto::OrderCommandResponse = not_here;
        get_order(proto::GetOrderRequest) -> proto::GetOrderResponse = not_here;
        cancel_all_orders(proto::CancelAllOrdersRequest) -> proto::CommandResponse = not_here;
        publish_quotes(proto::PublishQuotesRequest) -> proto::CommandResponse = not_here;
        set_trading_state(proto::SetTradingStateRequest) -> proto::CommandResponse = not_here;
        set_risk_limits(proto::SetRiskLimitsRequest) -> proto::CommandResponse = not_here;
        set_cancel_on_disconnect(proto::SetCancelOnDisconnectRequest) -> proto::CommandResponse = not_here;
        list_open_orders(proto::ListOpenOrdersRequest) -> proto::OpenOrdersResponse = not_here;
    }
}
