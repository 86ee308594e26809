//! What reaches the sequencer, and from where.

use bridge_core::{Command, Order};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Names one request in flight; chosen by the caller, given back with the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// How a request came in. Part of the record and of the counters, never of an order's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Path {
    /// The fast path.
    Zmq,
    /// The full service.
    Grpc,
    /// A report of an external venue.
    Venue,
    /// The engine itself: its start, its configuration, a timer.
    Internal,
}

impl Path {
    /// The name in dumps and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Zmq => "zmq",
            Path::Grpc => "grpc",
            Path::Venue => "venue",
            Path::Internal => "internal",
        }
    }
}

/// Who asks, by which path, in which session. Recorded with the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The authenticated name; `local` without authentication.
    pub principal: Arc<str>,
    /// How the request came in.
    pub path: Path,
    /// The same on both paths; empty where the client named none.
    pub session_id: Arc<str>,
}

/// One request of a client.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant)] // a box would be an allocation on the way of every order
pub enum Request {
    /// Changes state; answered by [`crate::Reply::Execute`], `OrderCommand`, `Command` or (a fence) `GetOrder`.
    Command(Command),
    /// An envelope around orders, answered by index with one [`crate::Reply::Batch`].
    ExecuteBatch(Vec<Order>),
    /// State of one order. With `fence`, an unknown id is made to never execute (this journals).
    GetOrder {
        /// Empty means `default`, as on the wire.
        account: String,
        /// The client's id.
        order_id: String,
        /// Fence the id if the engine does not know it.
        fence: bool,
    },
    /// A page of the account's open orders and legs.
    ListOpenOrders {
        /// Empty means `default`.
        account: String,
        /// The last id of the page before; empty: from the oldest.
        after_order_id: String,
    },
    /// Where the account's updates are, and what the subscriber missed. The caller does the fan-out of later
    /// [`crate::Output::Update`]s: those behind the reply in [`crate::Sequencer::next_output`]'s order follow on.
    Subscribe {
        /// Empty means `default`.
        account: String,
        /// Last update seen; absent: from now.
        resume_from: Option<u64>,
        /// Take a gap and a snapshot for what can no longer be replayed; else refused with `DATA_LOSS`.
        accept_gaps: bool,
    },
    /// Answered at once, with the last durable sequence and the state as of it.
    Health,
}
