//! Cancel on disconnect, from a connection's end to the journaled word that a lease has expired.

use crate::venue_reports::{RETRY_NS, nanoseconds};
use crate::{Disk, Path, Sequencer};
use bridge_core::{CommandRef, Core, Input, InputRef, UtcNanos};

/// How soon an external venue is asked again to cancel what it has not.
const ASK_AGAIN_NS: i64 = 1_000_000_000;

impl<D: Disk> Sequencer<D> {
    /// A connection of this session stands, on either path; an empty id is nobody's. Say it before the first request
    /// of the connection, and [`Sequencer::session_disconnected`] once, when it is gone.
    pub fn session_connected(&mut self, session_id: &str) {
        self.sessions.connected(session_id);
    }

    /// A connection of this session is gone. If it was the last, and the session has a lease, its grace begins.
    pub fn session_disconnected(&mut self, session_id: &str) {
        if self.sessions.disconnected(session_id) && self.state.core.grace_ms(session_id).is_some() {
            self.sessions.watch(session_id);
        }
    }

    /// When [`Sequencer::expire_leases`] is due next, on the clock of `now`: nanoseconds of one that does not jump.
    /// Graces that began since this was last called begin now.
    pub fn next_lease_deadline(&mut self, now: i64) -> Option<i64> {
        if self.failed().is_some() {
            return None;
        }
        let core = &self.state.core;
        self.sessions.look(now, |session_id| grace_ns(core, session_id))
    }

    /// Cancels the orders of a session whose grace is over: of one at a time, so that no turn takes long because many
    /// sessions are gone at once. While [`Sequencer::next_lease_deadline`] has passed, call it again. `now` is of the same clock as for
    /// [`Sequencer::next_lease_deadline`], `utc_now` engine time.
    pub fn expire_leases(&mut self, now: i64, utc_now: UtcNanos) {
        self.clamp(utc_now);
        if self.failed().is_some() {
            return;
        }
        let core = &self.state.core;
        let Some(session_id) = self.sessions.due(now, |session_id| grace_ns(core, session_id)) else { return };
        let expired = Input::LeaseExpired { session_id: session_id.to_string() };
        if self.run_internal(expired, Path::Internal).is_err() {
            self.sessions.postpone(&session_id, now.saturating_add(RETRY_NS)); // the disk is full
        } else if self.state.core.has_orders_to_cancel(&session_id) {
            // An external venue answers when it can, and it may refuse.
            let grace_ns = grace_ns(&self.state.core, &session_id).unwrap_or(0);
            self.sessions.postpone(&session_id, now.saturating_add(grace_ns.max(ASK_AGAIN_NS)));
        } else {
            self.sessions.forget(&session_id);
        }
    }

    /// After a command: a session that is gone may have got a lease by it, or an order that its lease must end.
    pub(crate) fn watch_leases(&mut self, input: InputRef<'_>, session_id: &str) {
        let InputRef::Command(command) = input else { return };
        if session_id.is_empty() || !self.state.core.has_leases() || self.state.core.grace_ms(session_id).is_none() {
            return;
        }
        if matches!(command, CommandRef::SetCancelOnDisconnect(_)) {
            self.sessions.forget(session_id); // another grace, and all of it
        }
        self.sessions.watch(session_id);
    }

    /// After a start every lease has its full grace.
    pub(crate) fn watch_all_leases(&mut self) {
        for session_id in self.state.core.leased_sessions() {
            self.sessions.watch(&session_id);
        }
    }
}

fn grace_ns(core: &Core, session_id: &str) -> Option<i64> {
    core.grace_ms(session_id).map(nanoseconds)
}
