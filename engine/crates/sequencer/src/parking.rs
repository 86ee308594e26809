//! Outputs wait here, by journal sequence, until their record is durable (invariant 2).

use crate::{Output, Reply};
use std::collections::VecDeque;

/// A queue of outputs whose sequence numbers never decrease; those up to `durable` may leave.
#[derive(Default)]
pub(crate) struct Parking {
    /// What depends on no record.
    at_once: VecDeque<Output>,
    parked: VecDeque<(u64, Output)>,
    durable: u64,
    sealed: bool,
    /// In all the pages of open orders that are parked.
    listed_orders: usize,
}

impl Parking {
    /// Nothing parked; everything up to `durable` may leave.
    pub(crate) fn new(durable: u64) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Keeps `output` until record `seq` is durable.
    #[inline]
    pub(crate) fn park(&mut self, seq: u64, output: Output) {
        if self.sealed {
            return;
        }
        debug_assert!(self.parked.back().is_none_or(|(last, _)| *last <= seq));
        self.listed_orders += listed_in(&output);
        self.parked.push_back((seq, output));
    }

    /// For what depends on no record: refusals and health.
    pub(crate) fn at_once(&mut self, output: Output) {
        self.at_once.push_back(output);
    }

    /// Everything up to `durable` may leave.
    pub(crate) fn release(&mut self, durable: u64) {
        if !self.sealed {
            self.durable = self.durable.max(durable);
        }
    }

    /// The journal failed: what is parked never leaves, and nothing is parked any more.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
        self.parked.truncate(self.released());
    }

    /// The next output that may leave.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Output> {
        if let Some(output) = self.at_once.pop_front() {
            return Some(output);
        }
        if self.parked.front()?.0 > self.durable {
            return None;
        }
        let (_, output) = self.parked.pop_front()?;
        self.listed_orders -= listed_in(&output);
        Some(output)
    }

    /// Sequence number of the account's first update that waits for the disk.
    pub(crate) fn first_update_of(&self, account: &str) -> Option<u64> {
        self.parked.range(self.released()..).find_map(|(_, output)| match output {
            Output::Updates(range) if range.account == account => Some(range.first),
            _ => None,
        })
    }

    /// Outputs that wait for the disk.
    pub(crate) fn len(&self) -> usize {
        self.parked.len() - self.released()
    }

    /// Orders in the pages of open orders that wait or were not taken yet.
    pub(crate) fn listed_orders(&self) -> usize {
        self.listed_orders
    }

    /// Outputs that may leave and were not taken yet.
    fn released(&self) -> usize {
        match self.parked.front() {
            Some((seq, _)) if *seq <= self.durable => self.parked.partition_point(|(seq, _)| *seq <= self.durable),
            _ => 0,
        }
    }
}

#[inline]
fn listed_in(output: &Output) -> usize {
    match output {
        Output::Reply { reply: Reply::OpenOrders(page), .. } => page.orders.len(),
        _ => 0,
    }
}
