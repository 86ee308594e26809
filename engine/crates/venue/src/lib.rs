//! The embedded exchange: a deterministic price-time order book in integer ticks and steps.
#![warn(missing_docs)]

pub mod command;
pub mod event;
pub mod exchange;
pub mod seam;
pub mod terms;

pub use command::{Command, NewOrder, Quote, Replace};
pub use event::{CloseReason, Event, Refusal, Trade};
pub use exchange::Exchange;
pub use seam::{Answer, External, Venue};
pub use terms::{Key, Level, OrderType, Part, Party, Side, TimeInForce};
