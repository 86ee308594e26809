//! One request after the other, read into the same memory: nothing is allocated for an order (invariant 8).

use super::frame::{DecodeError, open};
use super::message::ClientMessage;
use super::order::{SpareEntries, order_into};
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
            self.spare_orders.extend(orders.drain(count..));
        }
        while orders.len() < count {
            orders.push(self.spare_orders.pop().unwrap_or_default());
        }
    }

    /// Puts another message into the place of the last, whose orders are kept.
    fn put(&mut self, body: ClientMessage) {
        match std::mem::replace(&mut self.body, body) {
            ClientMessage::Command(Command::Execute(order)) => self.spare_orders.push(order),
            ClientMessage::ExecuteBatch(mut orders) => self.spare_orders.append(&mut orders),
            _ => {}
        }
    }
}

pub(super) fn without_body(envelope: &fb::Envelope<'_>) -> DecodeError {
    DecodeError::malformed(envelope.correlation(), "the envelope has no body")
}
