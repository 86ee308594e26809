//! The exchange seen from outside: one behaviour per test, and properties over random commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod floor;
mod ledger;
mod legs;
mod market_orders;
mod properties;
mod quotes;
mod recovery;
mod refusals;
mod replacing;
mod resting;
mod triggers;
