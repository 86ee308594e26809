//! The streams: orders with flow control, order updates, market data.

use super::{
    caller::Caller,
    conversion,
    gateway::{Answer, Gateway, Order, StreamReply, SubscriptionItem},
    service::undecodable,
    status::refusal,
};
use crate::proto;
use bridge_core::{Command, ReasonCode, Rejection};
use bridge_sequencer::{Reply, Request};
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
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
    let (to, replies) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(window));
    tokio::spawn(admit(room.clone(), gateway, caller, orders, to));
    Replies { room, replies, broken: None }
}

async fn admit(
    room: Arc<Semaphore>,
    gateway: Gateway,
    caller: Caller,
    mut orders: Streaming<proto::TradeOrder>,
    to: mpsc::UnboundedSender<StreamReply>,
) {
    let _waiting = gateway.traffic.one_more();
    // Closed when the caller is gone: what was admitted executes, nothing more is read.
    while let Ok(permit) = room.acquire().await {
        permit.forget();
        let order = match orders.message().await {
            Ok(Some(order)) => conversion::order(order, &caller.traceparent),
            Ok(None) => return,
            Err(status) => {
                let status = undecodable(&status).map_or(status, |rejection| refusal(&rejection));
                // A caller that went away does not hear it.
                let _ = to.send(StreamReply::Broken(status));
                return;
            }
        };
        let order_id = order.order_id.clone();
        let request = Request::Command(Command::Execute(order));
        let answer = Answer::OfStream { order_id: order_id.clone(), to: to.clone() };
        let call = Order::Call { session_id: caller.session_id.clone(), request, answer };
        if let Err(rejection) = gateway.send(call).await {
            let reply = Box::new(Reply::Refused(rejection));
            let _ = to.send(StreamReply::Answered { order_id, reply });
        }
    }
}

/// The replies to a stream's orders. Ends when the stream has been read to its end, or as far as it could be, and every
/// order is answered: the reactor drops the last sender.
struct Replies {
    room: Arc<Semaphore>,
    replies: mpsc::UnboundedReceiver<StreamReply>,
    /// Why the stream could not be read any further. Said last: what was admitted before it is in no doubt.
    broken: Option<Status>,
}

impl Stream for Replies {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        loop {
            match ready!(self.replies.poll_recv(context)) {
                None => return Poll::Ready(self.broken.take().map(Err)),
                Some(StreamReply::Broken(status)) => self.broken = Some(status),
                Some(StreamReply::Answered { order_id, reply }) => {
                    self.room.add_permits(1);
                    return Poll::Ready(Some(outcome(order_id, *reply)));
                }
            }
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.room.close();
    }
}

fn outcome(order_id: String, reply: Reply) -> Outcome {
    match reply {
        Reply::Execute(reply) => {
            Ok(proto::OrderResponse { duplicate: reply.duplicate, ..conversion::order_reply(reply.reply) })
        }
        Reply::Refused(rejection) => Ok(conversion::refused_order(order_id, rejection)),
        _ => Err(Status::internal("the engine answered with another kind of reply")),
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
