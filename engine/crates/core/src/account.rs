//! One account: its ids, positions, open orders, trading state, and its updates with their numbers.

use crate::identity::uuid7_ms;
use crate::state_hash::{Kind, StateHash, entity_hash};
use crate::{CommandNo, OrderNo, OrderUpdate, Text, TradingState, VenueKey};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// What an order id of the account stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    Order(OrderNo),
    /// It never executes.
    Fenced,
}

/// One account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub name: Text,
    /// Of its last update.
    pub sequence: u64,
    pub state: TradingState,
    /// Ids used that are no UUIDv7: of orders and published quotes. What closes an account down takes none.
    pub foreign_ids: u64,
    pub tombstones: u64,
    /// Order ids. Looked up, never iterated but for a sum; its random seeds keep hostile ids from colliding.
    pub ids: HashMap<Text, Slot>,
    /// Command ids, as `ids`.
    pub commands: HashMap<Text, CommandNo>,
    /// Net quantity steps by instrument; an absent one is 0.
    pub positions: BTreeMap<u32, i128>,
    /// Orders and legs that work.
    pub open: BTreeSet<VenueKey>,
    /// The last updates, without holes, up to `sequence`.
    pub history: VecDeque<Arc<OrderUpdate>>,
    /// Its own share of the state hash (positions, commands and tombstones have theirs).
    hash: u128,
}

impl Account {
    /// An account that nothing happened in.
    pub fn new(name: &str) -> Self {
        Self {
            name: Text::from(name),
            sequence: 0,
            state: TradingState::Active,
            foreign_ids: 0,
            tombstones: 0,
            ids: HashMap::new(),
            commands: HashMap::new(),
            positions: BTreeMap::new(),
            open: BTreeSet::new(),
            history: VecDeque::new(),
            hash: 0,
        }
    }

    /// Hash of what the account itself holds.
    pub fn own_hash(&self) -> u128 {
        entity_hash(Kind::Account, &(&*self.name, self.sequence, self.state))
    }

    /// Brings the account's share of the state hash up to date.
    pub fn rehash(&mut self, total: &mut StateHash) {
        total.remove(self.hash);
        self.hash = self.own_hash();
        total.add(self.hash);
    }

    /// Hash of one position.
    pub fn position_hash(&self, symbol: u32, steps: i128) -> u128 {
        if steps == 0 { 0 } else { entity_hash(Kind::Position, &(&*self.name, symbol, steps)) }
    }

    /// Hash of one tombstone.
    pub fn tombstone_hash(&self, order_id: &str) -> u128 {
        entity_hash(Kind::Tombstone, &(&*self.name, order_id))
    }

    /// Changes a position by signed steps.
    pub fn move_position(&mut self, symbol: u32, steps: i128, total: &mut StateHash) {
        let before = self.positions.get(&symbol).copied().unwrap_or(0);
        let after = before.saturating_add(steps);
        total.remove(self.position_hash(symbol, before));
        total.add(self.position_hash(symbol, after));
        if after == 0 {
            self.positions.remove(&symbol);
        } else {
            self.positions.insert(symbol, after);
        }
    }

    /// Remembers an order id.
    pub fn remember_order(&mut self, id: &Text, slot: Slot) {
        if slot != Slot::Fenced {
            self.count_id(id);
        }
        self.ids.insert(id.clone(), slot);
    }

    /// Remembers a command id, which takes from the quota or not.
    pub fn remember_command(&mut self, id: &Text, command: CommandNo, in_quota: bool) {
        if in_quota {
            self.count_id(id);
        }
        self.commands.insert(id.clone(), command);
    }

    fn count_id(&mut self, id: &str) {
        if uuid7_ms(id).is_none() {
            self.foreign_ids += 1;
        }
    }

    /// Keeps an update for subscribers that resume, and forgets those beyond `limit`.
    pub fn keep(&mut self, update: Arc<OrderUpdate>, limit: usize) {
        self.history.push_back(update);
        while self.history.len() > limit {
            self.history.pop_front();
        }
    }
}
