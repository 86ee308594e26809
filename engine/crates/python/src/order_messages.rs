//! Writes ExecuteOrder and ExecuteBatch front to back: parents first, then what they point to.
//!
//! flatbuffers' builder writes any message back to front and looks each table's layout up again; of the time to encode
//! an order that is a third. The layouts of these two are known beforehand. The result is as any FlatBuffer is:
//! numbers aligned, texts closed by NUL, equal vtables shared by neighbours.

use bridge_core::Decimal;
use bridge_wire::codec::OrderFields;
use bridge_wire::schema as fb;

const IDENTIFIER: &[u8; 4] = b"XBR1";
/// vtable: its size, the table's size, correlation, journal_id, body_type, body.
const ENVELOPE_VTABLE: [u16; 6] = [12, 21, 4, 12, 20, 16];
const ENVELOPE_VTABLE_WITHOUT_JOURNAL: [u16; 6] = [12, 21, 4, 0, 20, 16];
const ENVELOPE_VTABLE_AT: usize = 8;
/// 4 beyond a multiple of 8, as every table here that has numbers of 8 bytes behind its first 4.
const ENVELOPE_AT: usize = 20;
const JOURNAL_ID_AT: usize = ENVELOPE_AT + 12;
const BODY_AT: usize = ENVELOPE_AT + 16;
/// A table with one offset: ExecuteOrder, ExecuteBatch.
const SINGLE_VTABLE: [u16; 3] = [6, 8, 4];
/// A table with two: MetadataEntry.
const PAIR_VTABLE: [u16; 4] = [8, 12, 4, 8];
/// Fields of TradeOrder.
const ORDER_ENTRIES: usize = 15;
const ORDER_VTABLE_BYTES: usize = 4 + 2 * ORDER_ENTRIES;

/// A message being written, in a buffer that is used again.
#[derive(Default)]
pub struct OrderMessage {
    bytes: Vec<u8>,
    /// Where the offset to the next order of a batch goes.
    slot: usize,
    /// Of the order before.
    vtable: Option<(usize, [u8; ORDER_VTABLE_BYTES])>,
    pair_vtable: Option<usize>,
}

impl OrderMessage {
    /// Bytes held for use again.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The message, once it is whole.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One order.
    pub fn single(&mut self, correlation: u64, journal_id: &str, order: &OrderFields<'_>) -> &[u8] {
        self.begin(correlation, journal_id, fb::Body::ExecuteOrder);
        self.slot = self.single_table();
        self.order(order);
        &self.bytes
    }

    /// Begins a message of `count` orders: [`OrderMessage::order`] each.
    pub fn begin_batch(&mut self, correlation: u64, journal_id: &str, count: usize) {
        self.begin(correlation, journal_id, fb::Body::ExecuteBatch);
        let slot = self.single_table();
        self.point(slot);
        self.u32(count as u32);
        self.slot = self.bytes.len();
        self.bytes.resize(self.slot + 4 * count, 0);
    }

    /// The next order.
    pub fn order(&mut self, order: &OrderFields<'_>) {
        let mut layout = Layout::default();
        let decimals = [order.quantity, order.price, order.stop_loss, order.take_profit];
        let decimal_places = decimals.map(|given| given.map(|_| layout.reserve(16)));
        let times = [order.timestamp_ns, order.expires_at_ns];
        let time_places = times.map(|given| given.map(|_| layout.reserve(8)));
        let texts = [order.order_id, order.symbol, order.account, order.trace_context];
        let text_places = texts.map(|given| (!given.is_empty()).then(|| layout.reserve(4)));
        let metadata_place = (!order.metadata.is_empty()).then(|| layout.reserve(4));
        let version_place = Some(layout.reserve(2));
        let members = [order.order_type, order.side, order.time_in_force];
        let member_places = members.map(|given| given.map(|_| layout.reserve(1)));
        // In the order of the schema.
        let entries = [
            text_places[0],
            text_places[1],
            member_places[0],
            member_places[1],
            decimal_places[0],
            decimal_places[1],
            decimal_places[2],
            decimal_places[3],
            time_places[0],
            metadata_place,
            text_places[2],
            member_places[2],
            time_places[1],
            version_place,
            text_places[3],
        ];
        let table = self.order_table(&entries, layout.size);
        for (given, place) in decimals.iter().zip(decimal_places) {
            if let (Some(number), Some(place)) = (given, place) {
                self.put_decimal(table + place, *number);
            }
        }
        for (given, place) in times.iter().zip(time_places) {
            if let (Some(time), Some(place)) = (given, place) {
                self.put(table + place, &time.to_le_bytes());
            }
        }
        for (given, place) in members.iter().zip(member_places) {
            if let (Some(member), Some(place)) = (given, place) {
                self.bytes[table + place] = *member;
            }
        }
        if let Some(place) = version_place {
            self.put(table + place, &order.contract_version.to_le_bytes());
        }
        for (given, place) in texts.iter().zip(text_places) {
            if let Some(place) = place {
                self.text(table + place, given);
            }
        }
        if let Some(place) = metadata_place {
            self.metadata(table + place, order.metadata);
        }
    }

