//! Ids and what they stand for, in many small tables rather than a large one: when a table grows, all that it holds
//! moves at once, and meanwhile the engine answers nobody.
//!
//! An id's text is not kept here: what it stands for has it.

use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// With a million ids, growing moves 16,000 of them at a time: below a millisecond.
const SHARDS: usize = 64;

/// Looked up, never iterated. Its random seeds keep hostile ids from colliding.
#[derive(Clone, Debug)]
pub(crate) struct IdTable<T> {
    shards: Vec<HashTable<(u64, T)>>,
    seeds: RandomState,
}

impl<T> Default for IdTable<T> {
    fn default() -> Self {
        Self { shards: Vec::new(), seeds: RandomState::new() }
    }
}

impl<T: Copy + PartialEq> IdTable<T> {
    fn shard(hash: u64) -> usize {
        // Neither the bits that choose a place in a table (the low ones) nor those it keeps (the highest seven).
        (hash >> 48) as usize % SHARDS
    }

    /// What the id stands for; `is` tells whether something has this very id.
    pub fn get(&self, id: &str, is: impl Fn(T) -> bool) -> Option<T> {
        if self.shards.is_empty() {
            return None;
        }
        let hash = self.seeds.hash_one(id);
        let found = self.shards[Self::shard(hash)].find(hash, |(known, slot)| *known == hash && is(*slot));
        found.map(|(_, slot)| *slot)
    }

    /// Keeps an id that is not there yet.
    pub fn insert(&mut self, id: &str, slot: T) {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        let hash = self.seeds.hash_one(id);
        self.shards[Self::shard(hash)].insert_unique(hash, (hash, slot), |(hash, _)| *hash);
    }

    /// Room for so many more.
    pub fn reserve(&mut self, more: usize) {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashTable::new);
        }
        // Ids do not fall into the shards evenly.
        let each = more / SHARDS + more / SHARDS / 8 + 8;
        self.shards.iter_mut().for_each(|shard| shard.reserve(each, |(hash, _)| *hash));
    }

    /// The id stands for this no more.
    pub fn remove(&mut self, id: &str, slot: T) {
        let hash = self.seeds.hash_one(id);
        let Some(shard) = self.shards.get_mut(Self::shard(hash)) else { return };
        if let Ok(entry) = shard.find_entry(hash, |(known, held)| *known == hash && *held == slot) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_until_it_is_removed() {
        let mut table = IdTable::default();
        let ids: Vec<String> = (0..5_000).map(|number| format!("id-{number}")).collect();
        assert_eq!(table.get("id-0", |_: usize| true), None);
        for (number, id) in ids.iter().enumerate() {
            table.insert(id, number);
        }
        let find = |table: &IdTable<usize>, id: &str| table.get(id, |number| ids[number] == id);
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(find(&table, id), Some(number));
        }
        for number in (0..ids.len()).step_by(2) {
            table.remove(&ids[number], number);
        }
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(find(&table, id), (number % 2 == 1).then_some(number));
        }
        assert_eq!(find(&table, "another"), None);
    }
}
