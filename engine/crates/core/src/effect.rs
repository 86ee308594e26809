//! What `apply` wants done in the world. Effects are never produced by recovery.

use crate::{Decimal, Text, UtcNanos, VenueCommand};
use serde::{Deserialize, Serialize};

/// One thing to do once the record that it belongs to allows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// For the venue, in this order.
    Venue(VenueCommand),
    /// For subscribers of market data.
    Market(MarketData),
}

/// A feed's quote as subscribers get it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MarketData {
    pub symbol: Text,
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub last_price: Option<Decimal>,
    pub volume: Option<Decimal>,
    pub bid_size: Option<Decimal>,
    pub ask_size: Option<Decimal>,
    /// The feed's time where it gave one, else engine time.
    pub timestamp_ns: UtcNanos,
}