    fn begin(&mut self, correlation: u64, journal_id: &str, body: fb::Body) {
        self.bytes.clear();
        (self.vtable, self.pair_vtable) = (None, None);
        self.u32(ENVELOPE_AT as u32);
        self.bytes.extend_from_slice(IDENTIFIER);
        let has_journal = !journal_id.is_empty();
        self.vtable(if has_journal { &ENVELOPE_VTABLE } else { &ENVELOPE_VTABLE_WITHOUT_JOURNAL });
        self.u32((ENVELOPE_AT - ENVELOPE_VTABLE_AT) as u32);
        self.bytes.extend_from_slice(&correlation.to_le_bytes());
        // Offsets to the journal's id and to the body, the body's type, and three bytes to the next multiple of 4.
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&[body.0, 0, 0, 0]);
        if has_journal {
            self.text(JOURNAL_ID_AT, journal_id);
        }
    }

    /// The body: a table with one offset, whose place is returned.
    fn single_table(&mut self) -> usize {
        let vtable = self.bytes.len();
        self.vtable(&SINGLE_VTABLE);
        self.align(4, 0);
        self.point(BODY_AT);
        self.u32((self.bytes.len() - vtable) as u32);
        self.u32(0);
        self.bytes.len() - 4
    }

    /// An empty TradeOrder with these fields; its position.
    fn order_table(&mut self, entries: &[Option<usize>; ORDER_ENTRIES], size: usize) -> usize {
        let mut vtable = [0; ORDER_VTABLE_BYTES];
        vtable[..2].copy_from_slice(&(ORDER_VTABLE_BYTES as u16).to_le_bytes());
        vtable[2..4].copy_from_slice(&(size as u16).to_le_bytes());
        for (place, bytes) in entries.iter().zip(vtable[4..].chunks_exact_mut(2)) {
            bytes.copy_from_slice(&(place.unwrap_or(0) as u16).to_le_bytes());
        }
        let vtable_at = match self.vtable {
            Some((at, known)) if known == vtable => at,
            _ => {
                let at = self.bytes.len();
                self.bytes.extend_from_slice(&vtable);
                self.vtable = Some((at, vtable));
                at
            }
        };
        self.align(8, 4);
        let table = self.bytes.len();
        self.point(self.slot);
        self.slot += 4;
        self.u32((table - vtable_at) as u32);
        self.bytes.resize(table + size, 0);
        self.align(4, 0);
        table
    }

    fn metadata(&mut self, from: usize, entries: &[(&str, &str)]) {
        self.point(from);
        self.u32(entries.len() as u32);
        let mut slot = self.bytes.len();
        self.bytes.resize(slot + 4 * entries.len(), 0);
        for (key, value) in entries {
            let vtable = match self.pair_vtable {
                Some(at) => at,
                None => {
                    let at = self.bytes.len();
                    self.vtable(&PAIR_VTABLE);
                    *self.pair_vtable.insert(at)
                }
            };
            self.point(slot);
            slot += 4;
            let table = self.bytes.len();
            self.u32((table - vtable) as u32);
            self.bytes.extend_from_slice(&[0; 8]);
            self.text(table + 4, key);
            self.text(table + 8, value);
        }
    }

    fn text(&mut self, from: usize, text: &str) {
        self.point(from);
        self.u32(text.len() as u32);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.align(4, 0);
    }

    /// Lets the offset at `from` point to what is written next.
    fn point(&mut self, from: usize) {
        let offset = (self.bytes.len() - from) as u32;
        self.put(from, &offset.to_le_bytes());
    }

    fn put_decimal(&mut self, at: usize, number: Decimal) {
        self.put(at, &number.mantissa.to_le_bytes());
        self.bytes[at + 8] = number.exponent as u8;
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn vtable(&mut self, entries: &[u16]) {
        for entry in entries {
            self.bytes.extend_from_slice(&entry.to_le_bytes());
        }
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Zeros up to a position that is `beyond` a multiple of `to`.
    fn align(&mut self, to: usize, beyond: usize) {
        let missing = (to + beyond - self.bytes.len() % to) % to;
        self.bytes.resize(self.bytes.len() + missing, 0);
    }
}

/// Where a table's fields lie: in the order they are reserved, the widest first, so that all are aligned in a table
/// that begins 4 beyond a multiple of 8.
struct Layout {
    size: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { size: 4 }
    }
}

impl Layout {
    fn reserve(&mut self, bytes: usize) -> usize {
        let place = self.size;
        self.size += bytes;
        place
    }
}
