//! Messages of the fast path that are not the core's own types.

use bridge_core::{Command, Decimal, Order, ReasonCode, UtcNanos};

/// One message with its addressing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// Chosen by the client; its reply carries it.
    pub correlation: u64,
    /// The journal that the client means; empty where it named none.
    pub journal_id: &'a str,
    /// What it asks.
    pub body: ClientMessage,
}

/// What a client sends.
#[derive(Clone, PartialEq, Eq, Debug)]
// Boxing the large variant would allocate for every order; a message is read once and moved on.
#[expect(clippy::large_enum_variant)]
pub enum ClientMessage {
    /// First message of a connection.
    Hello(Hello),
    /// Changes state. `Command::Fence` is never among them: a fence comes as [`ClientMessage::GetOrder`]. The session
    /// of a `Command::SetCancelOnDisconnect` is empty: it is that of the connection.
    Command(Command),
    /// An envelope around orders, at most `max_batch_orders` of them.
    ExecuteBatch(Vec<Order>),
    /// Asks for one order.
    GetOrder(GetOrder),
    /// Asks for a page of the account's open orders.
    ListOpenOrders(ListOpenOrders),
    /// Asks for the account's updates.
    Subscribe(Subscribe),
    /// Ends a subscription.
    Unsubscribe {
        /// Correlation number of its `SubscribeOrderUpdates`.
        subscription: u64,
    },
    /// Asks how the engine is.
    Health,
}

impl ClientMessage {
    /// Whether it could change state: such a message must name the journal (WIRE.md section 1.2).
    pub fn changes_state(&self) -> bool {
        match self {
            Self::Command(_) | Self::ExecuteBatch(_) => true,
            Self::GetOrder(get) => get.fence,
            _ => false,
        }
    }
}

/// First message of a connection (WIRE.md section 1.2). Nothing of it is validated yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Hello {
    pub protocol_version: u16,
    /// Free text: product and version.
    pub client: String,
    /// The same on both paths; empty: the connection is a session of its own.
    pub session_id: String,
    /// Last update sequence number that the client has seen.
    pub resume_from: Option<u64>,
    /// `default` where the client named none.
    pub account: String,
}

/// Asks for one order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct GetOrder {
    pub order_id: String,
    /// `default` where the client named none.
    pub account: String,
    /// Make sure that an id which the engine does not know never executes.
    pub fence: bool,
}

/// Asks for a page of the account's open orders and legs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct ListOpenOrders {
    /// `default` where the client named none.
    pub account: String,
    /// The last id of the page before; empty: from the oldest.
    pub after_order_id: String,
}

/// Asks for the account's updates (WIRE.md section 4).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Subscribe {
    /// `default` where the client named none.
    pub account: String,
    /// Last update seen; absent: from now.
    pub resume_from: Option<u64>,
    /// Take a gap and a snapshot for what can no longer be replayed.
    pub accept_gaps: bool,
}

/// What the engine takes, as `Welcome` says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct MessageLimits {
    pub max_message_bytes: u32,
    pub max_batch_orders: u32,
    /// Requests of one connection without their reply.
    pub max_in_flight: u32,
    pub max_metadata_entries: u32,
    /// Updates of an account that can be replayed.
    pub update_history: u32,
}

/// Answers Hello.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Welcome {
    pub protocol_version: u16,
    pub contract_version: u16,
    pub journal_id: String,
    pub epoch: u64,
    pub engine_version: String,
    pub limits: MessageLimits,
    /// The account's last update.
    pub last_sequence: u64,
    pub pub_endpoint: String,
}

/// How the engine is. Values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ServingStatus {
    #[default]
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    Degraded = 3,
}

/// Answers HealthCheck.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct HealthReply<'a> {
    pub status: ServingStatus,
    pub message: &'a str,
    pub journal_id: &'a str,
    pub epoch: u64,
    /// Last durable record.
    pub journal_seq: u64,
    /// State as of `journal_seq`; 32 hexadecimal digits on the wire.
    pub state_hash: u128,
    pub engine_version: &'a str,
    /// `always` or `os`.
    pub durability: &'a str,
    /// Copies answered from memory or joined to a running one, since start.
    pub duplicates: u64,
    pub counters: &'a [(&'a str, u64)],
}

/// The market of one symbol, for the topic `md.<symbol>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct MarketData<'a> {
    /// Counts the topic's messages from 1 in each epoch.
    pub topic_sequence: u64,
    pub symbol: &'a str,
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub last_price: Option<Decimal>,
    pub volume: Option<Decimal>,
    pub bid_size: Option<Decimal>,
    pub ask_size: Option<Decimal>,
    pub timestamp_ns: UtcNanos,
}

/// A notice of the topic `sys`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct SystemNotice<'a> {
    pub topic_sequence: u64,
    pub code: ReasonCode,
    pub message: &'a str,
    pub timestamp_ns: UtcNanos,
}
