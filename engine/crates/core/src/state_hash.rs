//! The state hash: a sum of one xxh3-128 for each entity, so that a change costs the hash of what changed.
//!
//! An entity's bytes are its postcard form, which depends on nothing but its values (invariant 3).

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

/// Seeds of the kinds of entities, so that equal bytes of two kinds differ. Part of what a recorded hash means.
#[derive(Clone, Copy)]
#[repr(u64)]
pub(crate) enum Kind {
    Order = 1,
    Tombstone = 2,
    Account = 3,
    Position = 4,
    Command = 5,
}

/// Feeds what postcard writes straight to the hasher.
struct Hashing(Xxh3);

impl Flavor for Hashing {
    type Output = u128;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.update(&[byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.update(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u128> {
        Ok(self.0.digest128())
    }
}

/// Hash of one entity. (Serialising derived types into a hasher cannot fail.)
pub(crate) fn entity_hash(kind: Kind, entity: &impl Serialize) -> u128 {
    let hasher = Hashing(Xxh3::with_seed(kind as u64));
    postcard::serialize_with_flavor(entity, hasher).unwrap_or(0)
}

/// The sum over all entities.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct StateHash(pub u128);

impl StateHash {
    /// An entity came.
    pub fn add(&mut self, hash: u128) {
        self.0 = self.0.wrapping_add(hash);
    }

    /// An entity went, or is about to change.
    pub fn remove(&mut self, hash: u128) {
        self.0 = self.0.wrapping_sub(hash);
    }
}
