//! Configuration of the core: it enters as a journaled input, never from the outside (invariant 3).

use crate::{Decimal, Quote};
use serde::{Deserialize, Serialize};

/// What is wrong with a configuration: the field, by its path, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("configuration: {field}: {problem}")]
pub struct ConfigurationError {
    /// Path of the field, such as `instruments[1].tick`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

/// One tradable instrument.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Instrument {
    /// 1 to 32 bytes of printable ASCII without space.
    pub symbol: String,
    /// Smallest price difference; prices are multiples of it.
    pub tick: Decimal,
    /// Smallest quantity difference; quantities are multiples of it.
    pub quantity_step: Decimal,
    /// Quote that the book opens with when the instrument first appears.
    pub opening_quote: Option<Quote>,
}

/// All that `apply` may read besides state and input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// What can be traded.
    pub instruments: Vec<Instrument>,
    /// How far ahead of engine time a UUIDv7 order id may be, milliseconds.
    pub max_skew_ms: u64,
    /// How old a UUIDv7 order id may be when first seen, milliseconds.
    pub retention_ms: u64,
    /// How many ids that are no UUIDv7 an account may use.
    pub foreign_id_quota: u64,
    /// How many order updates of an account can be replayed.
    pub update_history: u32,
    /// Entries of an order's metadata.
    pub max_metadata_entries: u32,
    /// Bytes of one metadata key or value.
    pub max_metadata_bytes: u32,
}
