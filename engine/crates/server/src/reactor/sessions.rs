//! Who is connected, for the leases of sessions: connections of gRPC here, those of the fast path where they come and
//! go.

use super::{Reactor, drain::Phase};
use crate::grpc::SessionNews;
use std::time::{Duration, Instant};

impl Reactor {
    /// What gRPC's connections have to say; before their calls are taken.
    pub(super) fn take_session_news(&mut self) {
        for news in self.parts.grpc_sessions.take() {
            match news {
                SessionNews::Connected(session_id) => self.parts.sequencer.session_connected(&session_id),
                SessionNews::Disconnected(session_id) => self.parts.sequencer.session_disconnected(&session_id),
            }
        }
    }

    /// Cancels what sessions entered that are gone. An engine that drains sends everybody away by itself: after its
    /// next start they have their full grace.
    pub(super) fn expire_leases(&mut self) {
        if self.phase != Phase::Serving {
            return;
        }
        let now = self.lease_time(self.now);
        if self.parts.sequencer.next_lease_deadline(now).is_some_and(|deadline| deadline <= now) {
            let utc = self.utc();
            self.parts.sequencer.expire_leases(now, utc);
        }
    }

    /// How long until a lease may expire.
    pub(super) fn until_lease_expires(&mut self) -> Option<Duration> {
        let now = self.lease_time(Instant::now());
        let deadline = self.parts.sequencer.next_lease_deadline(now).filter(|_| self.phase == Phase::Serving)?;
        Some(Duration::from_nanos(u64::try_from(deadline.saturating_sub(now)).unwrap_or(0)))
    }

    /// Nanoseconds of a clock that does not jump.
    fn lease_time(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.started).as_nanos()).unwrap_or(i64::MAX)
    }
}
