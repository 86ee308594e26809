//! The end: GoingAway to all, SHUTTING_DOWN for what is new, what is owed is sent, then half-close (WIRE.md 1.5).

use super::{
    Reactor,
    calls::{refuse, shutting_down},
    peer::{Ending, Role},
};
use bridge_core::{ReasonCode, Rejection};
use std::time::{Duration, Instant};

/// How far the engine's end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It serves.
    Serving,
    /// GoingAway was sent; new requests are refused, and what is owed is awaited.
    Announced {
        /// Requests are answered at least until here, so that what was under way hears SHUTTING_DOWN.
        not_before: Instant,
        /// Whatever is owed then stays owed.
        deadline: Instant,
    },
    /// Our halves are closed; connections are read until the peers close theirs.
    Closing {
        /// Those that have not closed are dropped.
        deadline: Instant,
    },
}

/// What part of the drain time requests are still answered, where somebody is connected.
const ANSWERING_PART: u32 = 8;

impl Reactor {
    /// SIGTERM: tells everybody. A second signal changes nothing.
    pub(super) fn begin_drain(&mut self) {
        if self.phase != Phase::Serving {
            return;
        }
        tracing::info!("shutting down");
        let now = Instant::now();
        let somebody = !self.peers.keys().is_empty() || self.parts.grpc_connections.any();
        let answering = if somebody { self.parts.drain / ANSWERING_PART } else { Duration::ZERO };
        self.phase = Phase::Announced { not_before: now + answering, deadline: now + self.parts.drain };
        self.stop_listening();
        let drain_ms = u32::try_from(self.parts.drain.as_millis()).unwrap_or(u32::MAX);
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            if matches!(peer.role, Role::Client(_)) && peer.ending == Ending::No && peer.zmtp.is_ready() {
                let bytes = self.encoder.going_away("the engine is shutting down", drain_ms);
                // Ready, so it is taken.
                let _ = peer.zmtp.send(bytes);
            }
            self.unwritten(key);
        }
        self.publisher.notice(ReasonCode::ShuttingDown, "the engine is shutting down");
        self.publisher.mark();
    }

    /// Goes on to the next phase when this one is done.
    pub(super) fn advance_drain(&mut self) {
        let now = Instant::now();
        match self.phase {
            Phase::Serving | Phase::Closing { .. } => {}
            Phase::Announced { not_before, deadline } => {
                let owed = self.waiters.len() > 0 || self.subscriptions.owe() || self.publisher.waits();
                if now >= deadline || now >= not_before && !owed {
                    self.close_all(deadline);
                }
            }
        }
    }

    fn close_all(&mut self, deadline: Instant) {
        self.phase = Phase::Closing { deadline };
        let message = "the engine is shutting down; resume on the next one";
        let why = Rejection::new(ReasonCode::ShuttingDown, "", message);
        for subscription in self.subscriptions.keys() {
            self.end_subscription(subscription, &why, false);
        }
        self.publisher.end_streams();
        for key in self.peers.keys() {
            self.end_peer_by(key, deadline);
        }
        self.write_unwritten();
    }

    /// Whether the loop may end.
    pub(super) fn drained(&self) -> bool {
        match self.phase {
            Phase::Closing { deadline } => self.peers.len() == 0 || Instant::now() >= deadline,
            _ => false,
        }
    }

    /// Closes the journal in order. Who still waits is told nothing: its outcome is unknown to it.
    pub(super) fn end(mut self) -> Result<(), String> {
        // What gRPC hands over from here on is refused by the closed queue.
        self.parts.orders.close();
        while let Ok(order) = self.parts.orders.try_recv() {
            refuse(order, &shutting_down());
        }
        self.take_synced();
        let job = self.parts.sequencer.end_turn();
        if let Some(job) = job {
            self.parts.sync.submit(job);
        }
        if let Some(result) = self.parts.sync.finish() {
            self.parts.sequencer.synced(result);
        }
        self.parts.stages.finish().map_err(|e| format!("cannot write the stage times: {e}"))?;
        self.parts.sequencer.close().map(drop)
    }
}
