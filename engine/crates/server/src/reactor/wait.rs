//! How the reactor waits: awake while there was traffic of the fast path, asleep otherwise.
//!
//! A thread that sleeps takes tens of microseconds to wake, so that after a request of the fast path it is worth a core
//! to look again for a while. Whoever sent last is looked at first, without asking epoll; epoll is asked every
//! [`ASK_EVERY`], so that nobody else waits longer than that for a connection that is busy all the time.
//!
//! While replies wait for a sync (durability `always`), it sleeps whatever the budget: awake it would take from the
//! sync thread the core that this needs to begin, and to hear of the disk. On two cores, with a client that is awake
//! too, an order takes half the time so.

use super::{
    Reactor,
    drain::Phase,
    poller::{Ready, Source},
    slab::Key,
};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// Longer than a round trip of a client that is awake too, so that epoll is mostly asked between two requests; a tenth
/// of what a sleeping thread takes to wake, so that who has to wait for it hardly notices.
pub(super) const ASK_EVERY: Duration = Duration::from_micros(20);
/// With more connections than this sending at a time, epoll tells sooner who has sent than reading them in turn.
const MOST_HOT: usize = 2;
/// So many turns go by epoll once more connections than [`MOST_HOT`] have sent.
const CROWDED_TURNS: u32 = 64;
/// While connections are ending or opening, their times are looked at this often.
const SHORT_TICK: Duration = Duration::from_millis(50);
/// While a stream of gRPC is full, it is tried again this often.
const BLOCKED_STREAM_RETRY: Duration = Duration::from_millis(5);

/// Who has sent lately, the last one first.
#[derive(Default)]
pub(super) struct Hot {
    keys: [Option<Key>; MOST_HOT],
    /// Turns for which there were too many.
    crowded: u32,
}

impl Hot {
    /// A request of this connection was taken.
    #[inline]
    pub fn sent(&mut self, key: Key) {
        if self.keys[0] == Some(key) {
            return;
        }
        let known = self.keys.iter().position(|known| *known == Some(key));
        if known.is_none() && self.keys[MOST_HOT - 1].is_some() {
            self.crowded = CROWDED_TURNS;
        }
        self.keys[..=known.unwrap_or(MOST_HOT - 1)].rotate_right(1);
        self.keys[0] = Some(key);
    }

    /// It went, or may not be read.
    fn forget(&mut self, key: Key) {
        for known in self.keys.iter_mut().filter(|known| **known == Some(key)) {
            *known = None;
        }
    }

    /// Those to look at in this turn.
    #[inline]
    fn in_turn(&mut self) -> [Option<Key>; MOST_HOT] {
        if self.crowded == 0 {
            return self.keys;
        }
        self.crowded -= 1;
        if self.crowded == 0 {
            self.keys = [None; MOST_HOT];
        }
        [None; MOST_HOT]
    }
}

impl Reactor {
    /// Waits for something to do; what it has read and handled already is not in `ready`.
    pub(super) fn wait(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.now = Instant::now();
        self.utc = None;
        self.taken = false;
        if self.submitted || self.fan_out_waits() {
            self.ask(ready)?;
            self.note_waker(ready);
            return Ok(());
        }
        let awake_until = self.spin_until.max(self.call_expected_until.unwrap_or(self.spin_until));
        if self.now < awake_until && !self.disk_awaited && self.look_around(awake_until, ready)? {
            return Ok(());
        }
        if self.call_expected_until.take_if(|until| *until <= self.now).is_some() {
            self.parts.waker.expecting.was_in_vain();
        }
        self.sleep(ready)
    }

    /// Looks for something to do until then. False: there was nothing.
    fn look_around(&mut self, awake_until: Instant, ready: &mut Vec<Ready>) -> io::Result<bool> {
        loop {
            let is_time_to_ask = self.now >= self.asked_at + ASK_EVERY;
            if is_time_to_ask {
                self.ask(ready)?;
            }
            self.note_waker(ready);
            let nobody_is_hot = self.read_hot();
            if self.taken || !ready.is_empty() {
                return Ok(true);
            }
            if nobody_is_hot {
                self.ask(ready)?;
            }
            if is_time_to_ask {
                // Where cores are short, the client that is waited for may need this one. A third of a microsecond
                // where nobody does.
                thread::yield_now();
            }
            self.now = Instant::now();
            if self.now >= awake_until || self.now >= self.next_tick {
                return Ok(!ready.is_empty());
            }
        }
    }

    /// Reads who has sent lately. True: there is nobody whom to read.
    #[inline]
    fn read_hot(&mut self) -> bool {
        let hot = self.hot.in_turn();
        for key in hot.into_iter().flatten() {
            match self.peers.get_mut(key) {
                Some(peer) if peer.may_be_read() => self.read_peer(key),
                _ => self.hot.forget(key),
            }
        }
        hot.iter().all(Option::is_none)
    }

    /// Asks epoll without waiting.
    fn ask(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.asked_at = self.now;
        self.poller.wait(Duration::ZERO, ready)
    }

    fn sleep(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = self.timeout();
        // Whoever has woken the reactor while it was awake did not ring.
        let timeout = if self.parts.waker.fall_asleep() { timeout } else { Duration::ZERO };
        let waited = self.poller.wait(timeout, ready);
        self.parts.waker.wake_up();
        self.now = Instant::now();
        self.asked_at = self.now;
        self.note_waker(ready);
        waited
    }

    /// Whoever has woken the reactor while it was awake did not ring: epoll does not tell.
    fn note_waker(&self, ready: &mut Vec<Ready>) {
        if self.parts.waker.is_pending() && ready.iter().all(|event| event.source != Source::Waker) {
            ready.push(Ready::WAKER);
        }
    }

    fn timeout(&mut self) -> Duration {
        let mut timeout = self.next_tick.saturating_duration_since(self.now);
        if let Some(deadline) = self.parts.sequencer.next_deadline() {
            let ns = u64::try_from(deadline.saturating_sub(super::utc_now())).unwrap_or(0);
            timeout = timeout.min(Duration::from_nanos(ns));
        }
        if let Some(until) = self.until_lease_expires() {
            timeout = timeout.min(until);
        }
        if self.transient_peers || self.phase != Phase::Serving {
            timeout = timeout.min(SHORT_TICK);
        }
        if self.streams_blocked {
            timeout = timeout.min(BLOCKED_STREAM_RETRY);
        }
        if let Some(venue) = &self.parts.venue {
            timeout = timeout.min(venue.timeout());
        }
        timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::slab::Slab;

    #[test]
    fn the_last_two_that_sent_are_read_and_with_a_third_epoll_is_asked_for_a_while() {
        let mut slab = Slab::new();
        let [a, b, c] = [(); 3].map(|()| slab.insert(()));
        let mut hot = Hot::default();
        hot.sent(a);
        hot.sent(a);
        assert_eq!(hot.in_turn(), [Some(a), None]);
        hot.sent(b);
        assert_eq!(hot.in_turn(), [Some(b), Some(a)]);
        hot.sent(a);
        assert_eq!(hot.in_turn(), [Some(a), Some(b)]);
        hot.sent(c);
        for _ in 0..CROWDED_TURNS {
            assert_eq!(hot.in_turn(), [None, None]);
        }
        hot.sent(b);
        assert_eq!(hot.in_turn(), [Some(b), None]);
        hot.forget(b);
        assert_eq!(hot.in_turn(), [None, None]);
    }
}
