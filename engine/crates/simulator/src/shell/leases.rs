//! Who is connected, for the leases of sessions (`reactor/sessions`), and the bugs of leases and limits.

use super::Shell;
use super::replies::Waiter;
use super::requests::origin;
use crate::bugs::Bug;
use bridge_core::{Command, SetRiskLimits, UtcNanos};
use bridge_sequencer::{Path, Request, Token};

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
        if self.bugs.has(Bug::LeaseEndsWithOnePath) {
            for _ in 0..self.connections.of_session(session_id) {
                self.sequencer.session_disconnected(session_id);
            }
        }
    }

    /// What a planted bug makes of the limits at a start: there are none.
    pub(super) fn lose_limits(&mut self, now: UtcNanos) {
        let symbols = self.symbols.clone();
        for symbol in symbols.iter().map(String::as_str).chain([""]) {
            let set = SetRiskLimits {
                command_id: format!("none-{}-{symbol}", self.epoch()),
                symbol: symbol.to_owned(),
                ..SetRiskLimits::default()
            };
            let request = Request::Command(Command::SetRiskLimits(set));
            self.last_token += 1;
            self.waiters.insert(self.last_token, Waiter::Reply { connection: 0, correlation: 0, fence: false }); // nobody
            self.sequencer.submit(Token(self.last_token), &origin(Path::Grpc, ""), &request, now);
        }
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
