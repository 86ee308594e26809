//! The open orders by key. The newest are kept apart from the many: most orders are gone before another comes, and
//! never touch what may hold a million. That is a tree: a table that doubles would move them all at once.

use crate::{Key, OpenOrder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An entry and its legs, and one more.
const RECENT: usize = 4;

/// Open orders, in no order.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct OpenOrders {
    /// At most [`RECENT`], the oldest first.
    recent: Vec<OpenOrder>,
    settled: BTreeMap<Key, OpenOrder>,
    /// No key above it was ever settled.
    highest_settled: Option<Key>,
}

impl OpenOrders {
    pub fn get(&self, key: Key) -> Option<&OpenOrder> {
        let recent = self.recent.iter().find(|order| order.key == key);
        recent.or_else(|| self.may_be_settled(key).then(|| self.settled.get(&key)).flatten())
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut OpenOrder> {
        let may_be_settled = self.may_be_settled(key);
        let recent = self.recent.iter_mut().find(|order| order.key == key);
        recent.or_else(|| may_be_settled.then(|| self.settled.get_mut(&key)).flatten())
    }

    /// Gives the order that had this key.
    pub fn insert(&mut self, order: OpenOrder) -> Option<OpenOrder> {
        let former = self.remove(order.key);
        if self.recent.len() >= RECENT {
            let settles = self.recent.remove(0);
            self.highest_settled = self.highest_settled.max(Some(settles.key));
            self.settled.insert(settles.key, settles);
        }
        self.recent.push(order);
        former
    }

    pub fn remove(&mut self, key: Key) -> Option<OpenOrder> {
        match self.recent.iter().position(|order| order.key == key) {
            Some(at) => Some(self.recent.remove(at)),
            None if self.may_be_settled(key) => self.settled.remove(&key),
            None => None,
        }
    }

    pub fn values(&self) -> impl Iterator<Item = &OpenOrder> {
        self.recent.iter().chain(self.settled.values())
    }

    pub fn len(&self) -> usize {
        self.recent.len() + self.settled.len()
    }

    fn may_be_settled(&self, key: Key) -> bool {
        self.highest_settled >= Some(key)
    }
}
