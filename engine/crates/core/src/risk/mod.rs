//! Pre-trade risk: what an order may be, judged before the venue sees it (WIRE.md, section 3, "Risk limits").
//!
//! `limits` are what people write; `bounds` are the same in an instrument's integers; `check` judges orders and
//! replaces by them, with the help of `exposure` (what open orders may still do), `last_price` and `bucket` (how many
//! orders a second may bring). All of it is in `state`, which is part of the core's state and of its hash.

mod bounds;
mod bucket;
mod check;
mod exposure;
mod last_price;
mod limits;
mod state;

pub use limits::{AccountLimits, RiskConfiguration, RiskLimits, SymbolLimits};

pub(crate) use bucket::Bucket;
pub(crate) use exposure::{Exposure, order_moved_by};
pub(crate) use last_price::{half_ticks, price_of_quote};
pub(crate) use state::RiskState;
