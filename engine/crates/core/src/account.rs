//! One account: its ids, positions, open orders, trading state, and its updates with their numbers.

use crate::change::Change;
use crate::hash_bytes::put_text;
use crate::id_table::IdTable;
use crate::recent_set::RecentSet;
use crate::state_hash::{Kind, StateHash, hash_of};
use crate::{CommandNo, OrderNo, Text, TradingState, VenueKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What an order id of the account stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    Order(OrderNo),
    /// It never executes; the number of its [`Tombstone`].
    Fenced(u64),
}

/// An order id that never executes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    /// Index of its account.
    pub account: u32,
    pub order_id: Text,
}

/// Net quantity steps in one instrument.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Position {
    steps: i128,
    /// Its share of the state hash, as the sum has it.
    hash: u128,
}

/// One account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub name: Text,
    /// Of its last update.
    pub sequence: u64,
    pub state: TradingState,
    /// Ids remembered that count against the quota, of orders and published quotes: those that are no UUIDv7, or one
    /// from the future. What closes an account down takes none.
    pub foreign_ids: u64,
    /// Order ids.
    #[serde(skip)]
    pub ids: IdTable<Slot>,
    /// Command ids.
    #[serde(skip)]
    pub commands: IdTable<CommandNo>,
    /// By instrument; an absent one is 0.
    positions: BTreeMap<u32, Position>,
    /// Instruments whose position is not what the state hash was made with.
    #[serde(skip)]
    moved: Vec<u32>,
    /// Orders and legs that work, in no order.
    pub open: RecentSet<VenueKey>,
    /// The last updates, without holes, up to `sequence`: at least those that were not released.
    history: VecDeque<Change>,
    /// Last update that was released to those who listen.
    released: u64,
    /// Its own share of the state hash (positions, commands and tombstones have theirs), as the sum has it.
    hash: u128,
    /// It is not what the state hash was made with.
    #[serde(skip)]
    pub hash_is_due: bool,
}

impl Account {
    /// An account that nothing happened in.
    pub fn new(name: &str) -> Self {
        Self {
            name: Text::from(name),
            sequence: 0,
            state: TradingState::Active,
            foreign_ids: 0,
            ids: IdTable::default(),
            commands: IdTable::default(),
            positions: BTreeMap::new(),
            moved: Vec::new(),
            open: RecentSet::default(),
            history: VecDeque::new(),
            released: 0,
            hash: 0,
            hash_is_due: true,
        }
    }

    /// Hash of what the account itself holds.
    fn own_hash(&self, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        put_text(bytes, &self.name);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.push(self.state as u8);
        hash_of(Kind::Account, bytes)
    }

    /// Hash of one position; none is as good as 0.
    fn position_hash(name: &str, symbol: u32, steps: i128, bytes: &mut Vec<u8>) -> u128 {
        if steps == 0 {
            return 0;
        }
        bytes.clear();
        put_text(bytes, name);
        bytes.extend_from_slice(&symbol.to_le_bytes());
        bytes.extend_from_slice(&steps.to_le_bytes());
        hash_of(Kind::Position, bytes)
    }

    /// Hash of one tombstone.
    pub fn tombstone_hash(&self, order_id: &str, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        put_text(bytes, &self.name);
        put_text(bytes, order_id);
        hash_of(Kind::Tombstone, bytes)
    }

    /// Every hash that stands for a part of this account, from scratch.
    pub fn each_hash(&self, bytes: &mut Vec<u8>, add: &mut impl FnMut(u128)) {
        add(self.own_hash(bytes));
        for (symbol, position) in &self.positions {
            add(Self::position_hash(&self.name, *symbol, position.steps, bytes));
        }
    }

    /// Brings the account's shares of the state hash up to date.
    pub fn hash_changes(&mut self, total: &mut StateHash, bytes: &mut Vec<u8>) {
        if std::mem::take(&mut self.hash_is_due) {
            let hash = self.own_hash(bytes);
            total.replace(&mut self.hash, hash);
        }
        for symbol in self.moved.drain(..) {
            let Some(position) = self.positions.get_mut(&symbol) else { continue };
            let hash = Self::position_hash(&self.name, symbol, position.steps, bytes);
            total.replace(&mut position.hash, hash);
        }
    }

    /// Net quantity steps in an instrument.
    pub fn position(&self, symbol: u32) -> i128 {
        self.positions.get(&symbol).map_or(0, |position| position.steps)
    }

    /// Changes a position by signed steps.
    pub fn move_position(&mut self, symbol: u32, steps: i128) {
        let position = self.positions.entry(symbol).or_default();
        position.steps = position.steps.saturating_add(steps);
        if !self.moved.contains(&symbol) {
            self.moved.push(symbol);
        }
    }

    /// Remembers an order id, which takes from the quota or not.
    pub fn remember_order(&mut self, id: &Text, slot: Slot, in_quota: bool) {
        self.foreign_ids += u64::from(in_quota);
        self.ids.insert(id, slot);
    }

    /// Remembers a command id, which takes from the quota or not.
    pub fn remember_command(&mut self, id: &Text, command: CommandNo, in_quota: bool) {
        self.foreign_ids += u64::from(in_quota);
        self.commands.insert(id, command);
    }

    /// An id was forgotten, and no longer takes from the quota if it did.
    pub fn give_back(&mut self, in_quota: bool) {
        self.foreign_ids = self.foreign_ids.saturating_sub(u64::from(in_quota));
    }

    /// Keeps a change for subscribers.
    pub fn keep(&mut self, change: Change) {
        self.history.push_back(change);
    }

    /// Updates up to `last` were handed out, or never will be: those before the last `kept` are forgotten.
    pub fn release(&mut self, last: u64, kept: usize) {
        self.released = self.released.max(last);
        while self.history.len() > kept && self.history.front().is_some_and(|oldest| oldest.sequence <= self.released) {
            self.history.pop_front();
        }
    }

    /// Whether the update with this number has left the history, or will with the next one.
    pub fn has_left_history(&self, sequence: u64, limit: usize) -> bool {
        sequence.saturating_add(limit as u64) <= self.sequence
    }

    /// An order was forgotten: updates as old as its last cannot be put in words any more.
    pub fn drop_history_through(&mut self, sequence: u64) {
        while self.history.front().is_some_and(|oldest| oldest.sequence <= sequence) {
            self.history.pop_front();
        }
    }

    /// The history may hold so many from now on.
    pub fn shorten_history(&mut self, limit: usize) {
        self.release(self.released, limit);
    }

    /// How many of the last changes can be replayed: at most `limit`.
    pub fn replayable(&self, limit: usize) -> u64 {
        self.history.len().min(limit) as u64
    }

    /// Those from `first` to `last` that are still known.
    pub fn changes(&self, first: u64, last: u64) -> impl Iterator<Item = &Change> {
        let oldest = self.history.front().map_or(u64::MAX, |change| change.sequence);
        let place = |sequence: u64| usize::try_from(sequence.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let end = place(last.saturating_add(1)).min(self.history.len());
        self.history.range(place(first).min(end)..end)
    }
}
