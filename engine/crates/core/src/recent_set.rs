//! A set of the engine's own numbers that is made for those which go as quickly as they come.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Bound;

/// An order and its legs, and a few more.
const RECENT: usize = 8;

/// A set whose newest members are kept apart from the many: most orders are gone before others come, and never touch
/// what may hold a million. That is a tree: a table that doubles would move them all at once, and the engine would
/// answer nobody meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de> + Ord"))]
pub(crate) struct RecentSet<T> {
    /// At most [`RECENT`], the oldest first.
    recent: Vec<T>,
    settled: BTreeSet<T>,
    /// No member above it was ever settled.
    highest_settled: Option<T>,
}

impl<T> Default for RecentSet<T> {
    fn default() -> Self {
        Self { recent: Vec::new(), settled: BTreeSet::new(), highest_settled: None }
    }
}

impl<T: Copy + Ord> RecentSet<T> {
    pub fn contains(&self, member: &T) -> bool {
        self.recent.contains(member) || (self.may_be_settled(member) && self.settled.contains(member))
    }

    pub fn insert(&mut self, member: T) {
        if self.contains(&member) {
            return;
        }
        if self.recent.len() >= RECENT {
            let settles = self.recent.remove(0);
            self.highest_settled = self.highest_settled.max(Some(settles));
            self.settled.insert(settles);
        }
        self.recent.push(member);
    }

    pub fn remove(&mut self, member: &T) {
        match self.recent.iter().position(|recent| recent == member) {
            Some(at) => drop(self.recent.remove(at)),
            None if self.may_be_settled(member) => drop(self.settled.remove(member)),
            None => {}
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.recent.iter().chain(&self.settled).copied()
    }

    /// The first `most` members above `bound` (all, where it is `None`), ascending.
    pub fn first_above(&self, bound: Option<T>, most: usize) -> Vec<T> {
        let above = bound.map_or(Bound::Unbounded, Bound::Excluded);
        let settled = self.settled.range((above, Bound::Unbounded)).take(most);
        let recent = self.recent.iter().filter(|member| bound.is_none_or(|bound| **member > bound));
        let mut members: Vec<T> = settled.chain(recent).copied().collect();
        members.sort_unstable();
        members.truncate(most);
        members
    }

    /// All members, ascending.
    pub fn sorted(&self) -> Vec<T> {
        let mut members: Vec<T> = self.iter().collect();
        members.sort_unstable();
        members
    }

    fn may_be_settled(&self, member: &T) -> bool {
        self.highest_settled >= Some(*member)
    }

    pub fn len(&self) -> usize {
        self.recent.len() + self.settled.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_set_holds() {
        let (mut tested, mut plain) = (RecentSet::default(), std::collections::BTreeSet::new());
        let mut number = 1u64;
        for _ in 0..10_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let member = number >> 33 & 63;
            if number >> 40 & 1 == 0 {
                tested.insert(member);
                plain.insert(member);
            } else {
                tested.remove(&member);
                plain.remove(&member);
            }
            assert_eq!((tested.len(), tested.contains(&7)), (plain.len(), plain.contains(&7)));
            let above: Vec<_> = plain.range(member + 1..).copied().take(5).collect();
            assert_eq!(tested.first_above(Some(member), 5), above);
        }
        assert_eq!(tested.sorted(), plain.into_iter().collect::<Vec<_>>());
    }
}
