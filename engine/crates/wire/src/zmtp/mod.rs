//! ZMTP 3.0 and 3.1 (RFC 23, RFC 37), mechanism NULL, the engine's side: bytes in, events and bytes out.
//!
//! The one place that knows omq-proto (young, one author, unaudited: pinned, and replaceable behind this): the
//! handshake is its part. What follows under mechanism NULL is read and written here, in place. The caller owns
//! sockets and timers; liveness is judged by the time of the last read, as PONG is never reported.
//!
//! A turn: [`ServerConnection::receive`] what was read, [`ServerConnection::poll`] until `None`, then write
//! [`ServerConnection::output`] and say how much of it went with [`ServerConnection::advance`].

mod client;
mod client_frames;
mod client_heartbeat;
mod client_mechanism;
mod commands;
mod connection;
mod error;
mod frames;
mod handshake;
mod output;
mod subscriptions;

pub use client::{ClientConnection, ClientOptions, Step};
pub use client_heartbeat::HeartbeatTimes;
pub use connection::{Event, ServerConnection, SocketRole, ZmtpLimits};
pub use error::ZmtpError;
pub use frames::Parts;
pub use subscriptions::{SubscriptionError, Subscriptions};
