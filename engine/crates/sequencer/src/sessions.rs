//! Which sessions have a connection, and since when a session with a lease has had none (WIRE.md, section 3, "Cancel
//! on disconnect"). Not part of the state: after a start nobody is connected, and every lease gets its full grace.
//!
//! Times are of a clock that does not jump, in nanoseconds; engine time may.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A look that comes this late was not made because the engine stood still (a machine suspended, a process stopped):
/// that was no time in which a client could connect.
const STANDSTILL_NS: i64 = 100_000_000;

/// Connections of sessions, and the clocks of those that have a lease and no connection.
#[derive(Default)]
pub(crate) struct Sessions {
    /// Only those with a connection. Looked up, never iterated.
    connections: HashMap<Arc<str>, u32>,
    /// In the order of their names, so that equal runs are equal.
    alone: BTreeMap<Arc<str>, Alone>,
    /// Some of `alone` have no deadline yet.
    unstarted: bool,
    /// The first deadline of `alone`.
    first: Option<i64>,
}

/// A session with a lease and without a connection.
#[derive(Clone, Copy, Default)]
struct Alone {
    /// `None`: its clock starts at the next look.
    deadline: Option<i64>,
    /// It was given time once, for a standstill of the engine.
    has_been_spared: bool,
}

impl Sessions {
    /// One connection more, by either path.
    pub(crate) fn connected(&mut self, session_id: &str) {
        if session_id.is_empty() {
            return; // nobody's
        }
        match self.connections.get_mut(session_id) {
            Some(connections) => *connections += 1,
            None => drop(self.connections.insert(session_id.into(), 1)),
        }
        self.forget(session_id);
    }

    /// One connection less. True: it was the last.
    pub(crate) fn disconnected(&mut self, session_id: &str) -> bool {
        let Some(connections) = self.connections.get_mut(session_id) else { return false };
        *connections -= 1;
        if *connections > 0 {
            return false;
        }
        self.connections.remove(session_id);
        true
    }

    /// The session has a lease: should it have no connection, its clock runs, from the next look on.
    pub(crate) fn watch(&mut self, session_id: &str) {
        if !self.connections.contains_key(session_id) && !self.alone.contains_key(session_id) {
            self.alone.insert(session_id.into(), Alone::default());
            self.unstarted = true;
        }
    }

    /// Its clock runs no more.
    pub(crate) fn forget(&mut self, session_id: &str) {
        if !self.alone.is_empty() && self.alone.remove(session_id).is_some() {
            self.find_first();
        }
    }

    /// Looks at the clock: starts those that have not, for as long as `grace_ns` says (a session without a grace has
    /// no lease any more), and gives the first deadline.
    pub(crate) fn look(&mut self, now: i64, grace_ns: impl Fn(&str) -> Option<i64>) -> Option<i64> {
        if std::mem::take(&mut self.unstarted) {
            self.alone.retain(|session_id, alone| {
                let Some(grace_ns) = grace_ns(session_id) else { return false };
                alone.deadline.get_or_insert(now.saturating_add(grace_ns));
                true
            });
            self.find_first();
        }
        self.first
    }

    /// The next session whose time is up; it stays until it is forgotten or postponed. One whose look came late is
    /// given as much time as the engine stood still, once, and at most its grace.
    pub(crate) fn due(&mut self, now: i64, grace_ns: impl Fn(&str) -> Option<i64>) -> Option<Arc<str>> {
        while self.first.is_some_and(|first| first <= now) {
            let is_due = |alone: &Alone| alone.deadline.is_some_and(|deadline| deadline <= now);
            let (session_id, alone) = self.alone.iter_mut().find(|(_, alone)| is_due(alone))?;
            let late = now.saturating_sub(alone.deadline.unwrap_or(now));
            if late <= STANDSTILL_NS || alone.has_been_spared {
                return Some(session_id.clone());
            }
            let spared = late.min(grace_ns(session_id).unwrap_or(0));
            *alone = Alone { deadline: Some(now.saturating_add(spared.max(1))), has_been_spared: true };
            self.find_first();
        }
        None
    }

    /// Its time is up at `deadline`, and not before.
    pub(crate) fn postpone(&mut self, session_id: &str, deadline: i64) {
        if let Some(alone) = self.alone.get_mut(session_id) {
            alone.deadline = Some(deadline);
            self.find_first();
        }
    }

    fn find_first(&mut self) {
        self.first = self.alone.values().filter_map(|alone| alone.deadline).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[allow(clippy::unnecessary_wraps, reason = "what is asked may have no answer")]
    fn ten_seconds(_session_id: &str) -> Option<i64> {
        Some(10 * SECOND)
    }

    /// A session `a` with a lease, connected once.
    fn connected() -> Sessions {
        let mut sessions = Sessions::default();
        sessions.connected("a");
        sessions.watch("a");
        assert_eq!(sessions.look(0, ten_seconds), None);
        sessions
    }

    fn lose(sessions: &mut Sessions) {
        if sessions.disconnected("a") {
            sessions.watch("a");
        }
    }

    #[test]
    fn the_grace_runs_from_the_loss_of_the_last_connection() {
        let mut sessions = connected();
        sessions.connected("a");
        lose(&mut sessions);
        assert_eq!(sessions.look(SECOND, ten_seconds), None, "one is left");
        lose(&mut sessions);
        assert_eq!(sessions.look(2 * SECOND, ten_seconds), Some(12 * SECOND));
        assert_eq!(sessions.due(12 * SECOND - 1, ten_seconds), None);
        assert_eq!(sessions.due(12 * SECOND, ten_seconds).as_deref(), Some("a"));
        sessions.forget("a");
        assert_eq!(sessions.look(13 * SECOND, ten_seconds), None);
    }

    #[test]
    fn who_connects_within_the_grace_trips_nothing_and_gets_a_full_one_next_time() {
        let mut sessions = connected();
        lose(&mut sessions);
        sessions.look(0, ten_seconds);
        sessions.connected("a");
        assert_eq!(sessions.due(20 * SECOND, ten_seconds), None);
        lose(&mut sessions);
        assert_eq!(sessions.look(20 * SECOND, ten_seconds), Some(30 * SECOND));
    }

    #[test]
    fn watching_again_does_not_start_the_clock_again() {
        let mut sessions = connected();
        lose(&mut sessions);
        sessions.look(0, ten_seconds);
        sessions.watch("a");
        assert_eq!(sessions.look(5 * SECOND, ten_seconds), Some(10 * SECOND));
    }

    #[test]
    fn a_lease_that_was_ended_is_not_waited_for() {
        let mut sessions = connected();
        lose(&mut sessions);
        assert_eq!(sessions.look(0, |_| None), None);
        assert_eq!(sessions.due(i64::MAX, ten_seconds), None);
    }

    #[test]
    fn time_in_which_the_engine_stood_still_does_not_count_but_only_once() {
        let mut sessions = connected();
        lose(&mut sessions);
        sessions.look(0, ten_seconds);
        assert_eq!(sessions.due(14 * SECOND, ten_seconds), None, "four seconds late");
        assert_eq!(sessions.look(14 * SECOND, ten_seconds), Some(18 * SECOND));
        assert_eq!(sessions.due(60 * SECOND, ten_seconds).as_deref(), Some("a"));
    }

    #[test]
    fn a_connection_without_a_session_counts_for_nobody() {
        let mut sessions = Sessions::default();
        sessions.connected("");
        assert!(!sessions.disconnected("") && !sessions.disconnected("never seen"));
    }
}
