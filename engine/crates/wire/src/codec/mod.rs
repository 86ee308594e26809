//! Envelopes to the core's types and back: [`decode_request`] for what clients send, [`Encoder`] for both directions.
//!
//! Bytes are hostile (invariant 9): length, file identifier and every offset are checked before anything is read.
//! What a client of the engine reads back it takes from the verified buffer itself: [`open`].

mod encode_reply;
mod encode_request;
mod encoder;
mod frame;
mod incoming;
mod message;
mod order;
mod request;

pub use encode_request::{OrderFields, TradingStateFields};
pub use encoder::Encoder;
pub use frame::{DecodeError, open};
pub use incoming::Incoming;
pub use message::{
    ClientMessage, Envelope, GetOrder, HealthReply, Hello, ListOpenOrders, MarketData, MessageLimits, ServingStatus,
    Subscribe, SystemNotice, Welcome,
};
pub use order::unknown_value;
pub use request::decode_request;
