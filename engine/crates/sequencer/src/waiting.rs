//! Calls that are not concluded, batches that are not complete, and the time limits of an external venue.

use crate::Token;
use bridge_core::{Call, ExecuteReply, OrderNo, UtcNanos};
use std::collections::{HashMap, HashSet, VecDeque};

/// Where the reply to a call goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// It is the whole answer.
    Single(Token),
    /// It is one of a batch's.
    InBatch { batch: u64, index: usize },
}

/// One copy of a call that is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter {
    pub(crate) slot: Slot,
    /// It joined a call that ran already.
    pub(crate) duplicate: bool,
}

struct Batch {
    token: Token,
    replies: Vec<Option<ExecuteReply>>,
    missing: usize,
}

/// Who waits for what. Not part of the state: after a restart the clients ask again.
#[derive(Default)]
pub(crate) struct Waiting {
    by_call: HashMap<Call, Vec<Waiter>>,
    calls: usize,
    batches: HashMap<u64, Batch>,
    last_batch: u64,
}

impl Waiting {
    /// Copies of calls that wait for a conclusion.
    pub(crate) const fn calls(&self) -> usize {
        self.calls
    }

    /// Opens an answer of `size` replies.
    pub(crate) fn open_batch(&mut self, token: Token, size: usize) -> u64 {
        self.last_batch += 1;
        let mut replies = Vec::new();
        replies.resize_with(size, || None);
        let batch = Batch { token, replies, missing: size };
        self.batches.insert(self.last_batch, batch);
        self.last_batch
    }

    /// Puts a reply into its batch; gives the batch when it is complete with it.
    pub(crate) fn fill_batch(
        &mut self,
        number: u64,
        index: usize,
        reply: ExecuteReply,
    ) -> Option<(Token, Vec<ExecuteReply>)> {
        let batch = self.batches.get_mut(&number)?;
        if batch.replies[index].replace(reply).is_none() {
            batch.missing -= 1;
        }
        if batch.missing > 0 {
            return None;
        }
        let batch = self.batches.remove(&number)?;
        // In the same memory: a filter of what a vector gives is collected in place, what `flatten` gives is not.
        #[allow(clippy::filter_map_identity)]
        let replies = batch.replies.into_iter().filter_map(|reply| reply).collect();
        Some((batch.token, replies))
    }

    /// Keeps a copy of a call until it is concluded.
    pub(crate) fn join(&mut self, call: Call, waiter: Waiter) {
        self.by_call.entry(call).or_default().push(waiter);
        self.calls += 1;
    }

    /// Takes all that waited for `call`.
    pub(crate) fn take(&mut self, call: Call) -> Vec<Waiter> {
        if self.calls == 0 {
            return Vec::new(); // always so with the embedded exchange: it answers within the turn
        }
        let waiters = self.by_call.remove(&call).unwrap_or_default();
        self.calls -= waiters.len();
        waiters
    }
}

/// Until when an external venue may say nothing about an order before its call ends as PENDING.
#[derive(Default)]
pub(crate) struct AckTimers {
    by_deadline: VecDeque<(UtcNanos, OrderNo)>,
    running: HashSet<OrderNo>,
}

impl AckTimers {
    /// Deadlines must come in order, as they do when all calls have the same limit.
    pub(crate) fn start(&mut self, order: OrderNo, deadline: UtcNanos) {
        self.by_deadline.push_back((deadline, order));
        self.running.insert(order);
    }

    /// The call was concluded.
    pub(crate) fn stop(&mut self, order: OrderNo) {
        if self.running.remove(&order) {
            while self.by_deadline.front().is_some_and(|(_, order)| !self.running.contains(order)) {
                self.by_deadline.pop_front();
            }
        }
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<UtcNanos> {
        self.by_deadline.front().map(|(deadline, _)| *deadline)
    }

    /// The next order whose time is up. It stays until [`AckTimers::stop`].
    pub(crate) fn due(&self, now: UtcNanos) -> Option<OrderNo> {
        self.by_deadline.front().filter(|(deadline, _)| *deadline <= now).map(|(_, order)| *order)
    }

    /// There was no room to record that the time is up: look again at `deadline`.
    pub(crate) fn postpone(&mut self, deadline: UtcNanos) {
        for (at, _) in &mut self.by_deadline {
            *at = deadline.max(*at);
        }
    }
}
