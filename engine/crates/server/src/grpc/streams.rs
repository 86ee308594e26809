//! The streams: orders with flow control, order updates, market data.

use super::{
    caller::Caller,
    conversion,
    gateway::{Answer, Gateway, Order, SubscriptionItem},
    service::undecodable,
    status::refusal,
};
use crate::proto;
use bridge_core::{Command, ReasonCode, Rejection};
use bridge_sequencer::{Reply, Request};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

type Outcome = Result<proto::OrderResponse, Status>;

/// Admits each order of the stream singly and in order; replies come as they are concluded. At most `window` orders
/// are not answered at a time: beyond, the stream is not read, which is HTTP/2's flow control.
pub fn execute(
    gateway: Gateway,
    caller: Caller,
    orders: Streaming<proto::TradeOrder>,
    window: usize,
) -> impl Stream<Item = Outcome> + Send {
    let (outcomes, stream) = mpsc::channel(window);
    let (to, replies) = mpsc::unbounded_channel();
    let batch = Arc::new(Batch { room: Semaphore::new(window), order_ids: Mutex::new(HashMap::new()), outcomes });
    tokio::spawn(admit(batch.clone(), gateway, caller, orders, to));
    tokio::spawn(conclude(batch, replies));
    ReceiverStream::new(stream)
}

/// What the two halves of one stream share.
struct Batch {
    room: Semaphore,
    /// Ids of orders in flight, by their number in the stream: a refusal names its order.
    order_ids: Mutex<HashMap<u64, String>>,
    outcomes: mpsc::Sender<Outcome>,
}

impl Batch {
    fn remember(&self, number: u64, order_id: &str) {
        self.order_ids.lock().unwrap_or_else(PoisonError::into_inner).insert(number, order_id.to_owned());
    }

    fn forget(&self, number: u64) -> String {
        self.order_ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&number).unwrap_or_default()
    }
}

async fn admit(
    batch: Arc<Batch>,
    gateway: Gateway,
    caller: Caller,
    mut orders: Streaming<proto::TradeOrder>,
    to: mpsc::UnboundedSender<(u64, Reply)>,
) {
    let _waiting = gateway.traffic.one_more();
    for number in 0.. {
        let Ok(permit) = batch.room.acquire().await else { return };
        permit.forget();
        let order = match orders.message().await {
            Ok(Some(order)) => conversion::order(order, &caller.traceparent),
            Ok(None) => return,
            Err(status) => {
                let status = undecodable(&status).map_or(status, |rejection| refusal(&rejection));
                // A caller that went away does not hear it.
                let _ = batch.outcomes.send(Err(status)).await;
                return;
            }
        };
        batch.remember(number, &order.order_id);
        let request = Request::Command(Command::Execute(order));
        let answer = Answer::OfStream { number, to: to.clone() };
        let call = Order::Call { session_id: caller.session_id.clone(), request, answer };
        if let Err(rejection) = gateway.send(call).await {
            let _ = to.send((number, Reply::Refused(rejection)));
        }
    }
}

/// Ends when the stream has been read to its end and every order is answered: the reactor drops the last sender.
async fn conclude(batch: Arc<Batch>, mut replies: mpsc::UnboundedReceiver<(u64, Reply)>) {
    while let Some((number, reply)) = replies.recv().await {
        let order_id = batch.forget(number);
        let outcome = match reply {
            Reply::Execute(reply) => {
                Ok(proto::OrderResponse { duplicate: reply.duplicate, ..conversion::order_reply(reply.reply) })
            }
            Reply::Refused(rejection) => Ok(conversion::refused_order(order_id, rejection)),
            _ => Err(Status::internal("the engine answered with another kind of reply")),
        };
        if batch.outcomes.send(outcome).await.is_err() {
            // The caller is gone. What was admitted executes; nothing more is read.
            batch.room.close();
            return;
        }
        batch.room.add_permits(1);
    }
}

/// Opens a subscription of order updates: the account's last number when it began, and the stream.
///
/// # Errors
/// The refusal, as a status.
pub async fn order_updates(
    gateway: &Gateway,
    session_id: Arc<str>,
    request: Request,
    capacity: usize,
) -> Result<(u64, impl Stream<Item = Outcome> + Send + use<>), Status> {
    let (items, updates) = mpsc::channel(capacity);
    let (opened, answer) = oneshot::channel();
    let end = Arc::new(OnceLock::new());
    let order = Order::Subscribe { session_id, request, opened, items, end: end.clone() };
    gateway.try_send(order).map_err(|r| refusal(&r))?;
    let last_sequence = is_open(answer).await?;
    Ok((last_sequence, ended_with_status(updates, end)))
}

/// The updates, and then why there are no more.
fn ended_with_status(
    updates: mpsc::Receiver<SubscriptionItem>,
    end: Arc<OnceLock<Rejection>>,
) -> impl Stream<Item = Outcome> + Send + use<> {
    let updates = ReceiverStream::new(updates).map(|item| match item {
        SubscriptionItem::Update(update) => Ok(conversion::update(&update)),
        SubscriptionItem::Gap { first, last } => Ok(conversion::gap(first, last)),
    });
    updates.chain(
        tokio_stream::once(())
            .map(move |()| Err(end.get().map_or_else(|| Status::unavailable("the engine ended"), refusal))),
    )
}

/// Opens a subscription of market data. It ends with a status when the engine drains.
///
/// # Errors
/// The refusal, as a status.
pub async fn market_data(
    gateway: &Gateway,
    symbols: Vec<String>,
    capacity: usize,
) -> Result<impl Stream<Item = Result<proto::MarketDataUpdate, Status>> + Send + use<>, Status> {
    let (quotes, stream) = mpsc::channel(capacity);
    let (opened, answer) = oneshot::channel();
    gateway.try_send(Order::StreamMarketData { symbols, opened, quotes }).map_err(|r| refusal(&r))?;
    is_open(answer).await?;
    let end = Rejection::new(ReasonCode::ShuttingDown, "", "the engine has ended this stream");
    let end = tokio_stream::once(Err(refusal(&end)));
    Ok(ReceiverStream::new(stream).map(|quote| Ok(conversion::market_data(&quote))).chain(end))
}

async fn is_open<T>(answer: oneshot::Receiver<Result<T, Rejection>>) -> Result<T, Status> {
    match answer.await {
        Ok(opened) => opened.map_err(|rejection| refusal(&rejection)),
        Err(_) => Err(Status::unavailable("the engine ended before it answered")),
    }
}
