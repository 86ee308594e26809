//! `smc_trading.execution.ExecutionService`: converts, hands over to the reactor, converts back.

use super::{
    caller::Caller,
    conversion,
    gateway::{Answer, Gateway, Order},
    sessions::NamedSessions,
    status::refusal,
    streams,
};
use crate::proto::{self, execution_service_server::ExecutionService};
use bridge_core::{Command, ReasonCode, Rejection};
use bridge_sequencer::{HealthReport, Reply, Request};
use std::{pin::Pin, sync::Arc};
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tonic::{
    Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
};

/// Which engine answers: on the headers of every response.
#[derive(Clone)]
pub struct Identity {
    journal_id: Arc<str>,
    journal_id_header: Option<MetadataValue<Ascii>>,
    epoch_header: MetadataValue<Ascii>,
}

impl Identity {
    /// The data directory's journal, and this start of its engine.
    pub fn new(journal_id: &str, epoch: u64) -> Self {
        Self {
            journal_id: journal_id.into(),
            // A UUID is ASCII.
            journal_id_header: journal_id.parse().ok(),
            epoch_header: epoch.into(),
        }
    }

    /// A response that says which engine it is from.
    pub fn response<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        let headers = response.metadata_mut();
        if let Some(journal_id) = &self.journal_id_header {
            headers.insert("x-journal-id", journal_id.clone());
        }
        headers.insert("x-epoch", self.epoch_header.clone());
        response
    }
}

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// Into the reactor.
    pub gateway: Gateway,
    /// Which engine answers.
    pub identity: Identity,
    /// Orders of one stream that are not answered yet.
    pub stream_window: usize,
    /// Updates that wait in a subscriber's channel.
    pub update_channel: usize,
    /// Market data messages that wait in a subscriber's channel.
    pub market_data_backlog: usize,
    /// Instruments of the configuration.
    pub symbols: Arc<[Arc<str>]>,
}

type BoxedStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    fn caller<T>(&self, request: &tonic::Request<T>) -> Result<Caller, Status> {
        let caller = Caller::from_metadata(request.metadata(), &self.identity.journal_id);
        let caller = caller.map_err(|r| refusal(&r))?;
        name_session(request, &caller.session_id)?;
        Ok(caller)
    }

    /// One request, one reply; a refusal is a status.
    async fn call(&self, session_id: Arc<str>, request: Request) -> Result<Reply, Status> {
        let (sender, receiver) = oneshot::channel();
        let order = Order::Call { session_id, request, answer: Answer::Once(sender) };
        self.gateway.try_send(order).map_err(|r| refusal(&r))?;
        match self.gateway.traffic.reply(receiver).await {
            Some(Reply::Refused(rejection)) => Err(refusal(&rejection)),
            Some(reply) => Ok(reply),
            // No x-reason: the engine ended before it answered, and may have executed.
            None => Err(Status::unavailable("the engine ended before it answered")),
        }
    }

    /// A symbol that is never quoted would be waited for in vain.
    fn check_symbols(&self, asked: &[String]) -> Result<(), Rejection> {
        match asked.iter().find(|symbol| !self.symbols.iter().any(|known| **known == ***symbol)) {
            None => Ok(()),
            Some(symbol) => {
                let message = format!("symbol {symbol:?} is not an instrument of this engine");
                Err(Rejection::new(ReasonCode::UnknownSymbol, "symbols", message))
            }
        }
    }

    /// Health as the reactor sees it.
    pub async fn health(&self) -> Result<HealthReport, Status> {
        match self.call(Arc::from(""), Request::Health).await? {
            Reply::Health(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }

    /// A response with the stored reply is marked as such.
    fn response<T>(&self, message: T, duplicate: bool) -> Response<T> {
        let mut response = self.identity.response(message);
        if duplicate {
            response.metadata_mut().insert("x-duplicate", MetadataValue::from_static("1"));
        }
        response
    }

    async fn order_command(
        &self,
        session_id: Arc<str>,
        command: Command,
    ) -> Result<Response<proto::OrderCommandResponse>, Status> {
        match self.call(session_id, Request::Command(command)).await? {
            Reply::OrderCommand(reply) => {
                let duplicate = reply.duplicate;
                Ok(self.response(conversion::order_command_reply(reply), duplicate))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn command(
        &self,
        session_id: Arc<str>,
        command: Command,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        match self.call(session_id, Request::Command(command)).await? {
            Reply::Command(reply) => {
                let duplicate = reply.duplicate;
                Ok(self.response(conversion::command_reply(reply), duplicate))
            }
            other => Err(unexpected(&other)),
        }
    }
}

/// The request's connection is one of this session from now on.
pub fn name_session<T>(request: &tonic::Request<T>, session_id: &Arc<str>) -> Result<(), Status> {
    let of_connection = request.extensions().get::<Option<Arc<NamedSessions>>>();
    let named = of_connection.and_then(Option::as_ref).map_or(Ok(()), |named| named.name(session_id));
    named.map_err(|rejection| refusal(&rejection))
}

/// A reply of the wrong kind is a fault of the engine; its outcome is unknown to the caller.
fn unexpected(reply: &Reply) -> Status {
    tracing::error!(?reply, "the sequencer answered with another kind of reply than was asked for");
    Status::internal("the engine answered with another kind of reply")
}

#[tonic::async_trait]
impl ExecutionService for Service {
    type ExecuteBatchOrdersStream = BoxedStream<proto::OrderResponse>;
    type StreamMarketDataStream = BoxedStream<proto::MarketDataUpdate>;
    type SubscribeOrderUpdatesStream = BoxedStream<proto::OrderResponse>;

    async fn execute_order(
        &self,
        request: tonic::Request<proto::TradeOrder>,
    ) -> Result<Response<proto::OrderResponse>, Status> {
        let caller = self.caller(&request)?;
        let order = conversion::order(request.into_inner(), &caller.traceparent);
        match self.call(caller.session_id, Request::Command(Command::Execute(order))).await? {
            Reply::Execute(reply) => {
                let message =
                    proto::OrderResponse { duplicate: reply.duplicate, ..conversion::order_reply(reply.reply) };
                Ok(self.response(message, reply.duplicate))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn execute_batch_orders(
        &self,
        request: tonic::Request<Streaming<proto::TradeOrder>>,
    ) -> Result<Response<Self::ExecuteBatchOrdersStream>, Status> {
        let caller = self.caller(&request)?;
        let replies = streams::execute(self.gateway.clone(), caller, request.into_inner(), self.stream_window);
        Ok(self.identity.response(Box::pin(replies)))
    }

    async fn stream_market_data(
        &self,
        request: tonic::Request<proto::MarketDataRequest>,
    ) -> Result<Response<Self::StreamMarketDataStream>, Status> {
        self.caller(&request)?;
        let symbols = request.into_inner().symbols;
        self.check_symbols(&symbols).map_err(|r| refusal(&r))?;
        let quotes = streams::market_data(&self.gateway, symbols, self.market_data_backlog).await;
        Ok(self.identity.response(Box::pin(quotes?)))
    }

    async fn subscribe_order_updates(
        &self,
        request: tonic::Request<proto::OrderSubscriptionRequest>,
    ) -> Result<Response<Self::SubscribeOrderUpdatesStream>, Status> {
        let caller = self.caller(&request)?;
        let asked = request.into_inner();
        let subscribe = Request::Subscribe {
            account: asked.account,
            resume_from: asked.resume_from,
            accept_gaps: asked.accept_gaps,
        };
        let (last_sequence, updates) =
            streams::order_updates(&self.gateway, caller.session_id, subscribe, self.update_channel).await?;
        let updates: Self::SubscribeOrderUpdatesStream = Box::pin(updates);
        let mut response = self.identity.response(updates);
        response.metadata_mut().insert("x-last-sequence", last_sequence.into());
        Ok(response)
    }

    async fn health_check(
        &self,
        request: tonic::Request<proto::HealthCheckRequest>,
    ) -> Result<Response<proto::HealthCheckResponse>, Status> {
        super::health::name_session_of(&request)?;
        let report = self.health().await?;
        Ok(super::health::with_headers(&self.identity, &report, conversion::health_reply(report.clone())))
    }

    async fn execute_batch(
        &self,
        request: tonic::Request<proto::ExecuteBatchRequest>,
    ) -> Result<Response<proto::ExecuteBatchResponse>, Status> {
        let caller = self.caller(&request)?;
        let orders = request.into_inner().orders.into_iter();
        let orders = orders.map(|order| conversion::order(order, &caller.traceparent)).collect();
        match self.call(caller.session_id, Request::ExecuteBatch(orders)).await? {
            Reply::Batch(replies) => Ok(self.identity.response(conversion::batch_reply(replies))),
            other => Err(unexpected(&other)),
        }
    }

    async fn cancel_order(
        &self,
        request: tonic::Request<proto::CancelOrderRequest>,
    ) -> Result<Response<proto::OrderCommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.order_command(caller.session_id, Command::Cancel(conversion::cancel(request.into_inner()))).await
    }

    async fn replace_order(
        &self,
        request: tonic::Request<proto::ReplaceOrderRequest>,
    ) -> Result<Response<proto::OrderCommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.order_command(caller.session_id, Command::Replace(conversion::replace(request.into_inner()))).await
    }

    async fn get_order(
        &self,
        request: tonic::Request<proto::GetOrderRequest>,
    ) -> Result<Response<proto::GetOrderResponse>, Status> {
        let caller = self.caller(&request)?;
        let asked = request.into_inner();
        let query = Request::GetOrder { account: asked.account, order_id: asked.order_id, fence: asked.fence };
        match self.call(caller.session_id, query).await? {
            Reply::GetOrder(reply) => Ok(self.identity.response(conversion::get_order_reply(reply))),
            other => Err(unexpected(&other)),
        }
    }

    async fn cancel_all_orders(
        &self,
        request: tonic::Request<proto::CancelAllOrdersRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.command(caller.session_id, Command::CancelAll(conversion::cancel_all(request.into_inner()))).await
    }

    async fn publish_quotes(
        &self,
        request: tonic::Request<proto::PublishQuotesRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.command(caller.session_id, Command::PublishQuotes(conversion::publish_quotes(request.into_inner()))).await
    }

    async fn set_trading_state(
        &self,
        request: tonic::Request<proto::SetTradingStateRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.command(caller.session_id, Command::SetTradingState(conversion::set_trading_state(request.into_inner())))
            .await
    }

    async fn set_risk_limits(
        &self,
        request: tonic::Request<proto::SetRiskLimitsRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        let caller = self.caller(&request)?;
        self.command(caller.session_id, Command::SetRiskLimits(conversion::set_risk_limits(request.into_inner()))).await
    }

    async fn set_cancel_on_disconnect(
        &self,
        request: tonic::Request<proto::SetCancelOnDisconnectRequest>,
    ) -> Result<Response<proto::CommandResponse>, Status> {
        let caller = self.caller(&request)?;
        let set = conversion::set_cancel_on_disconnect(request.into_inner(), &caller.session_id);
        self.command(caller.session_id, Command::SetCancelOnDisconnect(set)).await
    }

    async fn list_open_orders(
        &self,
        request: tonic::Request<proto::ListOpenOrdersRequest>,
    ) -> Result<Response<proto::OpenOrdersResponse>, Status> {
        let caller = self.caller(&request)?;
        let asked = request.into_inner();
        let query = Request::ListOpenOrders { account: asked.account, after_order_id: asked.after_order_id };
        match self.call(caller.session_id, query).await? {
            Reply::OpenOrders(page) => Ok(self.identity.response(conversion::open_orders(page))),
            other => Err(unexpected(&other)),
        }
    }
}

/// What the service says to a message that tonic could not decode or that was too long, and to a call that it does not
/// have (a newer client's).
pub fn undecodable(status: &Status) -> Option<Rejection> {
    let message = status.message();
    match status.code() {
        tonic::Code::OutOfRange if message.contains("message length too large") => {
            Some(Rejection::new(ReasonCode::MessageTooLarge, "", message))
        }
        tonic::Code::Internal if message.contains("failed to decode Protobuf message") => {
            Some(Rejection::new(ReasonCode::MalformedMessage, "", message))
        }
        // Ours name their reason.
        tonic::Code::Unimplemented if !status.metadata().contains_key("x-reason") => {
            Some(Rejection::new(ReasonCode::NotImplemented, "", "this engine has no such call, or not in this form"))
        }
        _ => None,
    }
}
