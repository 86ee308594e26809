//! How far one order or leg has come, and what becomes part of its state hash.

use crate::hash_bytes::{put_decimal, put_optional, put_text};
use crate::{Decimal, ExecutionStatus, ReasonCode, Text, UtcNanos};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// What a reply says that changes over an order's life. A stored reply is a copy of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub status: ExecutionStatus,
    pub triggered: bool,
    pub code: ReasonCode,
    /// 0 for an order that the core rejected.
    pub quantity_steps: i64,
    pub executed_steps: i64,
    pub price_ticks: Option<i64>,
    /// Sum of price times quantity over all executions, ticks times steps.
    pub notional: i128,
    pub version: u64,
    /// Of its last update; 0 before the first.
    pub sequence: u64,
    /// Time of its last change.
    pub updated_ns: UtcNanos,
    pub execution_time_ns: Option<UtcNanos>,
    /// As the client gave it, until a replace.
    pub quantity: Option<Decimal>,
    /// As the client gave it, until a replace.
    pub price: Option<Decimal>,
    pub venue_order_id: Text,
    pub field: Text,
    pub message: Text,
}

impl Progress {
    /// Nothing happened yet.
    pub fn new(quantity_steps: i64, price_ticks: Option<i64>, at_ns: UtcNanos) -> Self {
        Self {
            status: ExecutionStatus::Pending,
            triggered: false,
            code: ReasonCode::None,
            quantity_steps,
            executed_steps: 0,
            price_ticks,
            notional: 0,
            version: 1,
            sequence: 0,
            updated_ns: at_ns,
            execution_time_ns: None,
            quantity: None,
            price: None,
            venue_order_id: Text::default(),
            field: Text::default(),
            message: Text::default(),
        }
    }

    /// Whether it still works.
    pub fn is_open(&self) -> bool {
        matches!(self.status, ExecutionStatus::Pending | ExecutionStatus::PartiallyFilled)
    }

    pub fn remaining_steps(&self) -> i64 {
        self.quantity_steps.saturating_sub(self.executed_steps).max(0)
    }

    /// Appends what the state hash is made of: every field, so that a new one does not compile before it is here.
    pub fn put_hash_bytes(&self, bytes: &mut Vec<u8>) {
        let Self {
            status,
            triggered,
            code,
            quantity_steps,
            executed_steps,
            price_ticks,
            notional,
            version,
            sequence,
            updated_ns,
            execution_time_ns,
            quantity,
            price,
            venue_order_id,
            field,
            message,
        } = self;
        bytes.extend_from_slice(&[*status as u8, u8::from(*triggered)]);
        bytes.extend_from_slice(&(*code as u16).to_le_bytes());
        bytes.extend_from_slice(&quantity_steps.to_le_bytes());
        bytes.extend_from_slice(&executed_steps.to_le_bytes());
        put_optional(bytes, *price_ticks);
        bytes.extend_from_slice(&notional.to_le_bytes());
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&sequence.to_le_bytes());
        bytes.extend_from_slice(&updated_ns.to_le_bytes());
        put_optional(bytes, *execution_time_ns);
        put_decimal(bytes, *quantity);
        put_decimal(bytes, *price);
        put_text(bytes, venue_order_id);
        put_text(bytes, field);
        put_text(bytes, message);
    }
}

/// The executions of one order, so that one which is reported again is known. Most orders have one.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Executions {
    #[default]
    None,
    One(u64),
    /// Ascending.
    Many(Vec<u64>),
}

impl Executions {
    pub fn contains(&self, id: u64) -> bool {
        match self {
            Self::None => false,
            Self::One(only) => *only == id,
            Self::Many(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// False: it was there already.
    pub fn insert(&mut self, id: u64) -> bool {
        match self {
            Self::None => *self = Self::One(id),
            Self::One(only) if *only == id => return false,
            Self::One(only) => *self = Self::Many(vec![id.min(*only), id.max(*only)]),
            Self::Many(ids) => match ids.binary_search(&id) {
                Ok(_) => return false,
                Err(at) => ids.insert(at, id),
            },
        }
        true
    }
}

/// One working order at the venue: an entry or a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub now: Progress,
    /// Not in the state hash, which would cost more with every fill: `executions_hash` stands for it.
    executions: Executions,
    /// Sum of the hashes of all `executions`.
    executions_hash: u64,
}

impl Work {
    pub fn new(now: Progress) -> Self {
        Self { now, executions: Executions::None, executions_hash: 0 }
    }

    pub fn has_execution(&self, execution_id: u64) -> bool {
        self.executions.contains(execution_id)
    }

    pub fn add_execution(&mut self, execution_id: u64) {
        if self.executions.insert(execution_id) {
            let hash = xxh3_64(&execution_id.to_le_bytes());
            self.executions_hash = self.executions_hash.wrapping_add(hash);
        }
    }

    /// Appends what the state hash is made of.
    pub fn put_hash_bytes(&self, bytes: &mut Vec<u8>) {
        let Self { now, executions: _, executions_hash } = self;
        now.put_hash_bytes(bytes);
        bytes.extend_from_slice(&executions_hash.to_le_bytes());
    }
}
