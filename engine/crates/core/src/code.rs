//! The one table of codes for replies, refusals and updates (WIRE.md, "Codes").

use crate::Text;
use serde::{Deserialize, Serialize};

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal $wire:literal,)*) => {
        /// Why an order, a command or a request ended as it did. Values are those of the wire.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
        #[repr(u16)]
        #[allow(missing_docs)]
        pub enum ReasonCode { $($(#[$doc])* $name = $value,)* }

        impl ReasonCode {
            /// Every code, in order of value.
            pub const ALL: &[ReasonCode] = &[$(ReasonCode::$name,)*];

            /// The name in the schemas, such as `PRICE_OFF_TICK`.
            pub const fn name(self) -> &'static str {
                match self { $(ReasonCode::$name => $wire,)* }
            }

            /// The code with this value on the wire, if there is one.
            pub const fn from_value(value: u16) -> Option<Self> {
                match value { $($value => Some(ReasonCode::$name),)* _ => None }
            }
        }
    };
}

reason_codes! {
    None = 0 "NONE",
    MissingField = 1 "MISSING_FIELD",
    InvalidField = 2 "INVALID_FIELD",
    OutOfRange = 3 "OUT_OF_RANGE",
    ConflictingValues = 4 "CONFLICTING_VALUES",
    UnknownSymbol = 5 "UNKNOWN_SYMBOL",
    PriceOffTick = 6 "PRICE_OFF_TICK",
    QuantityOffStep = 7 "QUANTITY_OFF_STEP",
    UnsupportedContractVersion = 8 "UNSUPPORTED_CONTRACT_VERSION",
    AccountNotAllowed = 9 "ACCOUNT_NOT_ALLOWED",
    DuplicateOrderId = 20 "DUPLICATE_ORDER_ID",
    DuplicateCommandId = 21 "DUPLICATE_COMMAND_ID",
    Fenced = 22 "FENCED",
    Expired = 23 "EXPIRED",
    IdTooOld = 24 "ID_TOO_OLD",
    IdFromFuture = 25 "ID_FROM_FUTURE",
    UnknownOrder = 30 "UNKNOWN_ORDER",
    OrderClosed = 31 "ORDER_CLOSED",
    OrderVersionMismatch = 32 "ORDER_VERSION_MISMATCH",
    NoLiquidity = 40 "NO_LIQUIDITY",
    IocRemainder = 41 "IOC_REMAINDER",
    FokUnfillable = 42 "FOK_UNFILLABLE",
    CancelledByClient = 43 "CANCELLED_BY_CLIENT",
    LegDone = 44 "LEG_DONE",
    TradingHalted = 45 "TRADING_HALTED",
    ReduceOnly = 46 "REDUCE_ONLY",
    VenueRejected = 47 "VENUE_REJECTED",
    VenueUnavailable = 48 "VENUE_UNAVAILABLE",
    OrderQuantityLimit = 50 "ORDER_QUANTITY_LIMIT",
    OrderNotionalLimit = 51 "ORDER_NOTIONAL_LIMIT",
    PriceCollar = 52 "PRICE_COLLAR",
    NoReferencePrice = 53 "NO_REFERENCE_PRICE",
    OpenOrdersLimit = 54 "OPEN_ORDERS_LIMIT",
    PositionLimit = 55 "POSITION_LIMIT",
    RateLimit = 56 "RATE_LIMIT",
    CancelledOnDisconnect = 57 "CANCELLED_ON_DISCONNECT",
    Busy = 100 "BUSY",
    ShuttingDown = 101 "SHUTTING_DOWN",
    JournalIdMismatch = 102 "JOURNAL_ID_MISMATCH",
    UnsupportedProtocolVersion = 103 "UNSUPPORTED_PROTOCOL_VERSION",
    MalformedMessage = 104 "MALFORMED_MESSAGE",
    MessageTooLarge = 105 "MESSAGE_TOO_LARGE",
    NotImplemented = 106 "NOT_IMPLEMENTED",
    Unauthenticated = 107 "UNAUTHENTICATED",
    PermissionDenied = 108 "PERMISSION_DENIED",
    StateRegressed = 109 "STATE_REGRESSED",
    JournalFailed = 110 "JOURNAL_FAILED",
    TooManyConnections = 111 "TOO_MANY_CONNECTIONS",
    HelloRequired = 112 "HELLO_REQUIRED",
    BatchTooLarge = 113 "BATCH_TOO_LARGE",
    TooManySubscriptions = 114 "TOO_MANY_SUBSCRIPTIONS",
    SlowConsumer = 115 "SLOW_CONSUMER",
    IdQuotaExceeded = 116 "ID_QUOTA_EXCEEDED",
    DataLoss = 117 "DATA_LOSS",
}

impl ReasonCode {
    /// Whether this code refuses a request before `apply`: that copy had no effect.
    pub const fn is_refusal(self) -> bool {
        self as u16 >= 100
    }
}

/// Why something was refused: a code, the field at fault, and a sentence for a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejection {
    /// From the one table of codes.
    pub code: ReasonCode,
    /// Name of the field at fault as the schemas spell it; empty where no single field is.
    pub field: Text,
    /// What happened and what to do, in words.
    pub message: Text,
}

impl Rejection {
    /// A rejection with its sentence.
    pub fn new(code: ReasonCode, field: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}
