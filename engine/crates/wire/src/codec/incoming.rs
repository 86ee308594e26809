//! One request after the other, read into the same memory: nothing is allocated for an order (invariant 8).

use super::frame::{DecodeError, open};
use super::message::ClientMessage;
use super::order::{SpareEntries, order_into, trim};
use super::request::{client_message, orders_of};
use crate::{limits::DecodeLimits, schema as fb};
use bridge_core::{Command, Order};

/// The memory of a larger message is not kept: a few of those would hold on to it for good.
const KEPT_MESSAGE_BYTES: usize = 1 << 20;

/// A request that is read, its memory used again by the next.
#[derive(Debug)]
pub struct Incoming {
    /// Chosen by the client; its reply carries it.
    pub correlation: u64,
    /// The journal that the client means; empty where it named none.
    pub journal_id: String,
    /// What it asks. Whoever takes it out should put it back, for its memory.
    pub body: ClientMessage,
    /// Orders that the last batch did not need, with their texts.
    spare_orders: Vec<Order>,
    /// Entries of metadata that an order had more than the next.
    spare_entries: SpareEntries,
    /// Of the message that was read last.
    message_bytes: usize,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

impl Incoming {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self {
            correlation: 0,
            journal_id: String::new(),
            body: ClientMessage::Health,
            spare_orders: Vec::new(),
            spare_entries: Vec::new(),
            message_bytes: 0,
        }
    }

    /// Reads one message part of a client, as [`super::decode_request`] does.
    ///
    /// # Errors
    /// As [`super::decode_request`]. What is read then is of no meaning.
    pub fn read(&mut self, bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
        if self.message_bytes > KEPT_MESSAGE_BYTES {
            *self = Self::new();
        }
        self.message_bytes = bytes.len();
        let envelope = open(bytes, limits)?;
        self.correlation = envelope.correlation();
        self.journal_id.clear();
        self.journal_id.push_str(envelope.journal_id().unwrap_or_default());
        match envelope.body_type() {
            fb::Body::ExecuteOrder => {
                let Some(body) = envelope.body_as_execute_order() else { return Err(without_body(&envelope)) };
                self.read_order(body.order());
            }
            fb::Body::ExecuteBatch => {
                let Some(body) = envelope.body_as_execute_batch() else { return Err(without_body(&envelope)) };
                let tables = orders_of(&body, limits).map_err(|e| e.of(&envelope))?;
                self.orders(tables.len());
                let ClientMessage::ExecuteBatch(orders) = &mut self.body else { return Ok(()) };
                let entries = &mut self.spare_entries;
                orders.iter_mut().zip(tables).for_each(|(order, table)| order_into(Some(table), order, entries));
            }
            _ => self.put(client_message(&envelope, limits)?),
        }
        Ok(())
    }

    /// One order, into the place of the last where that was one too.
    fn read_order(&mut self, table: Option<fb::TradeOrder<'_>>) {
        if let ClientMessage::Command(Command::Execute(order)) = &mut self.body {
            return order_into(table, order, &mut self.spare_entries);
        }
        let mut order = self.spare_orders.pop().unwrap_or_default();
        order_into(table, &mut order, &mut self.spare_entries);
        self.put(ClientMessage::Command(Command::Execute(order)));
    }

    /// Makes the body a batch of `count` orders, with the texts of former ones.
    fn orders(&mut self, count: usize) {
        if !matches!(self.body, ClientMessage::ExecuteBatch(_)) {
            self.put(ClientMessage::ExecuteBatch(Vec::new()));
        }
        let ClientMessage::ExecuteBatch(orders) = &mut self.body else { return };
        if orders.len() > count {
            orders[count..].iter_mut().for_each(trim);
            self.spare_orders.extend(orders.drain(count..));
        }
        while orders.len() < count {
            orders.push(self.spare_orders.pop().unwrap_or_default());
        }
    }

    /// Puts another message into the place of the last, whose orders are kept.
    fn put(&mut self, body: ClientMessage) {
        match std::mem::replace(&mut self.body, body) {
            ClientMessage::Command(Command::Execute(mut order)) => {
                trim(&mut order);
                self.spare_orders.push(order);
            }
            ClientMessage::ExecuteBatch(mut orders) => {
                orders.iter_mut().for_each(trim);
                self.spare_orders.append(&mut orders);
            }
            _ => {}
        }
    }
}

pub(super) fn without_body(envelope: &fb::Envelope<'_>) -> DecodeError {
    DecodeError::malformed(envelope.correlation(), "the envelope has no body")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{Encoder, OrderFields};

    /// Memory of texts and tables that is held, whether it is in use or waits to be.
    fn held_bytes(incoming: &Incoming) -> usize {
        let entries = |entries: &[(String, String)]| -> usize {
            entries.iter().map(|(key, value)| key.capacity() + value.capacity()).sum()
        };
        let of = |order: &Order| {
            let texts = [&order.order_id, &order.account, &order.symbol, &order.trace_context];
            texts.iter().map(|text| text.capacity()).sum::<usize>()
                + order.metadata.capacity() * size_of::<(String, String)>()
                + entries(&order.metadata)
        };
        let body = match &incoming.body {
            ClientMessage::ExecuteBatch(orders) => orders.iter().map(of).sum(),
            ClientMessage::Command(Command::Execute(order)) => of(order),
            _ => 0,
        };
        body + incoming.spare_orders.iter().map(of).sum::<usize>() + entries(&incoming.spare_entries)
    }

    #[test]
    fn what_one_message_was_too_large_in_is_not_held_for_good() {
        let long = "x".repeat(200_000);
        let metadata: Vec<(&str, &str)> = (0..200).map(|_| ("key", long.get(..800).unwrap())).collect();
        let limits = DecodeLimits { max_message_bytes: 4 << 20, max_batch_orders: 1000 };
        let (mut incoming, mut encoder) = (Incoming::new(), Encoder::new());
        let mut most_held = 0;
        for count in (1..=200).rev() {
            // The last order of each batch is the large one; the next batch does not need its place.
            encoder.begin_batch();
            for index in 0..count {
                let is_last = index + 1 == count;
                let (symbol, metadata) = if is_last { (&*long, &*metadata) } else { ("NASDAQ", &[][..]) };
                encoder.add_order(&OrderFields { symbol, metadata, ..OrderFields::default() });
            }
            let bytes = encoder.end_batch(1, "").to_vec();
            incoming.read(&bytes, &limits).unwrap();
            most_held = most_held.max(held_bytes(&incoming));
        }
        assert!(most_held < 2 << 20, "{most_held}");
    }
}
