//! Leases: sessions whose open orders are cancelled once they have had no connection for a while.
//!
//! The core knows which sessions have one, and which orders they entered while they had it. Who is connected, and for
//! how long nobody was, the shell knows: its word is [`crate::Input::LeaseExpired`].

use crate::state_hash::{Kind, StateHash, entity_hash};
use crate::{Core, Text};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A lease's number, from 1; 0 is none. Never used again, so that no order ever belongs to somebody else's lease.
pub(crate) type LeaseNo = u32;

/// One session's lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// Index of the account whose orders it is about.
    pub account: u32,
    pub session_id: Text,
    pub grace_ms: u64,
    /// It has expired, and the session has entered nothing since.
    pub expired: bool,
}

/// All leases.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Leases {
    last: LeaseNo,
    by_number: BTreeMap<LeaseNo, Lease>,
    /// Mostly one for each session. Looked up, never iterated.
    by_session: HashMap<Text, Vec<LeaseNo>>,
}

impl Leases {
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// The number that the next new lease gets.
    pub fn next(&self) -> LeaseNo {
        self.last.saturating_add(1)
    }

    pub fn get(&self, no: LeaseNo) -> Option<&Lease> {
        self.by_number.get(&no)
    }

    /// The lease of a session for an account; 0 where there is none.
    pub fn of(&self, session_id: &str, account: Option<u32>) -> LeaseNo {
        if self.by_number.is_empty() || session_id.is_empty() {
            return 0; // mostly so: nothing is looked up
        }
        let found = self.of_session(session_id).find(|(_, lease)| Some(lease.account) == account);
        found.map_or(0, |(no, _)| no)
    }

    /// All leases of a session, oldest first.
    pub fn of_session(&self, session_id: &str) -> impl Iterator<Item = (LeaseNo, &Lease)> {
        let numbers = self.by_session.get(session_id).into_iter().flatten();
        numbers.filter_map(|no| Some((*no, self.get(*no)?)))
    }

    pub fn iter(&self) -> impl Iterator<Item = (LeaseNo, &Lease)> {
        self.by_number.iter().map(|(no, lease)| (*no, lease))
    }

    /// A new lease, or what one is from now on.
    pub fn set(&mut self, no: LeaseNo, lease: Lease, total: &mut StateHash) {
        self.last = self.last.max(no);
        total.add(lease_hash(no, &lease));
        let session_id = lease.session_id.clone();
        match self.by_number.insert(no, lease) {
            Some(former) => total.remove(lease_hash(no, &former)),
            None => self.by_session.entry(session_id).or_default().push(no),
        }
    }

    pub fn end(&mut self, no: LeaseNo, total: &mut StateHash) {
        let Some(lease) = self.by_number.remove(&no) else { return };
        total.remove(lease_hash(no, &lease));
        if let Some(numbers) = self.by_session.get_mut(&lease.session_id) {
            numbers.retain(|other| *other != no);
            if numbers.is_empty() {
                self.by_session.remove(&lease.session_id);
            }
        }
    }

    /// It expired, or its session is back at work.
    pub fn set_expired(&mut self, no: LeaseNo, expired: bool, total: &mut StateHash) {
        let Some(lease) = self.by_number.get_mut(&no).filter(|lease| lease.expired != expired) else { return };
        total.remove(lease_hash(no, lease));
        lease.expired = expired;
        total.add(lease_hash(no, lease));
    }
}

/// A lease's share of the state hash.
pub(crate) fn lease_hash(no: LeaseNo, lease: &Lease) -> u128 {
    entity_hash(Kind::Lease, &(no, lease), &mut Vec::new())
}

impl Core {
    /// Whether any session has a lease.
    pub fn has_leases(&self) -> bool {
        self.leases.len() > 0
    }

    /// How long a session may be without a connection, milliseconds; `None`: for ever. Of several leases the shortest.
    pub fn grace_ms(&self, session_id: &str) -> Option<u64> {
        self.leases.of_session(session_id).map(|(_, lease)| lease.grace_ms).min()
    }

    /// Whether a new session's lease has no room, unless an expired one makes it.
    pub(crate) fn leases_are_full(&self) -> bool {
        self.leases.len() as u64 >= u64::from(self.limits().max_leases)
    }

    /// The oldest lease that has expired and has nothing left to cancel: it makes room for another.
    pub(crate) fn spent_lease(&self) -> Option<LeaseNo> {
        let entered_under = self.leases_of_open_orders();
        let mut spent = self.leases.iter().filter(|(no, lease)| lease.expired && !entered_under.contains(no));
        spent.next().map(|(no, _)| no)
    }

    fn leases_of_open_orders(&self) -> BTreeSet<LeaseNo> {
        let open = self.accounts.iter().flat_map(|account| account.open.iter());
        open.filter_map(|key| self.order(key.order())).map(|order| order.lease).collect()
    }

    /// Sessions whose lease has something to cancel, or could get it.
    pub fn leased_sessions(&self) -> Vec<Text> {
        let entered_under = self.leases_of_open_orders();
        let wanted = self.leases.iter().filter(|(no, lease)| !lease.expired || entered_under.contains(no));
        wanted.map(|(_, lease)| lease.session_id.clone()).collect()
    }
}
