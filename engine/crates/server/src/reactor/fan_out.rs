//! Fan-out of updates and market data: after the replies, within a budget per turn (invariant 8).

use super::{
    Reactor,
    clients::send,
    peer::{Ending, Role},
    publisher::{Publication, PublishedQuote, SYSTEM_TOPIC, topic_of},
    slab::Key,
    updates::{Sent, Sink},
    utc_now,
};
use crate::grpc::SubscriptionItem;
use bridge_core::{ReasonCode, Rejection};
use bridge_wire::codec::{Encoder, MarketData, SystemNotice};
use std::collections::VecDeque;
use tokio::sync::mpsc::error::TrySendError;

/// Messages of fan-out per turn: about half a millisecond of encoding.
const MESSAGES_PER_TURN: usize = 256;
/// Of one subscriber at a time, so that the others have their turn.
const MESSAGES_PER_SUBSCRIBER: usize = 64;

/// What a subscriber can take; of an item that was handed over, whether it could be.
enum Room {
    Some,
    /// Not just now.
    None,
    /// The subscriber went.
    Gone,
}

impl Reactor {
    /// Serves subscribers, round and round, until the budget is spent or nobody can take more.
    pub(super) fn fan_out(&mut self) {
        self.streams_blocked = false;
        let mut budget = MESSAGES_PER_TURN;
        while budget > 0
            && let Some(publication) = self.publisher.next()
        {
            budget = budget.saturating_sub(self.publish(&publication).max(1));
        }
        let mut in_a_row_without_room = 0;
        while budget > 0 && in_a_row_without_room < self.subscriptions.owing() {
            let Some(key) = self.subscriptions.next_owing() else { return };
            let served = self.serve_subscription(key, budget.min(MESSAGES_PER_SUBSCRIBER));
            budget -= served;
            in_a_row_without_room = if served == 0 { in_a_row_without_room + 1 } else { 0 };
        }
        self.fan_out_unfinished = budget == 0;
    }

    /// Whether fan-out stopped for its budget: the next turn must not wait.
    pub(super) fn fan_out_waits(&self) -> bool {
        self.fan_out_unfinished && (self.publisher.waits() || self.subscriptions.owe())
    }

    /// Hands over up to `most` items; says how many.
    fn serve_subscription(&mut self, key: Key, most: usize) -> usize {
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        let served = match self.room_of(key) {
            Room::Some => self.fill_and_hand_over(key, most, &mut items),
            Room::None => 0,
            Room::Gone => {
                self.subscriptions.remove(key);
                0
            }
        };
        self.items = items;
        if self.subscriptions.get_mut(key).is_some_and(|subscription| subscription.is_owed()) {
            self.subscriptions.owes_still(key);
        }
        served
    }

    fn fill_and_hand_over(&mut self, key: Key, most: usize, items: &mut VecDeque<SubscriptionItem>) -> usize {
        let Some(subscription) = self.subscriptions.get_mut(key) else { return 0 };
        if !subscription.fill(&self.parts.sequencer, most, items) {
            self.cut_off(key);
            return 0;
        }
        let mut served = 0;
        while let Some(item) = items.pop_front() {
            let what = Sent::from(&item);
            match self.hand_over(key, item) {
                Room::Some => self.subscriptions.get_mut(key).into_iter().for_each(|owed| owed.sent(&what)),
                Room::None => break,
                Room::Gone => {
                    self.subscriptions.remove(key);
                    break;
                }
            }
            served += 1;
        }
        served
    }

    /// Whether a subscriber can take anything: nothing is put in words for one that cannot.
    fn room_of(&mut self, key: Key) -> Room {
        match self.subscriptions.get_mut(key).map(|subscription| &subscription.sink) {
            Some(Sink::Peer { peer, .. }) => {
                let peer = *peer;
                self.room_of_peer(peer)
            }
            Some(Sink::Stream { items, .. }) if items.is_closed() => Room::Gone,
            Some(Sink::Stream { items, .. }) if items.capacity() == 0 => {
                self.streams_blocked = true;
                Room::None
            }
            Some(Sink::Stream { .. }) => Room::Some,
            None => Room::Gone,
        }
    }

    fn room_of_peer(&self, peer: Key) -> Room {
        match self.peers.get(peer).map(|state| state.zmtp.pending_output_bytes()) {
            Some(waiting) if waiting >= self.parts.limits.output_high_water_bytes => Room::None,
            Some(_) => Room::Some,
            None => Room::Gone,
        }
    }

