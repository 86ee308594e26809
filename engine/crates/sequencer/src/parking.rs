//! Outputs wait here, by journal sequence, until their record is durable (invariant 2).

use crate::Output;
use std::collections::VecDeque;

/// A queue of outputs whose sequence numbers never decrease, and those that may leave.
#[derive(Default)]
pub(crate) struct Parking {
    parked: VecDeque<(u64, Output)>,
    released: VecDeque<Output>,
    durable: u64,
    sealed: bool,
}

impl Parking {
    /// Nothing parked; everything up to `durable` may leave.
    pub(crate) fn new(durable: u64) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Keeps `output` until record `seq` is durable.
    pub(crate) fn park(&mut self, seq: u64, output: Output) {
        if self.sealed {
            return;
        }
        debug_assert!(self.parked.back().is_none_or(|(last, _)| *last <= seq));
        if seq <= self.durable && self.parked.is_empty() {
            self.released.push_back(output);
        } else {
            self.parked.push_back((seq, output));
        }
    }

    /// For what depends on no record: refusals and health.
    pub(crate) fn at_once(&mut self, output: Output) {
        self.released.push_back(output);
    }

    /// Everything up to `durable` may leave.
    pub(crate) fn release(&mut self, durable: u64) {
        if self.sealed {
            return;
        }
        self.durable = self.durable.max(durable);
        while self.parked.front().is_some_and(|(seq, _)| *seq <= self.durable) {
            self.released.extend(self.parked.pop_front().map(|(_, output)| output));
        }
    }

    /// The journal failed: what is parked never leaves, and nothing is parked any more.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
        self.parked.clear();
    }

    /// The next output that may leave.
    pub(crate) fn next(&mut self) -> Option<Output> {
        self.released.pop_front()
    }

    /// Sequence number of the account's first update that waits for the disk.
    pub(crate) fn first_update_of(&self, account: &str) -> Option<u64> {
        self.parked.iter().find_map(|(_, output)| match output {
            Output::Update(update) if update.order.account == account => Some(update.sequence),
            _ => None,
        })
    }

    /// Outputs that wait for the disk.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }
}
