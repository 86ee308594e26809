//! Who waits for which reply, and what gRPC hands over.

use super::{Reactor, drain::Phase, peer::Peer, publisher::QuoteStream, slab::Key, stages::Slot};
use crate::grpc::{self, Answer, SubscriptionItem};
use bridge_core::{Command, ReasonCode, Rejection, SetCancelOnDisconnect};
use bridge_sequencer::{Origin, Path, Reply, Request, Token};
use bridge_wire::codec::ClientMessage;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// Without authentication every client is this principal.
pub(super) const PRINCIPAL: &str = "local";

/// Orders taken from gRPC per turn, so that the other path has its turn too.
const CALLS_PER_TURN: usize = 512;

/// Where a reply of the sequencer goes; its slab key is the token.
pub enum Waiter {
    /// A request of a connection.
    Peer {
        /// Which one: if it went, the key finds nobody.
        peer: Key,
        /// The request's number there.
        correlation: u64,
        /// Where its times are recorded.
        stage: Option<Slot>,
    },
    /// A `SubscribeOrderUpdates` of a connection.
    PeerSubscription {
        /// Which one.
        peer: Key,
        /// The subscription's name there.
        correlation: u64,
        /// Where it wanted to go on.
        resume_from: Option<u64>,
    },
    /// A call of gRPC.
    Call(Answer),
    /// A `SubscribeOrderUpdates` of gRPC.
    Stream(StreamWaiter),
}

/// A stream of updates that is not open yet.
pub struct StreamWaiter {
    /// Told the account's last number when it was opened.
    pub opened: oneshot::Sender<Result<u64, Rejection>>,
    /// Where updates go.
    pub items: mpsc::Sender<SubscriptionItem>,
    /// Why it ended.
    pub end: Arc<OnceLock<Rejection>>,
}

/// What a request gets once the engine is ending.
pub fn shutting_down() -> Rejection {
    Rejection::new(ReasonCode::ShuttingDown, "", "the engine is shutting down; use the other engine, or wait")
}

impl Reactor {
    /// Hands a request of gRPC to the sequencer; its reply finds the waiter.
    fn submit_call(&mut self, waiter: Waiter, session_id: Arc<str>, request: Request) {
        let token = Token(self.waiters.insert(waiter).to_u64());
        let origin = Origin { principal: self.principal.clone(), path: Path::Grpc, session_id };
        self.submitted = true;
        let now = self.utc();
        self.parts.sequencer.submit(token, &origin, &request, now);
    }

    /// Hands a request of a connection to the sequencer; its reply finds the waiter.
    pub(super) fn submit_of_peer(&mut self, key: Key, waiter: Waiter, request: &Request) {
        let now = self.utc();
        let Some(client) = self.peers.get_mut(key).and_then(Peer::client) else { return };
        let Some(origin) = &client.origin else { return };
        client.in_flight += 1;
        let token = Token(self.waiters.insert(waiter).to_u64());
        self.submitted = true;
        self.parts.sequencer.submit(token, origin, request, now);
    }

    /// Hands over the request that was read, and takes its memory back for the next.
    pub(super) fn submit_incoming(&mut self, key: Key, correlation: u64) {
        let request = match std::mem::replace(&mut self.incoming.body, ClientMessage::Health) {
            ClientMessage::Command(Command::SetCancelOnDisconnect(set)) => {
                let session_id = self.session_of(key);
                Request::Command(Command::SetCancelOnDisconnect(SetCancelOnDisconnect { session_id, ..set }))
            }
            ClientMessage::Command(command) => Request::Command(command),
            ClientMessage::ExecuteBatch(orders) => Request::ExecuteBatch(orders),
            ClientMessage::GetOrder(get) => {
                Request::GetOrder { account: get.account, order_id: get.order_id, fence: get.fence }
            }
            ClientMessage::ListOpenOrders(list) => {
                Request::ListOpenOrders { account: list.account, after_order_id: list.after_order_id }
            }
            _ => return,
        };
        self.spin_until = self.now + self.parts.spin;
        self.hot.sent(key);
        let is_order = matches!(request, Request::Command(Command::Execute(_)));
        let stage = if is_order { self.parts.stages.begin(correlation) } else { None };
        self.submit_of_peer(key, Waiter::Peer { peer: key, correlation, stage }, &request);
        self.parts.stages.applied(stage);
        self.incoming.body = match request {
            Request::Command(command) => ClientMessage::Command(command),
            Request::ExecuteBatch(orders) => ClientMessage::ExecuteBatch(orders),
            _ => return,
        };
    }

    /// As the connection's Hello named it.
    fn session_of(&mut self, key: Key) -> String {
        let origin = self.peers.get_mut(key).and_then(Peer::client).and_then(|client| client.origin.as_ref());
        origin.map_or_else(String::new, |origin| origin.session_id.to_string())
    }

    /// Takes what gRPC has handed over.
    pub(super) fn take_calls(&mut self) {
        self.take_session_news();
        let mut room = CALLS_PER_TURN;
        while room > 0
            && let Ok(order) = self.parts.orders.try_recv()
        {
            self.take_call(order);
            room -= 1;
        }
        // A call may have come right behind its connection: its session is there before leases are judged.
        self.take_session_news();
        if room == 0 {
            // There may be more: look again in the next turn.
            self.parts.waker.wake();
        }
    }

    fn take_call(&mut self, order: grpc::Order) {
        match order {
            grpc::Order::Stop => self.begin_drain(),
            grpc::Order::Call { request: Request::Health, answer, .. } => {
                answer.send(Reply::Health(Box::new(self.health())));
            }
            order if self.phase != Phase::Serving => refuse(order, &shutting_down()),
            grpc::Order::Call { session_id, request, answer } => {
                self.submit_call(Waiter::Call(answer), session_id, request);
            }
            order if self.streams() >= self.most_streams() => {
                let message = "there are as many streams as the engine takes; end some, or use another engine";
                refuse(order, &Rejection::new(ReasonCode::TooManySubscriptions, "", message));
            }
            grpc::Order::Subscribe { session_id, request, opened, items, end } => {
                let waiter = Waiter::Stream(StreamWaiter { opened, items, end });
                self.submit_call(waiter, session_id, request);
            }
            grpc::Order::StreamMarketData { symbols, quotes, opened } => {
                self.publisher.add_stream(QuoteStream { symbols, quotes });
                // A caller that went away is noticed with the first quote.
                drop(opened.send(Ok(())));
            }
        }
    }

    fn streams(&self) -> usize {
        self.publisher.streams() + self.subscriptions.len()
    }

    fn most_streams(&self) -> usize {
        self.parts.limits.max_subscriptions.saturating_mul(64)
    }
}

/// Answers what came from gRPC with a refusal.
pub fn refuse(order: grpc::Order, rejection: &Rejection) {
    match order {
        grpc::Order::Call { answer, .. } => answer.send(Reply::Refused(rejection.clone())),
        // The caller may have gone.
        grpc::Order::Subscribe { opened, .. } => drop(opened.send(Err(rejection.clone()))),
        grpc::Order::StreamMarketData { opened, .. } => drop(opened.send(Err(rejection.clone()))),
        grpc::Order::Stop => {}
    }
}
