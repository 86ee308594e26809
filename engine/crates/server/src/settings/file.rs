//! The configuration file: the same settings as the command line, and the limits. Unknown keys are refused.

use crate::failure::Failure;
use serde::Deserialize;
use std::{fs, path::Path, path::PathBuf};

/// The whole file. What is absent has its default.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub zmq: Vec<String>,
    #[serde(rename = "pub")]
    pub publish: Option<String>,
    pub grpc: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub durability: Option<String>,
    pub drain_ms: Option<u64>,
    pub spin_us: Option<u64>,
    pub pin_core: Option<usize>,
    pub limits: super::Limits,
    pub journal: JournalSection,
    pub orders: OrdersSection,
    pub instruments: Option<Vec<InstrumentSection>>,
    pub venue: VenueSection,
    pub risk: super::risk::RiskSection,
}

/// `[journal]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSection {
    pub segment_bytes: Option<u64>,
    pub snapshot_every_bytes: Option<u64>,
    pub archive_dir: Option<PathBuf>,
}

/// `[orders]`: what `apply` reads; a change is journaled.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct OrdersSection {
    pub max_skew_ms: Option<u64>,
    pub retention_ms: Option<u64>,
    pub quote_retention_ms: Option<u64>,
    pub foreign_id_quota: Option<u64>,
    pub max_remembered_ids: Option<u64>,
    pub update_history: Option<u32>,
    pub max_metadata_entries: Option<u32>,
    pub max_metadata_bytes: Option<u32>,
}

/// One of `[[instruments]]`. Decimals are given as text, so that they are exact.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentSection {
    pub symbol: String,
    pub tick: String,
    pub quantity_step: String,
    pub opening_quote: Option<QuoteSection>,
}

/// `opening_quote` of an instrument.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct QuoteSection {
    pub bid: Option<String>,
    pub ask: Option<String>,
    pub bid_size: Option<String>,
    pub ask_size: Option<String>,
    pub last_price: Option<String>,
    pub volume: Option<String>,
}

/// `[venue]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct VenueSection {
    pub kind: Option<String>,
    pub endpoint: Option<String>,
    pub ack_timeout_ms: Option<u64>,
}

/// Reads and parses the file.
///
/// # Errors
/// What cannot be read, is no TOML, or has a key or value that is not allowed: with the line.
pub fn read(path: &Path) -> Result<File, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::setup(format!("cannot read the configuration {}: {e}", path.display())))?;
    toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(0, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        Failure::setup(format!("configuration {} line {line}: {}", path.display(), e.message()))
    })
}
