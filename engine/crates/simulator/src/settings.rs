//! What an engine of the simulator is started with.

use bridge_core::{Configuration, Decimal, Instrument, Quote};
use bridge_sequencer::Options;
use bridge_wire::{codec::MessageLimits, limits::DecodeLimits};

/// Symbol, tick, quantity step, bid, ask, and the size of both.
pub type InstrumentText = (String, String, String, String, String, String);

/// The product's default: opening prices of the example data (`crates/server/src/settings/instruments.rs`).
const DEFAULT: [[&str; 6]; 2] = [
    ["NASDAQ", "0.01", "0.001", "2207.53", "2207.55", "1000000"],
    ["SP500", "0.01", "0.001", "1229.22", "1229.24", "1000000"],
];

/// All of it; see the server's settings of the same names.
pub struct Settings {
    /// For the sequencer.
    pub options: Options,
    /// For the core.
    pub configuration: Configuration,
    /// Bounds of the shell.
    pub limits: Limits,
}

/// Bounds of the shell; see `crates/server/src/settings/mod.rs`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one message.
    pub max_message_bytes: u32,
    /// Requests of one connection of the fast path that are not answered.
    pub max_in_flight: usize,
    /// Update subscriptions of one connection.
    pub max_subscriptions: usize,
    /// Updates that a subscriber may lag behind.
    pub update_backlog: usize,
    /// Unread bytes above which a connection is passed over and not read.
    pub output_high_water_bytes: usize,
    /// Unread bytes above which it is closed.
    pub max_output_bytes: usize,
}

impl Settings {
    /// What `Welcome` says.
    pub fn message_limits(&self) -> MessageLimits {
        let bounded = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        MessageLimits {
            max_message_bytes: self.limits.max_message_bytes,
            max_batch_orders: bounded(self.options.max_batch_orders),
            max_in_flight: bounded(self.limits.max_in_flight),
            max_metadata_entries: self.configuration.max_metadata_entries,
            update_history: self.configuration.update_history,
        }
    }

    /// What one message may be.
    pub fn decode_limits(&self) -> DecodeLimits {
        let limits = self.message_limits();
        DecodeLimits { max_message_bytes: limits.max_message_bytes, max_batch_orders: limits.max_batch_orders }
    }
}

/// Instruments from their texts; `None`: the default.
///
/// # Errors
/// A number that is none.
pub fn instruments(texts: Option<Vec<InstrumentText>>) -> Result<Vec<Instrument>, String> {
    let texts = texts.unwrap_or_else(|| DEFAULT.map(|row| row.map(str::to_owned).into()).to_vec());
    texts.iter().map(instrument).collect()
}

fn instrument((symbol, tick, step, bid, ask, size): &InstrumentText) -> Result<Instrument, String> {
    let size = Some(number(size)?);
    Ok(Instrument {
        symbol: symbol.clone(),
        tick: number(tick)?,
        quantity_step: number(step)?,
        opening_quote: Some(Quote {
            symbol: symbol.clone(),
            bid: Some(number(bid)?),
            ask: Some(number(ask)?),
            bid_size: size,
            ask_size: size,
            last_price: None,
            volume: None,
            timestamp_ns: None,
        }),
    })
}

/// A decimal from its text.
///
/// # Errors
/// It is none.
pub fn number(text: &str) -> Result<Decimal, String> {
    text.parse().map_err(|error| format!("{text:?} {error}"))
}
