//! The state hash: a sum of one xxh3-128 for each entity, so that a change costs the hash of what changed.
//!
//! An entity's bytes depend on nothing but its values (invariant 3). What changed is noted, and hashed once when the
//! hash is asked for, however often it changed in between.

use crate::account::Account;
use crate::lease::lease_hash;
use crate::{CommandNo, Core, OrderNo};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// So many changed entities are hashed at once while they are still in the cache: recovery asks for no hash.
const MOST_CHANGED: usize = 1024;

/// Seeds of the kinds of entities, so that equal bytes of two kinds differ. Part of what a recorded hash means.
#[derive(Clone, Copy)]
#[repr(u64)]
pub(crate) enum Kind {
    Order = 1,
    Tombstone = 2,
    Account = 3,
    Position = 4,
    Command = 5,
    StateForAll = 6,
    Limits = 7,
    LastPrice = 8,
    Bucket = 9,
    Lease = 10,
    Watermarks = 11,
}

/// Hash of an entity's bytes.
pub(crate) fn hash_of(kind: Kind, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, kind as u64)
}

/// Hash of an entity's postcard form, which is made in `bytes`. (Serialising derived types cannot fail.)
pub(crate) fn entity_hash(kind: Kind, entity: &impl Serialize, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    match postcard::to_extend(entity, std::mem::take(bytes)) {
        Ok(written) => *bytes = written,
        Err(_) => return 0,
    }
    hash_of(kind, bytes)
}

/// The sum over all entities, and which of them it does not know as they are now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StateHash {
    sum: u128,
    #[serde(skip)]
    orders: Vec<OrderNo>,
    #[serde(skip)]
    commands: Vec<CommandNo>,
    /// Memory for an entity's bytes.
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl StateHash {
    /// An entity came that never changes.
    pub fn add(&mut self, hash: u128) {
        self.sum = self.sum.wrapping_add(hash);
    }

    /// An entity with this hash went.
    pub fn remove(&mut self, hash: u128) {
        self.sum = self.sum.wrapping_sub(hash);
    }

    /// An entity has another hash now than the sum was made with.
    pub fn replace(&mut self, known: &mut u128, hash: u128) {
        self.sum = self.sum.wrapping_sub(*known).wrapping_add(hash);
        *known = hash;
    }
}

impl Core {
    /// Hash of orders, tombstones, accounts, positions, commands, leases and what risk checks remember; not of
    /// configuration and epoch. Costs the hashes
    /// of what changed since it was last asked for.
    pub fn state_hash(&mut self) -> u128 {
        self.hash_changes();
        self.hash.sum
    }

    /// The same from scratch, for tests and checks.
    pub fn recompute_state_hash(&self) -> u128 {
        let bytes = &mut Vec::new();
        let mut sum = 0u128;
        let mut add = |hash| sum = sum.wrapping_add(hash);
        self.orders.iter().for_each(|(_, order)| add(order.hash_in(bytes)));
        self.commands.iter().for_each(|(_, command)| add(entity_hash(Kind::Command, command, bytes)));
        sum.wrapping_add(self.hash_of_the_rest())
    }

    /// Of all but orders and commands, from scratch.
    pub(crate) fn hash_of_the_rest(&self) -> u128 {
        let bytes = &mut Vec::new();
        let mut sum = 0u128;
        let mut add = |hash| sum = sum.wrapping_add(hash);
        for (_, fenced) in self.tombstones.iter() {
            add(self.accounts[fenced.account as usize].tombstone_hash(&fenced.order_id, bytes));
        }
        add(self.forgotten.hash(bytes));
        self.accounts.iter().for_each(|account| account.each_hash(bytes, &mut add));
        self.risk.each_hash(bytes, &mut add);
        self.leases.iter().for_each(|(no, lease)| add(lease_hash(no, lease)));
        sum
    }

    /// An order is not what the sum was made with.
    pub(crate) fn order_changed(&mut self, no: OrderNo) {
        let Some(order) = self.orders.get_mut(no.0) else { return };
        if order.hash_is_due {
            return;
        }
        order.hash_is_due = true;
        self.hash.orders.push(no);
        if self.hash.orders.len() >= MOST_CHANGED {
            self.hash_changes();
        }
    }

    /// A command is not what the sum was made with.
    pub(crate) fn command_changed(&mut self, no: CommandNo) {
        let Some(command) = self.commands.get_mut(no.0) else { return };
        if command.hash_is_due {
            return;
        }
        command.hash_is_due = true;
        self.hash.commands.push(no);
        if self.hash.commands.len() >= MOST_CHANGED {
            self.hash_changes();
        }
    }

    fn hash_changes(&mut self) {
        let mut bytes = std::mem::take(&mut self.hash.bytes);
        let (mut orders, mut commands) =
            (std::mem::take(&mut self.hash.orders), std::mem::take(&mut self.hash.commands));
        for no in orders.drain(..) {
            if let Some(order) = self.orders.get_mut(no.0) {
                order.hash_is_due = false;
                let hash = order.hash_in(&mut bytes);
                self.hash.replace(&mut order.hash, hash);
            }
        }
        for no in commands.drain(..) {
            if let Some(command) = self.commands.get_mut(no.0) {
                command.hash_is_due = false;
                let hash = entity_hash(Kind::Command, command, &mut bytes);
                self.hash.replace(&mut command.hash, hash);
            }
        }
        self.accounts.iter_mut().for_each(|account: &mut Account| account.hash_changes(&mut self.hash, &mut bytes));
        self.risk.hash_changes(&mut self.hash, &mut bytes);
        (self.hash.orders, self.hash.commands, self.hash.bytes) = (orders, commands, bytes);
    }
}
