//! What the sequencer gives: replies to whoever waits, updates into fan-out, orders to the venue (`reactor/replies`).

use super::Shell;
use super::connections::Path;
use super::subscriptions::Subscription;
use crate::bugs::Bug;
use bridge_core::{ReasonCode, Rejection, Replay, UpdateRange};
use bridge_sequencer::{Output, Reply};

/// Where a reply of the sequencer goes.
pub enum Waiter {
    /// A request.
    Reply {
        /// Whose.
        connection: u64,
        /// Its number there.
        correlation: u64,
        /// It was a query that fences.
        fence: bool,
    },
    /// A `SubscribeOrderUpdates`.
    Subscription {
        /// Whose.
        connection: u64,
        /// The subscription's name there.
        correlation: u64,
        /// Where it wanted to go on.
        resume_from: Option<u64>,
    },
}

/// What a planted bug's way of releasing holds back until the sync.
pub enum Held {
    /// A reply.
    Reply(u64, Reply),
    /// Updates.
    Updates(UpdateRange),
    /// Something for the venue.
    Venue(Output),
}

impl Shell {
    /// Says all that may leave, in journal order; fan-out last.
    pub(super) fn say_outputs(&mut self) {
        while let Some(output) = self.sequencer.next_output() {
            match output {
                Output::Reply { token, reply } => {
                    let escapes = matches!(reply, Reply::Subscribed { .. } | Reply::Refused(_) | Reply::Health(_));
                    match self.holds_back(Bug::ReplyBeforeSync) && !escapes {
                        true => self.held.push_back(Held::Reply(token.0, reply)),
                        false => self.reply(token.0, reply),
                    }
                }
                Output::Updates(range) => match self.holds_back(Bug::UpdateEscapes) {
                    true => self.held.push_back(Held::Updates(range)),
                    false => self.release_updates(&range),
                },
                Output::Market(_) => {}
                output => match self.holds_back(Bug::VenueSendBeforeDurable) {
                    true => self.held.push_back(Held::Venue(output)),
                    false => self.tell_venue(output),
                },
            }
        }
        self.fan_out();
    }

    /// Whether a bug that releases early is planted, and it is not the one that lets this kind escape.
    fn holds_back(&self, escape: Bug) -> bool {
        self.bugs.releases_early() && !self.bugs.has(escape)
    }

    /// What was held back leaves: it is synced now.
    pub(super) fn say_held(&mut self) {
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Reply(token, reply) => self.reply(token, reply),
                Held::Updates(range) => self.release_updates(&range),
                Held::Venue(output) => self.tell_venue(output),
            }
        }
        self.fan_out();
    }

    fn reply(&mut self, token: u64, mut reply: Reply) {
        match self.waiters.remove(&token) {
            Some(Waiter::Reply { connection, correlation, fence }) => {
                self.concluded(connection);
                self.bugs.spoil_reply(&mut reply, fence);
                self.say_reply(connection, correlation, &reply);
            }
            Some(Waiter::Subscription { connection, correlation, resume_from }) => {
                self.concluded(connection);
                self.open_subscription(connection, correlation, resume_from, reply);
            }
            None => debug_assert!(false, "the sequencer answered a request that nobody made"),
        }
    }

    fn concluded(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.in_flight = connection.in_flight.saturating_sub(1);
        }
    }

    fn say_reply(&mut self, connection: u64, correlation: u64, reply: &Reply) {
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
            // Answered by the shell itself.
            Reply::Health(_) => return,
        };
        self.connections.say(connection, bytes);
    }

    fn open_subscription(&mut self, connection: u64, correlation: u64, resume_from: Option<u64>, mut reply: Reply) {
        let Some(path) = self.connections.get(connection).map(|connection| connection.path) else { return };
        let true_last = if let Reply::Subscribed { last_sequence, .. } = &reply { *last_sequence } else { 0 };
        self.bugs.spoil_reply(&mut reply, false);
        let reply = regressed(reply);
        match &reply {
            // What can no longer be replayed ends the subscription of the fast path; of gRPC it is the call's status.
            Reply::Refused(rejection) if rejection.code == ReasonCode::DataLoss && path == Path::Zmq => {
                let seen = resume_from.unwrap_or(0);
                let bytes = self.encoder.subscription_ended(correlation, rejection.code, &rejection.message, seen);
                self.connections.say(connection, bytes);
            }
            reply => self.say_reply(connection, correlation, reply),
        }
        let Reply::Subscribed { account, replay, .. } = reply else {
            return self.one_subscription_less(connection);
        };
        let lag = self.limits.update_backlog;
        let opened = Subscription::new((connection, correlation), account, replay, true_last, lag);
        self.last_subscription += 1;
        self.subscriptions.insert(self.last_subscription, opened);
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
