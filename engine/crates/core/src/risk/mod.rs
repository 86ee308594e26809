//! Pre-trade risk: what an order may be, judged before the venue sees it (WIRE.md, section 3, "Risk limits").

mod limits;

pub use limits::{AccountLimits, RiskConfiguration, RiskLimits, SymbolLimits};
