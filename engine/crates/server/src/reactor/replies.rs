//! What the sequencer gives: replies to whoever waits, updates and market data into fan-out, orders to the venue.

use super::{
    Reactor,
    calls::{StreamWaiter, Waiter},
    clients::send,
    peer::Peer,
    slab::Key,
    updates::{Sink, Subscription},
};
use bridge_core::{ReasonCode, Rejection, Replay, UpdateRange};
use bridge_sequencer::{Output, Reply, Request, Token};
use bridge_wire::codec::Subscribe;

impl Reactor {
    /// Sends all that may leave, in journal order.
    pub(super) fn send_outputs(&mut self) {
        while let Some(output) = self.parts.sequencer.next_output() {
            match output {
                Output::Reply { token, reply } => self.reply(token, reply),
                Output::Updates(range) => self.updates(&range),
                Output::Market(data) => self.publisher.quote(data),
                Output::SendToVenue(command) => self.send_to_venue(&command),
                Output::AskVenue(question) => self.ask_venue(question),
            }
        }
    }

    fn reply(&mut self, token: Token, reply: Reply) {
        match self.waiters.remove(Key::from_u64(token.0)) {
            Some(Waiter::Peer { peer, correlation, stage }) => {
                self.concluded(peer);
                // The client has been waiting for the disk until now: its next request is to be awaited from here on.
                self.spin_until = self.now + self.parts.spin;
                self.send_reply(peer, correlation, &reply);
                self.parts.stages.encoded(stage, peer);
            }
            Some(Waiter::Call(answer)) => answer.send(reply),
            Some(Waiter::PeerSubscription { peer, correlation, resume_from }) => {
                self.concluded(peer);
                self.open_subscription(peer, correlation, resume_from, reply);
            }
            Some(Waiter::Stream(waiter)) => self.open_stream(waiter, reply),
            None => tracing::error!("the sequencer answered a request that nobody made"),
        }
    }

    fn concluded(&mut self, peer: Key) {
        if let Some(client) = self.peers.get_mut(peer).and_then(Peer::client) {
            client.in_flight = client.in_flight.saturating_sub(1);
        }
    }

    fn send_reply(&mut self, peer: Key, correlation: u64, reply: &Reply) {
        let bytes = match reply {
            Reply::Execute(reply) => self.encoder.execute_reply(correlation, reply),
            Reply::Batch(replies) => self.encoder.batch_reply(correlation, replies),
            Reply::OrderCommand(reply) => self.encoder.order_command_reply(correlation, reply),
            Reply::Command(reply) => self.encoder.command_reply(correlation, reply),
            Reply::GetOrder(reply) => self.encoder.get_order_reply(correlation, reply),
            Reply::OpenOrders(page) => self.encoder.open_orders(correlation, page),
            Reply::Refused(rejection) => self.encoder.refusal(correlation, rejection, &[], ""),
            Reply::Subscribed { account, last_sequence, .. } => {
                self.encoder.subscribe_reply(correlation, account, *last_sequence)
            }
            // Answered by the reactor itself.
            Reply::Health(_) => return,
        };
        send(&mut self.peers, peer, bytes);
        self.unwritten(peer);
    }

    /// Owes updates to those who subscribed to them; mostly nobody did.
    fn updates(&mut self, range: &UpdateRange) {
        if self.subscriptions.len() == 0 {
            return;
        }
        for lagging in self.subscriptions.release(range) {
            self.cut_off(lagging);
        }
    }

    /// Ends the subscription of one who lags too far.
    pub(super) fn cut_off(&mut self, lagging: Key) {
        let message = "updates were not read as fast as they came; resume from the last number you saw";
        self.end_subscription(lagging, &Rejection::new(ReasonCode::SlowConsumer, "", message), true);
    }

    /// Asks for a subscription of a connection.
    pub(super) fn subscribe(&mut self, key: Key, correlation: u64, asked: Subscribe) {
        let most = self.parts.limits.max_subscriptions;
        let Some(client) = self.peers.get_mut(key).and_then(Peer::client) else { return };
        if client.subscriptions >= most {
            let message = format!("this connection has {most} subscriptions, as many as it may");
            return self.refuse(key, correlation, &Rejection::new(ReasonCode::TooManySubscriptions, "", message));
        }
        client.subscriptions += 1;
        let Subscribe { account, resume_from, accept_gaps } = asked;
        let waiter = Waiter::PeerSubscription { peer: key, correlation, resume_from };
        self.submit_of_peer(key, waiter, &Request::Subscribe { account, resume_from, accept_gaps });
    }

    fn open_subscription(&mut self, peer: Key, correlation: u64, resume_from: Option<u64>, reply: Reply) {
        if self.peers.get_mut(peer).is_none() {
            return;
        }
        let reply = regressed(reply);
        self.send_opening(peer, correlation, resume_from, &reply);
        match reply {
            Reply::Subscribed { account, last_sequence, replay } => {
                let lag = self.parts.limits.update_backlog;
                let sink = Sink::Peer { peer, correlation };
                self.subscriptions.insert(Subscription::new(account, sink, replay, last_sequence, lag));
            }
            _ => self.one_subscription_less(peer),
        }
    }

    pub(super) fn one_subscription_less(&mut self, peer: Key) {
        if let Some(client) = self.peers.get_mut(peer).and_then(Peer::client) {
            client.subscriptions = client.subscriptions.saturating_sub(1);
        }
    }

    /// What can no longer be replayed ends the subscription, which is not the same as refusing the request.
    fn send_opening(&mut self, peer: Key, correlation: u64, resume_from: Option<u64>, reply: &Reply) {
        match reply {
            Reply::Refused(rejection) if rejection.code == ReasonCode::DataLoss => {
                let seen = resume_from.unwrap_or(0);
                let bytes = self.encoder.subscription_ended(correlation, rejection.code, &rejection.message, seen);
                send(&mut self.peers, peer, bytes);
                self.unwritten(peer);
            }
            reply => self.send_reply(peer, correlation, reply),
        }
    }

    fn open_stream(&mut self, waiter: StreamWaiter, reply: Reply) {
        let StreamWaiter { opened, items, end } = waiter;
        let result = match regressed(reply) {
            Reply::Subscribed { account, last_sequence, replay } => {
                let lag = self.parts.limits.update_backlog;
                let sink = Sink::Stream { items, end };
                self.subscriptions.insert(Subscription::new(account, sink, replay, last_sequence, lag));
                Ok(last_sequence)
            }
            Reply::Refused(rejection) => Err(rejection),
            _ => return,
        };
        // The caller may have gone; fan-out finds out.
        drop(opened.send(result));
    }
}

/// A resume point beyond the last number is a refusal, however the sequencer says it.
fn regressed(reply: Reply) -> Reply {
    match reply {
        Reply::Subscribed { replay: Replay::Regressed, last_sequence, .. } => {
            let message = format!("this engine's last update is {last_sequence}: it has lost state; stop and ask");
            Reply::Refused(Rejection::new(ReasonCode::StateRegressed, "resume_from", message))
        }
        reply => reply,
    }
}
