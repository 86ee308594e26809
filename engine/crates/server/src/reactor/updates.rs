//! Subscriptions of order updates: what each is owed, and who lags too far.
//!
//! A subscription has a queue of shared updates. Fan-out takes from the queues in turn, as far as the turn's budget
//! and the subscriber's output allow, so that no subscriber slows replies or other subscribers (invariant 8).

use super::slab::{Key, Slab};
use crate::grpc::SubscriptionItem;
use bridge_core::{OrderUpdate, Rejection, Replay, Text};
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};
use tokio::sync::mpsc;

/// Where a subscription's updates go.
pub enum Sink {
    /// To a connection of the fast path, under the correlation number of its request.
    Peer {
        /// Which connection.
        peer: Key,
        /// The subscription's name there.
        correlation: u64,
    },
    /// To a stream of gRPC.
    Stream {
        /// The stream's channel; full means that the caller lags.
        items: mpsc::Sender<SubscriptionItem>,
        /// Why it ended; read by the stream once the channel is empty.
        end: Arc<OnceLock<Rejection>>,
    },
}

/// One subscription.
pub struct Subscription {
    /// Whose updates.
    pub account: Text,
    /// Where they go.
    pub sink: Sink,
    /// What it is owed.
    pub queue: VecDeque<SubscriptionItem>,
    /// How long the queue may become: the replay, and the lag that is allowed.
    allowed: usize,
    /// Last sequence number that was handed to the sink.
    pub last_sent: u64,
}

impl Subscription {
    /// A subscription that is owed its replay first.
    pub fn new(account: Text, sink: Sink, replay: Replay, last_sequence: u64, lag_allowed: usize) -> Self {
        let queue = owed(replay);
        let last_sent = match queue.front() {
            Some(SubscriptionItem::Update(first)) => first.sequence.saturating_sub(1),
            Some(SubscriptionItem::Gap { first, .. }) => first.saturating_sub(1),
            _ => last_sequence,
        };
        let allowed = queue.len() + lag_allowed;
        Self { account, sink, queue, allowed, last_sent }
    }

    /// Notes that an item was handed to the sink.
    pub fn sent(&mut self, item: &SubscriptionItem) {
        match item {
            // A snapshot's updates carry old numbers: state, not events.
            SubscriptionItem::Update(update) if !update.snapshot => self.last_sent = update.sequence,
            SubscriptionItem::Gap { last, .. } => self.last_sent = *last,
            _ => {}
        }
    }
}

fn owed(replay: Replay) -> VecDeque<SubscriptionItem> {
    match replay {
        Replay::Updates(updates) => updates.into_iter().map(SubscriptionItem::Update).collect(),
        Replay::Gap { first, last, snapshot, updates } => {
            let snapshot = snapshot.into_iter().map(Arc::new);
            let after = snapshot.chain(updates).map(SubscriptionItem::Update);
            std::iter::once(SubscriptionItem::Gap { first, last }).chain(after).collect()
        }
        Replay::Regressed => VecDeque::new(),
    }
}

/// All subscriptions.
pub struct UpdateSubscriptions {
    slots: Slab<Subscription>,
    /// Those that are owed something, each once.
    owing: VecDeque<Key>,
}

impl UpdateSubscriptions {
    /// None yet.
    pub fn new() -> Self {
        Self { slots: Slab::new(), owing: VecDeque::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether any is owed something.
    pub fn owe(&self) -> bool {
        !self.owing.is_empty()
    }

    /// Adds one.
    pub fn insert(&mut self, subscription: Subscription) -> Key {
        let owes = !subscription.queue.is_empty();
        let key = self.slots.insert(subscription);
        if owes {
            self.owing.push_back(key);
        }
        key
    }

    /// Queues an update for all subscribers of its account, and gives those that lag too far.
    pub fn push(&mut self, update: &Arc<OrderUpdate>) -> Vec<Key> {
        let mut lagging = Vec::new();
        for key in self.slots.keys() {
            let Some(subscription) = self.slots.get_mut(key) else { continue };
            // What a replay has given already is not given again.
            if subscription.account != update.order.account || update.sequence <= subscription.newest() {
                continue;
            }
            if subscription.queue.len() >= subscription.allowed {
                lagging.push(key);
                continue;
            }
            if subscription.queue.is_empty() {
                self.owing.push_back(key);
            }
            subscription.queue.push_back(SubscriptionItem::Update(update.clone()));
        }
        lagging
    }

    /// The subscription that is served next; put it back with [`UpdateSubscriptions::owes_still`].
    pub fn next_owing(&mut self) -> Option<Key> {
        self.owing.pop_front()
    }

    /// It was not given everything yet.
    pub fn owes_still(&mut self, key: Key) {
        self.owing.push_back(key);
    }

    /// How many are owed something.
    pub fn owing(&self) -> usize {
        self.owing.len()
    }

    /// One of them.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Subscription> {
        self.slots.get_mut(key)
    }

    /// Ends one.
    pub fn remove(&mut self, key: Key) -> Option<Subscription> {
        self.owing.retain(|owing| *owing != key);
        self.slots.remove(key)
    }

    /// Those of a connection, with the names they have there.
    pub fn of_peer(&mut self, wanted: Key) -> Vec<(Key, u64)> {
        let keys = self.slots.keys().into_iter();
        keys.filter_map(|key| match self.slots.get_mut(key)?.sink {
            Sink::Peer { peer, correlation } if peer == wanted => Some((key, correlation)),
            _ => None,
        })
        .collect()
    }

    /// All of them.
    pub fn keys(&self) -> Vec<Key> {
        self.slots.keys()
    }
}

impl Subscription {
    /// The newest number that was sent or is queued.
    fn newest(&self) -> u64 {
        let queued = self.queue.iter().rev().find_map(|item| match item {
            SubscriptionItem::Update(update) if !update.snapshot => Some(update.sequence),
            SubscriptionItem::Gap { last, .. } => Some(*last),
            _ => None,
        });
        queued.unwrap_or(self.last_sent)
    }
}