    fn hand_over(&mut self, key: Key, item: SubscriptionItem) -> Room {
        let (peer, correlation) = match self.subscriptions.get_mut(key).map(|subscription| &subscription.sink) {
            Some(Sink::Peer { peer, correlation }) => (*peer, *correlation),
            Some(Sink::Stream { items, .. }) => {
                return match items.try_send(item) {
                    Ok(()) => Room::Some,
                    Err(TrySendError::Closed(_)) => Room::Gone,
                    Err(TrySendError::Full(_)) => {
                        self.streams_blocked = true;
                        Room::None
                    }
                };
            }
            None => return Room::Gone,
        };
        let room = self.room_of_peer(peer);
        if matches!(room, Room::Some) {
            send(&mut self.peers, peer, encode(&mut self.encoder, correlation, &item));
            self.unwritten(peer);
        }
        room
    }

    /// Ends a subscription and says why. `cut`: its connection too, which is what a slow consumer gets.
    pub(super) fn end_subscription(&mut self, key: Key, why: &Rejection, cut: bool) {
        let Some(subscription) = self.subscriptions.remove(key) else { return };
        match subscription.sink {
            // Set before the channel closes with this value.
            Sink::Stream { end, .. } => drop(end.set(why.clone())),
            Sink::Peer { peer, correlation } => {
                let bytes =
                    self.encoder.subscription_ended(correlation, why.code, &why.message, subscription.last_sent);
                send(&mut self.peers, peer, bytes);
                self.unwritten(peer);
                self.one_subscription_less(peer);
                if cut {
                    if let Some(state) = self.peers.get_mut(peer) {
                        let from = state.from.clone();
                        self.log.bad_input(&from, "slow consumer of order updates: cut off");
                    }
                    self.end_peer(peer);
                }
            }
        }
    }

    /// Ends the subscription that a client names; its correlation number answers the request too.
    pub(super) fn unsubscribe(&mut self, key: Key, correlation: u64, named: u64) {
        let found = self.subscriptions.of_peer(key).into_iter().find(|(_, name)| *name == named);
        let Some((subscription, _)) = found else {
            let message = format!("this connection has no subscription {named}");
            let rejection = Rejection::new(ReasonCode::MalformedMessage, "subscription", message);
            return self.refuse(key, correlation, &rejection);
        };
        let last_sent = self.subscriptions.remove(subscription).map_or(0, |gone| gone.last_sent);
        self.one_subscription_less(key);
        let bytes = self.encoder.subscription_ended(correlation, ReasonCode::None, "", last_sent);
        send(&mut self.peers, key, bytes);
        self.unwritten(key);
    }

    /// Sends one publication to those that asked for its topic; says to how many.
    fn publish(&mut self, publication: &Publication) -> usize {
        let mut topic = match publication {
            Publication::Quote(quote) => topic_of(&quote.data.symbol),
            Publication::Notice { .. } => SYSTEM_TOPIC.to_owned(),
            Publication::Mark { topic, .. } => topic.clone(),
        };
        let body = match publication {
            Publication::Quote(quote) => self.encoder.market_data(&wire_quote(quote)),
            Publication::Notice { topic_sequence, code, message } => {
                let (topic_sequence, code) = (*topic_sequence, *code);
                self.encoder.system_notice(&SystemNotice { topic_sequence, code, message, timestamp_ns: utc_now() })
            }
            Publication::Mark { topic, last } => self.encoder.topic_mark(topic, *last),
        };
        // ZeroMQ matches prefixes: the NUL keeps md.A from matching md.AB.
        topic.push('\0');
        let mut sent = 0;
        for &key in &self.publisher.peers {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            let Role::Subscriber(topics) = &peer.role else { continue };
            let room = peer.zmtp.pending_output_bytes() < self.parts.limits.output_high_water_bytes;
            if peer.ending != Ending::No || !topics.matches(topic.as_bytes()) || !room {
                continue;
            }
            // Not ready: it has not asked for a topic either.
            if peer.zmtp.send_parts(&[topic.as_bytes(), body]).is_ok() {
                sent += 1;
                if !peer.listed {
                    peer.listed = true;
                    self.unwritten.push(key);
                }
            }
        }
        sent
    }
}

fn encode<'a>(encoder: &'a mut Encoder, correlation: u64, item: &SubscriptionItem) -> &'a [u8] {
    match item {
        SubscriptionItem::Update(update) => encoder.order_update(correlation, update),
        SubscriptionItem::Gap { first, last } => encoder.update_gap(correlation, *first, *last),
    }
}

fn wire_quote(quote: &PublishedQuote) -> MarketData<'_> {
    let data = &quote.data;
    MarketData {
        topic_sequence: quote.topic_sequence,
        symbol: &data.symbol,
        bid: data.bid,
        ask: data.ask,
        last_price: data.last_price,
        volume: data.volume,
        bid_size: data.bid_size,
        ask_size: data.ask_size,
        timestamp_ns: data.timestamp_ns,
    }
}
