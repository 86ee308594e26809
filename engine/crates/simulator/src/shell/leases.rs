//! Who is connected, for the leases of sessions (`reactor/sessions`).

use super::Shell;
use bridge_core::UtcNanos;

impl Shell {
    /// A connection stands for this session from now on.
    pub(super) fn name_session(&mut self, connection: u64, session_id: &str) {
        let Some(peer) = self.connections.get_mut(connection) else { return };
        let former = peer.session.replace(session_id.to_owned());
        self.sequencer.session_connected(session_id);
        if let Some(former) = former {
            self.session_disconnected(&former);
        }
    }

    /// A connection of this session is gone.
    pub(super) fn session_disconnected(&mut self, session_id: &str) {
        self.sequencer.session_disconnected(session_id);
    }

    /// When [`Shell::expire_leases`] is due, on a clock that does not jump.
    pub fn next_lease_deadline(&mut self, monotonic_ns: i64) -> Option<i64> {
        if self.is_draining { None } else { self.sequencer.next_lease_deadline(monotonic_ns) }
    }

    /// Cancels what sessions entered that are gone.
    pub fn expire_leases(&mut self, monotonic_ns: i64, now: UtcNanos) {
        if !self.is_draining {
            self.sequencer.expire_leases(monotonic_ns, now);
        }
    }
}
