//! The reused builder behind all encoding: after the first messages nothing is allocated (invariant 8).

use crate::schema as fb;
use bridge_core::Decimal;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

pub(super) type Builder = FlatBufferBuilder<'static>;
pub(super) type Text = WIPOffset<&'static str>;

/// Writes messages, one at a time, into a buffer of its own. Each method returns the bytes of one message part,
/// valid until the next call.
#[derive(Default)]
pub struct Encoder {
    pub(super) builder: Builder,
    pub(super) replies: Vec<WIPOffset<fb::ExecuteReply<'static>>>,
    pub(super) listed: Vec<WIPOffset<fb::OrderReply<'static>>>,
    pub(super) orders: Vec<WIPOffset<fb::TradeOrder<'static>>>,
    pub(super) entries: Vec<WIPOffset<fb::MetadataEntry<'static>>>,
}

impl Encoder {
    /// An encoder with an empty buffer; it grows to the largest message that it has written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held for reuse.
    pub fn capacity_bytes(&self) -> usize {
        self.builder.unfinished_data().len()
    }

    /// Starts a message: forgets the one before.
    pub(super) fn start(&mut self) -> &mut Builder {
        self.builder.reset();
        &mut self.builder
    }

    /// Ends a message: the envelope around its body.
    pub(super) fn finish<T>(
        &mut self,
        correlation: u64,
        journal_id: &str,
        kind: fb::Body,
        body: WIPOffset<T>,
    ) -> &[u8] {
        let journal_id = text(&mut self.builder, journal_id);
        let body: WIPOffset<UnionWIPOffset> = body.as_union_value();
        let envelope = fb::EnvelopeArgs { correlation, journal_id, body_type: kind, body: Some(body) };
        let root = fb::Envelope::create(&mut self.builder, &envelope);
        fb::finish_envelope_buffer(&mut self.builder, root);
        self.builder.finished_data()
    }
}

/// A text; an empty one is left out, as absent and empty mean the same everywhere.
pub(super) fn text(builder: &mut Builder, value: &str) -> Option<Text> {
    if value.is_empty() { None } else { Some(builder.create_string(value)) }
}

pub(super) fn decimal(value: Decimal) -> fb::Decimal {
    fb::Decimal::new(value.mantissa, value.exponent)
}

pub(super) fn optional(value: Option<Decimal>) -> Option<fb::Decimal> {
    value.map(decimal)
}
