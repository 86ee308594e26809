//! The state hash: a sum over the exchange's parts, so that a change costs the hash of what changed and no more.
//! What changed is noted, and hashed once when the hash is asked for: an order that came and went costs nothing.
//!
//! Each part (an open order, a book's quote, the counters) is written as bytes, little-endian, absent prices as 0,
//! with a first byte for its kind, and hashed by XXH3-128 with a fixed seed. The sum is modulo 2^128.

use crate::book::Book;
use crate::order::OpenOrder;
use crate::{Key, Level, Side};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// "venue" in ASCII; any fixed number would do, and it must never change.
const SEED: u64 = 0x76_65_6e_75_65;

/// Room for the largest part.
const CAPACITY: usize = 96;

/// The sum, and which parts it does not know as they are now.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Sum {
    total: u128,
    counters: u128,
    pub counters_are_due: bool,
    /// Open orders that changed; some may have ended since.
    pub orders: Vec<Key>,
    /// Instruments whose book changed.
    pub books: Vec<u32>,
}

impl Sum {
    /// So many changed orders are hashed at once while they are still in the cache: recovery asks for no hash.
    pub const MOST_CHANGED: usize = 1024;

    /// A part has another hash now than the sum was made with.
    pub fn replace(&mut self, known: &mut u128, hash: u128) {
        self.total = self.total.wrapping_sub(*known).wrapping_add(hash);
        *known = hash;
    }

    /// A part is there no more.
    pub fn remove(&mut self, known: u128) {
        self.total = self.total.wrapping_sub(known);
    }

    /// The counters are these now.
    pub fn count(&mut self, next_priority: u64, last_trade: u64) {
        if std::mem::take(&mut self.counters_are_due) {
            let mut known = self.counters;
            self.replace(&mut known, of_counters(next_priority, last_trade));
            self.counters = known;
        }
    }

    pub const fn total(&self) -> u128 {
        self.total
    }
}

/// Bytes of one part.
struct Bytes {
    buffer: [u8; CAPACITY],
    length: usize,
}

impl Bytes {
    const fn of_kind(kind: u8) -> Self {
        let mut buffer = [0; CAPACITY];
        buffer[0] = kind;
        Self { buffer, length: 1 }
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        self.buffer[self.length..self.length + N].copy_from_slice(&bytes);
        self.length += N;
        self
    }

    fn hash(&self) -> u128 {
        xxh3_128_with_seed(&self.buffer[..self.length], SEED)
    }
}

/// An open order's part.
pub(crate) fn of_order(order: &OpenOrder) -> u128 {
    let mut bytes = Bytes::of_kind(1);
    bytes
        .put(order.key.0.to_le_bytes())
        .put(order.symbol.to_le_bytes())
        .put([order.side as u8, order.order_type as u8, order.time_in_force as u8, u8::from(order.triggered)])
        .put(order.total_steps.to_le_bytes())
        .put(order.executed_steps.to_le_bytes())
        .put(order.price_ticks.unwrap_or(0).to_le_bytes())
        .put(order.stop_loss_ticks.unwrap_or(0).to_le_bytes())
        .put(order.take_profit_ticks.unwrap_or(0).to_le_bytes())
        .put(order.priority.to_le_bytes());
    bytes.hash()
}

/// A book's part: that the instrument is there, and what is left of its quote.
pub(crate) fn of_book(symbol: u32, book: &Book) -> u128 {
    let nothing = Level { price_ticks: 0, quantity_steps: 0 };
    let mut bytes = Bytes::of_kind(2);
    bytes.put(symbol.to_le_bytes()).put(book.quote_priority.to_le_bytes());
    for side in [Side::Buy, Side::Sell] {
        let level = book.feed(side).unwrap_or(nothing);
        bytes.put(level.price_ticks.to_le_bytes()).put(level.quantity_steps.to_le_bytes());
    }
    bytes.hash()
}

/// The counters' part.
pub(crate) fn of_counters(next_priority: u64, last_trade: u64) -> u128 {
    let mut bytes = Bytes::of_kind(3);
    bytes.put(next_priority.to_le_bytes()).put(last_trade.to_le_bytes());
    bytes.hash()
}
