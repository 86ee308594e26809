//! Subscriptions of order updates: what each is owed, and who lags too far (`reactor/updates`, `reactor/fan_out`).

use super::Shell;
use super::connections::Path;
use bridge_core::{OrderUpdate, ReasonCode, Rejection, Replay, Text};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a subscriber is owed.
pub enum Item {
    /// One update.
    Update(Arc<OrderUpdate>),
    /// These do not come any more, both included.
    Gap {
        /// First of them.
        first: u64,
        /// Last of them.
        last: u64,
    },
}

/// One subscription.
pub struct Subscription {
    /// Whose updates.
    pub account: Text,
    /// Where they go.
    pub connection: u64,
    /// Its name there.
    pub correlation: u64,
    queue: VecDeque<Item>,
    /// How long the queue may become: the replay, and the lag that is allowed.
    allowed: usize,
    /// Last number that was said.
    pub last_sent: u64,
}

impl Subscription {
    /// One that is owed its replay first.
    pub fn new(
        (connection, correlation): (u64, u64),
        account: Text,
        replay: Replay,
        last_sequence: u64,
        lag_allowed: usize,
    ) -> Self {
        let queue = owed(replay);
        let last_sent = match queue.front() {
            Some(Item::Update(first)) => first.sequence.saturating_sub(1),
            Some(Item::Gap { first, .. }) => first.saturating_sub(1),
            None => last_sequence,
        };
        let allowed = queue.len() + lag_allowed;
        Self { account, connection, correlation, queue, allowed, last_sent }
    }

    fn newest(&self) -> u64 {
        let queued = self.queue.iter().rev().find_map(|item| match item {
            Item::Update(update) if !update.snapshot => Some(update.sequence),
            Item::Gap { last, .. } => Some(*last),
            Item::Update(_) => None,
        });
        queued.unwrap_or(self.last_sent)
    }
}

fn owed(replay: Replay) -> VecDeque<Item> {
    match replay {
        Replay::Updates(updates) => updates.into_iter().map(Item::Update).collect(),
        Replay::Gap { first, last, snapshot, updates } => {
            let after = snapshot.into_iter().map(Arc::new).chain(updates).map(Item::Update);
            std::iter::once(Item::Gap { first, last }).chain(after).collect()
        }
        Replay::Regressed => VecDeque::new(),
    }
}

impl Shell {
    /// Queues an update for all that subscribed to its account, and cuts off those who lag too far.
    pub(super) fn push_update(&mut self, update: &Arc<OrderUpdate>) {
        let mut lagging = Vec::new();
        for (number, subscription) in &mut self.subscriptions {
            // What a replay has given already is not given again.
            if subscription.account != update.order.account || update.sequence <= subscription.newest() {
                continue;
            }
            if subscription.queue.len() >= subscription.allowed {
                lagging.push(*number);
                continue;
            }
            subscription.queue.push_back(Item::Update(update.clone()));
        }
        for number in lagging {
            let message = "updates were not read as fast as they came; resume from the last number you saw";
            self.end_subscription(number, &Rejection::new(ReasonCode::SlowConsumer, "", message), true);
        }
    }

    /// Says what is owed to all who can take it.
    pub(super) fn fan_out(&mut self) {
        let high_water = self.limits.output_high_water_bytes;
        for subscription in self.subscriptions.values_mut() {
            let to = subscription.connection;
            while self.connections.get(to).is_some_and(|connection| connection.unread_bytes < high_water)
                && let Some(item) = subscription.queue.pop_front()
            {
                let (correlation, bugs) = (subscription.correlation, &self.bugs);
                let bytes = match &item {
                    Item::Update(update) => {
                        if !update.snapshot {
                            subscription.last_sent = update.sequence;
                        }
                        let mut update = (**update).clone();
                        bugs.spoil_update(&mut update);
                        self.encoder.order_update(correlation, &update)
                    }
                    Item::Gap { first, last } => {
                        subscription.last_sent = *last;
                        self.encoder.update_gap(correlation, bugs.told(*first), bugs.told(*last))
                    }
                };
                self.connections.say(to, bytes);
            }
        }
    }

    /// Ends a subscription and says why. `cut`: its connection too, which a stream of gRPC has not of its own.
    pub(super) fn end_subscription(&mut self, number: u64, why: &Rejection, cut: bool) {
        let Some(ended) = self.subscriptions.remove(&number) else { return };
        let last_sent = self.bugs.told(ended.last_sent);
        let bytes = self.encoder.subscription_ended(ended.correlation, why.code, &why.message, last_sent);
        self.connections.say(ended.connection, bytes);
        self.one_subscription_less(ended.connection);
        if cut && self.connections.get(ended.connection).is_some_and(|connection| connection.path == Path::Zmq) {
            self.end_connection(ended.connection);
        }
    }

    /// Ends a connection behind what was said to it.
    pub(super) fn end_connection(&mut self, connection: u64) {
        self.subscriptions.retain(|_, subscription| subscription.connection != connection);
        self.connections.end(connection);
    }

    pub(super) fn one_subscription_less(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.subscriptions = connection.subscriptions.saturating_sub(1);
        }
    }

    /// Ends the subscription that a client names.
    pub(super) fn unsubscribe(&mut self, connection: u64, correlation: u64, named: u64) {
        let is_meant = |one: &Subscription| one.connection == connection && one.correlation == named;
        let found = self.subscriptions.iter().find(|(_, one)| is_meant(one)).map(|(number, _)| *number);
        let Some(ended) = found.and_then(|number| self.subscriptions.remove(&number)) else {
            let message = format!("this connection has no subscription {named}");
            let rejection = Rejection::new(ReasonCode::MalformedMessage, "subscription", message);
            return self.refuse(connection, correlation, &rejection);
        };
        self.one_subscription_less(connection);
        let last_sent = self.bugs.told(ended.last_sent);
        let bytes = self.encoder.subscription_ended(correlation, ReasonCode::None, "", last_sent);
        self.connections.say(connection, bytes);
    }
}
