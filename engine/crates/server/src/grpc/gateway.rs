//! The bounded queue from gRPC's threads into the reactor, and the ways back.

use super::sessions::SessionBoard;
use super::waiting::Traffic;
use crate::reactor::{PublishedQuote, Waker};
use bridge_core::{OrderUpdate, ReasonCode, Rejection};
use bridge_sequencer::{Reply, Request};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// Where the reply to a call goes. The caller may be gone by then; the command was executed all the same.
pub enum Answer {
    /// A unary call.
    Once(oneshot::Sender<Reply>),
    /// One order of a stream. The stream's window bounds what waits in this channel.
    OfStream {
        /// Which order: a refusal does not say it.
        order_id: String,
        /// The stream's replies.
        to: mpsc::UnboundedSender<StreamReply>,
    },
}

/// What a stream of orders gives back.
pub enum StreamReply {
    /// One order was answered.
    Answered {
        /// Which.
        order_id: String,
        /// How; boxed, since it moves through a channel.
        reply: Box<Reply>,
    },
    /// The stream could not be read any further.
    Broken(Status),
}

impl Answer {
    /// Hands the reply over.
    pub fn send(self, reply: Reply) {
        // A caller that went away does not hear it; nothing else is owed.
        match self {
            Self::Once(to) => drop(to.send(reply)),
            Self::OfStream { order_id, to } => {
                drop(to.send(StreamReply::Answered { order_id, reply: Box::new(reply) }));
            }
        }
    }
}

/// What a subscriber of order updates receives.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // an update is its usual content
pub enum SubscriptionItem {
    /// One update, in order.
    Update(OrderUpdate),
    /// These can no longer be replayed; both included.
    Gap {
        /// First number that will not come.
        first: u64,
        /// Last number that will not come.
        last: u64,
    },
}

/// Something that gRPC wants of the reactor.
pub enum Order {
    /// A request with one reply.
    Call {
        /// `x-session-id`.
        session_id: Arc<str>,
        /// What is asked.
        request: Request,
        /// Where the reply goes.
        answer: Answer,
    },
    /// A subscription of order updates.
    Subscribe {
        /// `x-session-id`.
        session_id: Arc<str>,
        /// A [`Request::Subscribe`].
        request: Request,
        /// The account's last number when it was opened; the refusal otherwise.
        opened: oneshot::Sender<Result<u64, Rejection>>,
        /// Updates; when full, the subscriber lags.
        items: mpsc::Sender<SubscriptionItem>,
        /// Why it ended, set before `items` is dropped.
        end: Arc<OnceLock<Rejection>>,
    },
    /// A subscription of market data.
    StreamMarketData {
        /// Empty: all.
        symbols: Vec<String>,
        /// Whether it was opened; the refusal otherwise.
        opened: oneshot::Sender<Result<(), Rejection>>,
        /// Quotes; when full, whole messages are lost.
        quotes: mpsc::Sender<Arc<PublishedQuote>>,
    },
    /// SIGTERM or SIGINT: drain and end.
    Stop,
}

/// The way into the reactor.
#[derive(Clone)]
pub struct Gateway {
    orders: mpsc::Sender<Order>,
    waker: Waker,
    /// What waits for the reactor.
    pub traffic: Traffic,
    /// Who is connected.
    pub sessions: SessionBoard,
}

impl Gateway {
    /// A gateway whose queue holds `capacity` orders, and the reactor's end of it.
    pub fn new(capacity: usize, waker: Waker, traffic: Traffic) -> (Self, mpsc::Receiver<Order>) {
        let (orders, queue) = mpsc::channel(capacity);
        let sessions = SessionBoard::new(waker.clone());
        (Self { orders, waker, traffic, sessions }, queue)
    }

    /// A call has begun to arrive: the reactor wakes up while tonic reads it, unless it is kept awake anyway.
    pub fn announce(&self) {
        if self.traffic.is_quiet() {
            self.waker.expect();
        }
    }

    /// Hands an order over, or refuses it because there is no room.
    ///
    /// # Errors
    /// BUSY, or SHUTTING_DOWN once the reactor has ended.
    pub fn try_send(&self, order: Order) -> Result<(), Rejection> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Rejection::new(
                ReasonCode::Busy,
                "",
                "the queue into the engine is full; send the same id again after a pause",
            ),
            mpsc::error::TrySendError::Closed(_) => ended(),
        })?;
        self.waker.wake();
        Ok(())
    }

    /// Hands an order over when there is room: flow control for streams.
    ///
    /// # Errors
    /// SHUTTING_DOWN once the reactor has ended.
    pub async fn send(&self, order: Order) -> Result<(), Rejection> {
        self.orders.send(order).await.map_err(|_| ended())?;
        self.waker.wake();
        Ok(())
    }
}

fn ended() -> Rejection {
    Rejection::new(ReasonCode::ShuttingDown, "", "the engine is shutting down")
}
