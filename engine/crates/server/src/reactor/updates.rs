//! Subscriptions of order updates: how far each has come in its account's history, and who lags too far.
//!
//! A subscription is a cursor. Updates are put in words when they are sent, a few of each subscriber in turn, as far as
//! the turn's budget and the subscriber's output allow: neither a long absence nor a reader that does not read costs
//! memory, or slows replies or other subscribers (invariant 8).

use super::slab::{Key, Slab};
use crate::grpc::SubscriptionItem;
use bridge_core::{Rejection, Replay, Text, UpdateRange, VenueKey};
use bridge_sequencer::{Disk, Sequencer};
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

/// The state that stands for what can no longer be replayed.
struct Snapshot {
    /// To be told first.
    gap: Option<(u64, u64)>,
    /// Orders and legs, those that were told last.
    open: VecDeque<VenueKey>,
    /// Of some of them: in words, and the record that these depend on.
    words: VecDeque<SubscriptionItem>,
    depends_on: u64,
}

/// One subscription.
pub struct Subscription {
    /// Whose updates.
    pub account: Text,
    /// Where they go.
    pub sink: Sink,
    snapshot: Option<Box<Snapshot>>,
    /// Last sequence number that was handed to the sink.
    pub last_sent: u64,
    /// Last sequence number that may be.
    released: u64,
    /// How far the one may lie behind the other.
    lag_allowed: u64,
}

impl Subscription {
    /// A subscription that is owed its replay, up to `last_sequence`, first. Besides that it may lag by `lag_allowed`.
    pub fn new(account: Text, sink: Sink, replay: Replay, last_sequence: u64, lag_allowed: usize) -> Self {
        let (last_sent, snapshot) = match replay {
            Replay::Whole { after } => (after, None),
            Replay::Gap { first, last, open } => {
                let gap = Some((first, last));
                let snapshot = Snapshot { gap, open: open.into(), words: VecDeque::new(), depends_on: 0 };
                (first.saturating_sub(1), Some(Box::new(snapshot)))
            }
            Replay::Regressed => (last_sequence, None),
        };
        let mut new = Self { account, sink, snapshot, last_sent, released: last_sequence, lag_allowed: 0 };
        new.lag_allowed = new.lag().saturating_add(lag_allowed as u64);
        new
    }

    /// Whether there is something to hand over.
    pub fn is_owed(&self) -> bool {
        self.snapshot.is_some() || self.last_sent < self.released
    }

    /// Updates that were released and not handed over.
    fn lag(&self) -> u64 {
        let position = match &self.snapshot {
            Some(snapshot) => snapshot.gap.map_or(self.last_sent, |(_, last)| last),
            None => self.last_sent,
        };
        self.released.saturating_sub(position)
    }

    /// Puts what comes next in words, `most` items at most. False: it was forgotten, which no lag that is allowed
    /// comes to.
    pub fn fill<D: Disk>(
        &mut self,
        sequencer: &Sequencer<D>,
        most: usize,
        items: &mut VecDeque<SubscriptionItem>,
    ) -> bool {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.fill(sequencer, most, items);
            if !snapshot.is_told() {
                return true;
            }
            self.snapshot = None; // what was open has closed
        }
        let first = self.last_sent + 1;
        let last = self.released.min(self.last_sent.saturating_add(most as u64));
        let range = UpdateRange { account: self.account.clone(), first, last };
        items.extend(sequencer.updates(&range).map(SubscriptionItem::Update));
        match items.front() {
            Some(SubscriptionItem::Update(update)) => update.sequence == first,
            _ => first > last,
        }
    }

    /// Notes that an item of [`Subscription::fill`] was handed to the sink.
    pub fn sent(&mut self, item: &Sent) {
        match item {
            Sent::Update(sequence) => self.last_sent = *sequence,
            Sent::Gap { last } => self.last_sent = *last,
            // A snapshot's updates carry old numbers: state, not events.
            Sent::OfSnapshot => {}
        }
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.sent(item);
            if snapshot.is_told() {
                self.snapshot = None;
            }
        }
    }
}

/// What an item was, once it is gone.
pub enum Sent {
    /// The update with this number.
    Update(u64),
    /// A gap up to this number.
    Gap {
        /// Last number that will not come.
        last: u64,
    },
    /// An order's state.
    OfSnapshot,
}

impl From<&SubscriptionItem> for Sent {
    fn from(item: &SubscriptionItem) -> Self {
        match item {
            SubscriptionItem::Update(update) if update.snapshot => Self::OfSnapshot,
            SubscriptionItem::Update(update) => Self::Update(update.sequence),
            SubscriptionItem::Gap { last, .. } => Self::Gap { last: *last },
        }
    }
}

impl Snapshot {
    fn fill<D: Disk>(&mut self, sequencer: &Sequencer<D>, most: usize, items: &mut VecDeque<SubscriptionItem>) {
        if let Some((first, last)) = self.gap {
            return items.push_back(SubscriptionItem::Gap { first, last });
        }
        while self.words.is_empty() && !self.open.is_empty() {
            let keys: Vec<VenueKey> = self.open.drain(..most.min(self.open.len())).collect();
            self.words.extend(sequencer.snapshot(&keys).map(SubscriptionItem::Update));
            self.depends_on = sequencer.last_seq();
        }
        // The state may be ahead of the disk (invariant 2).
        if sequencer.is_durable(self.depends_on) {
            items.extend(self.words.iter().take(most).cloned());
        }
    }

    fn sent(&mut self, item: &Sent) {
        match item {
            Sent::Gap { .. } => self.gap = None,
            _ => drop(self.words.pop_front()),
        }
    }

    fn is_told(&self) -> bool {
        self.gap.is_none() && self.open.is_empty() && self.words.is_empty()
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
        let owes = subscription.is_owed();
        let key = self.slots.insert(subscription);
        if owes {
            self.owing.push_back(key);
        }
        key
    }

    /// These updates may leave. Gives the subscribers of the account that lag too far.
    pub fn release(&mut self, range: &UpdateRange) -> Vec<Key> {
        let mut lagging = Vec::new();
        for key in self.slots.keys() {
            let Some(subscription) = self.slots.get_mut(key) else { continue };
            // What a replay covers already is not owed twice.
            if subscription.account != range.account || range.last <= subscription.released {
                continue;
            }
            if !subscription.is_owed() {
                self.owing.push_back(key);
            }
            // Judged by what it could have read: one large cancel is no lag of anybody's.
            if subscription.lag() > subscription.lag_allowed {
                lagging.push(key);
            }
            subscription.released = range.last;
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

    /// Ends those whose stream of gRPC is gone: where nothing is owed, nothing else would find out.
    pub fn drop_closed_streams(&mut self) {
        for key in self.slots.keys() {
            let sink = self.slots.get_mut(key).map(|subscription| &subscription.sink);
            if matches!(sink, Some(Sink::Stream { items, .. }) if items.is_closed()) {
                self.remove(key);
            }
        }
    }

    /// All of them.
    pub fn keys(&self) -> Vec<Key> {
        self.slots.keys()
    }
}
