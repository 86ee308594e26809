//! When a client PINGs, and when it gives a silent peer up. Times are monotonic nanoseconds, told by the caller.
//!
//! A beat is judged missed only by somebody who has had the chance to read: a caller who was away (an idle client, a
//! blocked event loop) is excused once in a silence and waits anew, and everybody reads once more before the verdict.
//! Once only: who always comes late has to find a silent peer too.

/// Between the end of a beat and the verdict, so that what waits in the socket is read first.
const GRACE_NS: u64 = 10_000_000;

/// Pauses of a connection's heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeartbeatTimes {
    /// Between PINGs; 0: never any.
    pub interval_ns: u64,
    /// Silence after a PING that ends the connection.
    pub timeout_ns: u64,
}

/// What is to be done when a deadline has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beat {
    Nothing,
    Ping,
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    /// The next PING is due at this instant.
    Interval(u64),
    /// Something must have been read by this instant.
    Sign(u64),
    /// Nothing was; one more chance until this instant.
    LastChance(u64),
}

/// The state of a connection's heartbeat.
pub(super) struct Heartbeat {
    times: HeartbeatTimes,
    awaited: Awaited,
    /// The caller was away in this silence once.
    excused: bool,
}

impl Heartbeat {
    pub fn new(times: HeartbeatTimes, now_ns: u64) -> Self {
        Self { times, awaited: Awaited::Interval(now_ns.saturating_add(times.interval_ns)), excused: false }
    }

    /// Something was read: the peer is alive.
    pub fn heard(&mut self, now_ns: u64) {
        if !matches!(self.awaited, Awaited::Interval(_)) {
            self.awaited = Awaited::Interval(now_ns.saturating_add(self.times.interval_ns));
            self.excused = false;
        }
    }

    /// When [`Heartbeat::on_time`] has something to do.
    pub fn deadline_ns(&self) -> Option<u64> {
        let (Awaited::Interval(at) | Awaited::Sign(at) | Awaited::LastChance(at)) = self.awaited;
        (self.times.interval_ns > 0).then_some(at)
    }

    /// Lets time pass.
    pub fn on_time(&mut self, now_ns: u64) -> Beat {
        let Some(deadline_ns) = self.deadline_ns().filter(|deadline| now_ns >= *deadline) else { return Beat::Nothing };
        let is_interval = matches!(self.awaited, Awaited::Interval(_));
        let was_away = !is_interval && !self.excused && now_ns - deadline_ns > self.times.interval_ns;
        self.excused |= was_away;
        match self.awaited {
            Awaited::Sign(_) if !was_away => {
                self.awaited = Awaited::LastChance(now_ns.saturating_add(GRACE_NS));
                Beat::Nothing
            }
            Awaited::LastChance(_) if !was_away => Beat::Silent,
            _ => {
                self.awaited = Awaited::Sign(now_ns.saturating_add(self.times.timeout_ns));
                Beat::Ping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const TIMES: HeartbeatTimes = HeartbeatTimes { interval_ns: 50 * MS, timeout_ns: 150 * MS };

    #[test]
    fn a_peer_that_answers_is_pinged_once_an_interval() {
        let mut heartbeat = Heartbeat::new(TIMES, 0);
        assert_eq!(heartbeat.on_time(49 * MS), Beat::Nothing);
        assert_eq!(heartbeat.on_time(50 * MS), Beat::Ping);
        heartbeat.heard(51 * MS);
        assert_eq!(heartbeat.deadline_ns(), Some(101 * MS));
        assert_eq!(heartbeat.on_time(101 * MS), Beat::Ping);
    }

    #[test]
    fn silence_after_a_ping_ends_it_after_one_more_look_at_the_socket() {
        let mut heartbeat = Heartbeat::new(TIMES, 0);
        assert_eq!(heartbeat.on_time(50 * MS), Beat::Ping);
        assert_eq!(heartbeat.on_time(199 * MS), Beat::Nothing);
        assert_eq!(heartbeat.on_time(200 * MS), Beat::Nothing);
        assert_eq!(heartbeat.on_time(210 * MS), Beat::Silent);
    }

    #[test]
    fn who_was_away_pings_again_instead_of_judging_but_only_once_in_a_silence() {
        let mut heartbeat = Heartbeat::new(TIMES, 0);
        assert_eq!(heartbeat.on_time(50 * MS), Beat::Ping);
        assert_eq!(heartbeat.on_time(10_000 * MS), Beat::Ping);
        heartbeat.heard(10_001 * MS);
        assert_eq!(heartbeat.on_time(20_000 * MS), Beat::Ping);
        assert_eq!(heartbeat.on_time(30_000 * MS), Beat::Ping);
        assert_eq!(heartbeat.on_time(40_000 * MS), Beat::Nothing);
        assert_eq!(heartbeat.on_time(50_000 * MS), Beat::Silent);
    }

    #[test]
    fn an_interval_of_nothing_means_no_heartbeat() {
        let mut heartbeat = Heartbeat::new(HeartbeatTimes { interval_ns: 0, timeout_ns: 0 }, 0);
        assert_eq!(heartbeat.deadline_ns(), None);
        assert_eq!(heartbeat.on_time(u64::MAX), Beat::Nothing);
    }
}
