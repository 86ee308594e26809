//! Subscriptions of order updates: how far each has come, and who lags too far (`reactor/updates`, `reactor/fan_out`).

use super::Shell;
use super::connections::Path;
use crate::disk::SimDisk;
use bridge_core::{OrderUpdate, ReasonCode, Rejection, Replay, Text, UpdateRange, VenueKey};
use bridge_sequencer::Sequencer;
use std::collections::VecDeque;

/// Of one subscriber at a time.
const ITEMS_AT_A_TIME: usize = 64;

/// What a subscriber is told.
#[derive(Clone)]
enum Item {
    Update(Box<OrderUpdate>),
    /// These do not come any more, both included.
    Gap {
        first: u64,
        last: u64,
    },
}

/// The state that stands for what can no longer be replayed.
struct Snapshot {
    gap: Option<(u64, u64)>,
    open: VecDeque<VenueKey>,
    /// Of some of them: in words, and the record that these depend on.
    words: VecDeque<OrderUpdate>,
    depends_on: u64,
}

/// One subscription: a cursor in its account's history.
pub struct Subscription {
    /// Whose updates.
    pub account: Text,
    /// Where they go.
    pub connection: u64,
    /// Its name there.
    pub correlation: u64,
    snapshot: Option<Snapshot>,
    /// Last number that was said.
    pub last_sent: u64,
    /// Last number that may be.
    released: u64,
    lag_allowed: u64,
}

impl Subscription {
    /// One that is owed its replay, up to `last_sequence`, first. Besides that it may lag by `lag_allowed`.
    pub fn new(
        (connection, correlation): (u64, u64),
        account: Text,
        replay: Replay,
        last_sequence: u64,
        lag_allowed: usize,
    ) -> Self {
        let (last_sent, snapshot) = match replay {
            Replay::Whole { after } => (after, None),
            Replay::Gap { first, last, open } => {
                let gap = Some((first, last));
                let snapshot = Snapshot { gap, open: open.into(), words: VecDeque::new(), depends_on: 0 };
                (first.saturating_sub(1), Some(snapshot))
            }
            Replay::Regressed => (last_sequence, None),
        };
        let released = last_sequence;
        let mut new = Self { account, connection, correlation, snapshot, last_sent, released, lag_allowed: 0 };
        new.lag_allowed = new.lag().saturating_add(lag_allowed as u64);
        new
    }

    fn lag(&self) -> u64 {
        let position = match &self.snapshot {
            Some(snapshot) => snapshot.gap.map_or(self.last_sent, |(_, last)| last),
            None => self.last_sent,
        };
        self.released.saturating_sub(position)
    }

    /// What comes next, taken. `None`: it was forgotten, which no lag that is allowed comes to.
    fn take(&mut self, sequencer: &Sequencer<SimDisk>) -> Option<Vec<Item>> {
        if let Some(snapshot) = &mut self.snapshot {
            if let Some((first, last)) = snapshot.gap.take() {
                self.last_sent = last;
                return Some(vec![Item::Gap { first, last }]);
            }
            let told = snapshot.take(sequencer);
            if !told.is_empty() || !snapshot.is_told() {
                return Some(told);
            }
            self.snapshot = None;
        }
        let first = self.last_sent + 1;
        let last = self.released.min(self.last_sent + ITEMS_AT_A_TIME as u64);
        let range = UpdateRange { account: self.account.clone(), first, last };
        let updates: Vec<OrderUpdate> = sequencer.updates(&range).collect();
        let is_whole = updates.first().map_or(first > last, |update| update.sequence == first);
        self.last_sent = updates.last().map_or(self.last_sent, |update| update.sequence);
        is_whole.then(|| updates.into_iter().map(Box::new).map(Item::Update).collect())
    }
}

impl Snapshot {
    fn take(&mut self, sequencer: &Sequencer<SimDisk>) -> Vec<Item> {
        while self.words.is_empty() && !self.open.is_empty() {
            let keys: Vec<VenueKey> = self.open.drain(..ITEMS_AT_A_TIME.min(self.open.len())).collect();
            self.words.extend(sequencer.snapshot(&keys));
            self.depends_on = sequencer.last_seq();
        }
        // The state may be ahead of the disk (invariant 2).
        match sequencer.is_durable(self.depends_on) {
            true => self.words.drain(..).map(Box::new).map(Item::Update).collect(),
            false => Vec::new(),
        }
    }

    fn is_told(&self) -> bool {
        self.open.is_empty() && self.words.is_empty()
    }
}

impl Shell {
    /// These updates may leave; cuts off those who lag too far.
    pub(super) fn release_updates(&mut self, range: &UpdateRange) {
        let mut lagging = Vec::new();
        for (number, subscription) in &mut self.subscriptions {
            // What a replay covers already is not owed twice.
            if subscription.account != range.account || range.last <= subscription.released {
                continue;
            }
            subscription.released = range.last;
            if subscription.lag() > subscription.lag_allowed {
                lagging.push(*number);
            }
        }
        for number in lagging {
            self.cut_off(number);
        }
    }

    fn cut_off(&mut self, number: u64) {
        let message = "updates were not read as fast as they came; resume from the last number you saw";
        self.end_subscription(number, &Rejection::new(ReasonCode::SlowConsumer, "", message), true);
    }

    /// Says what is owed to all who can take it.
    pub(super) fn fan_out(&mut self) {
        for number in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            while let Some(subscription) = self.subscriptions.get_mut(&number)
                && let Some(peer) = self.connections.get(subscription.connection)
                && peer.unread_bytes < self.limits.output_high_water_bytes
            {
                match subscription.take(&self.sequencer) {
                    None => self.cut_off(number),
                    Some(items) if items.is_empty() => break,
                    Some(items) => self.tell(number, items),
                }
            }
        }
    }

    fn tell(&mut self, number: u64, items: Vec<Item>) {
        let Some(subscription) = self.subscriptions.get(&number) else { return };
        let (to, correlation) = (subscription.connection, subscription.correlation);
        for item in items {
            let bytes = match item {
                Item::Update(mut update) => {
                    self.bugs.spoil_update(&mut update);
                    self.encoder.order_update(correlation, &update)
                }
                Item::Gap { first, last } => {
                    self.encoder.update_gap(correlation, self.bugs.told(first), self.bugs.told(last))
                }
            };
            self.connections.say(to, bytes);
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
