//! Configuration of the core: it enters as a journaled input, never from the outside (invariant 3).

use crate::quotes::check_quote;
use crate::{Decimal, Quote, RiskConfiguration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// How old a UUIDv7 order id may be when first seen, milliseconds. Orders and commands whose id is one are
    /// remembered at least so long (with `max_skew_ms` on top), and then forgotten.
    pub retention_ms: u64,
    /// How long the id of published quotes is remembered, milliseconds, where it is a UUIDv7: a feed sends many, and
    /// repeats none for long.
    pub quote_retention_ms: u64,
    /// How many ids that are no UUIDv7 an account may use for orders and published quotes.
    pub foreign_id_quota: u64,
    /// How many ids are remembered: of orders, fences and commands, of all accounts. An order under a UUIDv7 takes some
    /// 720 bytes for good (900 while a table has just doubled), one that rests 1,300, one with two legs 3,000
    /// (`crates/sequencer/tests/allocations.rs` holds it to that), so that a million orders take less than a gigabyte.
    pub max_remembered_ids: u64,
    /// How many order updates of an account can be replayed; each takes some 300 bytes.
    pub update_history: u32,
    /// Entries of an order's metadata.
    pub max_metadata_entries: u32,
    /// Bytes of one metadata key or value.
    pub max_metadata_bytes: u32,
    /// What orders may be, until a `SetRiskLimits` says otherwise.
    pub risk: RiskConfiguration,
    /// How many sessions may have their orders cancelled on disconnect.
    pub max_leases: u32,
}

/// Largest normalised mantissa of a tick or step: leaves room for 10^15 of them in 64 bits at the usual 1, 5 or 25.
const MAX_UNIT_MANTISSA: i64 = 1_000_000;
/// Exponents of a tick or step: an average needs six digits more.
const UNIT_EXPONENTS: std::ops::RangeInclusive<i8> = -18..=18;
/// Longest time that a limit may name: a hundred years.
const MAX_MS: u64 = 100 * 365 * 24 * 3_600 * 1_000;
/// Most updates of an account that can be remembered.
const MAX_UPDATE_HISTORY: u32 = 10_000_000;
/// Most entries of metadata, and most bytes of a key or value: an order is stored, and must stay small.
const MAX_METADATA: u32 = 65_536;
/// Most sessions that may have a lease.
const MAX_LEASES: u32 = 1_000_000;

impl ConfigurationError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl Configuration {
    /// Before there is any: nothing can be traded.
    pub(crate) const UNCONFIGURED: Self = Self {
        instruments: Vec::new(),
        max_skew_ms: 0,
        retention_ms: 0,
        quote_retention_ms: 0,
        foreign_id_quota: 0,
        max_remembered_ids: u64::MAX,
        update_history: 0,
        max_metadata_entries: 0,
        max_metadata_bytes: 0,
        risk: RiskConfiguration::NONE,
        max_leases: 0,
    };

    /// Whether the configuration is right in itself.
    ///
    /// # Errors
    /// The first field that is wrong, by its path, and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigurationError> {
        if self.instruments.is_empty() {
            return Err(ConfigurationError::new("instruments", "at least one is needed"));
        }
        let mut symbols = BTreeSet::new();
        for (index, instrument) in self.instruments.iter().enumerate() {
            let at = format!("instruments[{index}]");
            instrument.validate(&at)?;
            if !symbols.insert(&instrument.symbol) {
                let problem = format!("{} is there twice", instrument.symbol);
                return Err(ConfigurationError::new(format!("{at}.symbol"), problem));
            }
        }
        let is_symbol = |symbol: &str| self.instruments.iter().any(|one| one.symbol == symbol);
        self.risk.validate(&is_symbol)?;
        self.validate_limits()
    }

    fn validate_limits(&self) -> Result<(), ConfigurationError> {
        let limits = [
            ("max_skew_ms", self.max_skew_ms, 0, MAX_MS),
            ("retention_ms", self.retention_ms, 1, MAX_MS),
            ("quote_retention_ms", self.quote_retention_ms, 1, MAX_MS),
            ("foreign_id_quota", self.foreign_id_quota, 0, u64::MAX),
            ("max_remembered_ids", self.max_remembered_ids, 1, u64::MAX),
            ("update_history", u64::from(self.update_history), 0, u64::from(MAX_UPDATE_HISTORY)),
            ("max_metadata_entries", u64::from(self.max_metadata_entries), 0, u64::from(MAX_METADATA)),
            ("max_metadata_bytes", u64::from(self.max_metadata_bytes), 0, u64::from(MAX_METADATA)),
            ("max_leases", u64::from(self.max_leases), 0, u64::from(MAX_LEASES)),
        ];
        for (field, value, least, most) in limits {
            if value < least || value > most {
                let problem = format!("{value} is not allowed: give {least} to {most}");
                return Err(ConfigurationError::new(field, problem));
            }
        }
        Ok(())
    }
}

impl Instrument {
    /// Longest symbol, bytes.
    pub const MAX_SYMBOL_BYTES: usize = 32;

    fn validate(&self, at: &str) -> Result<(), ConfigurationError> {
        let bytes = self.symbol.as_bytes();
        let printable = bytes.iter().all(u8::is_ascii_graphic);
        if bytes.is_empty() || bytes.len() > Self::MAX_SYMBOL_BYTES || !printable {
            let problem = format!(
                "{:?} is no symbol: give 1 to {} bytes of printable ASCII without space",
                self.symbol,
                Self::MAX_SYMBOL_BYTES
            );
            return Err(ConfigurationError::new(format!("{at}.symbol"), problem));
        }
        validate_unit(&format!("{at}.tick"), self.tick)?;
        validate_unit(&format!("{at}.quantity_step"), self.quantity_step)?;
        let Some(quote) = &self.opening_quote else { return Ok(()) };
        let field = format!("{at}.opening_quote");
        if !quote.symbol.is_empty() && quote.symbol != self.symbol {
            let problem = format!("{} is not {}: leave it out", quote.symbol, self.symbol);
            return Err(ConfigurationError::new(format!("{field}.symbol"), problem));
        }
        match check_quote(&field, quote, self) {
            Ok(_) => Ok(()),
            Err(rejection) => Err(ConfigurationError::new(rejection.field, rejection.message)),
        }
    }
}

fn validate_unit(field: &str, unit: Decimal) -> Result<(), ConfigurationError> {
    let normal = unit.normalised();
    let allowed = (1..=MAX_UNIT_MANTISSA).contains(&normal.mantissa) && UNIT_EXPONENTS.contains(&normal.exponent);
    if allowed {
        return Ok(());
    }
    let problem =
        format!("{unit} is not allowed: give a number above 0 with at most six significant digits, such as 0.01");
    Err(ConfigurationError::new(field, problem))
}
