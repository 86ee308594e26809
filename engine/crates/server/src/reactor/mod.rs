//! The reactor: one thread that owns sockets, sequencer and journal. A turn of its loop is [`Reactor::turn`].
//!
//! `connections` accepts, reads and writes; `clients` turns messages into requests; `calls` does the same for what
//! gRPC hands over; `replies` sends what the sequencer gives; `fan_out` serves subscribers with what time is left;
//! `drain` ends it all.

mod calls;
mod clients;
mod connections;
mod drain;
mod fan_out;
mod listener;
mod peer;
mod poller;
mod publisher;
mod replies;
mod sessions;
mod slab;
mod snapshots;
mod stages;
mod sync;
#[cfg(test)]
mod tests;
mod updates;
mod venue;
mod wait;

pub use listener::{Listener, Service, keep_alive};
pub use poller::Waker;
pub use publisher::PublishedQuote;
pub use stages::Stages;
pub use sync::SyncThread;

use crate::{
    grpc,
    logging::BoundedLog,
    settings::{Endpoint, Limits},
    venue_link::VenueLink,
};
use bridge_core::{ReasonCode, UtcNanos};
use bridge_journal::RealDisk;
use bridge_sequencer::{Durability, HealthReport, HealthStatus, Sequencer};
use bridge_wire::{
    codec::{Encoder, Incoming},
    limits::DecodeLimits,
    zmtp::ZmtpLimits,
};
use calls::Waiter;
use drain::Phase;
use peer::Peer;
use poller::{Poller, Ready, Source};
use publisher::Publisher;
use slab::{Key, Slab};
use snapshots::Snapshots;
use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use updates::UpdateSubscriptions;
use wait::Hot;

/// The contract version that this engine speaks.
pub const CONTRACT_VERSION: u16 = bridge_wire::CONTRACT_VERSION;

/// How often topics are marked, and what is older than its time is looked for.
const TICK: Duration = Duration::from_secs(1);
/// Longer than gRPC takes from the first bytes of a call to handing it over.
const CALL_EXPECTED: Duration = Duration::from_micros(100);
/// Read at once from one connection; what is left stays ready for the next turn.
const READ_BYTES: usize = 64 << 10;

/// What the reactor is made of.
pub struct Parts {
    /// What other threads wake it with.
    pub waker: Waker,
    /// Bound and listening.
    pub listeners: Vec<Listener>,
    /// Owned from now on.
    pub sequencer: Sequencer<RealDisk>,
    /// Makes records durable.
    pub sync: SyncThread<RealDisk>,
    /// What gRPC hands over.
    pub orders: mpsc::Receiver<grpc::Order>,
    /// Whose connections of gRPC came and went.
    pub grpc_sessions: grpc::SessionBoard,
    /// gRPC connections that are open.
    pub grpc_connections: grpc::ConnectionCount,
    /// The link to an external venue.
    pub venue: Option<VenueLink>,
    /// Bounds.
    pub limits: Limits,
    /// Entries of an order's metadata, as `Welcome` says.
    pub max_metadata_entries: u32,
    /// Updates that can be replayed, as `Welcome` says.
    pub update_history: u32,
    /// Where market data is published, as `Welcome` says.
    pub pub_endpoint: Endpoint,
    /// How long a shutdown may take.
    pub drain: Duration,
    /// Journal bytes between snapshots; 0: none are made.
    pub snapshot_every_bytes: u64,
    /// How long to look for more without sleeping after a request of the fast path.
    pub spin: Duration,
    /// Records when orders pass which stage, where asked to.
    pub stages: Stages,
}

/// See the module's documentation.
pub struct Reactor {
    parts: Parts,
    poller: Poller,
    journal_id: Arc<str>,
    principal: Arc<str>,
    peers: Slab<Peer>,
    waiters: Slab<Waiter>,
    subscriptions: UpdateSubscriptions,
    /// What one subscriber is given; its memory is used again.
    items: VecDeque<grpc::SubscriptionItem>,
    publisher: Publisher,
    encoder: Encoder,
    /// The request that was read last; the next is read into its memory.
    incoming: Incoming,
    decode_limits: DecodeLimits,
    zmtp_limits: ZmtpLimits,
    log: BoundedLog,
    /// Connections with output that was queued in this turn.
    unwritten: Vec<Key>,
    read_buffer: Vec<u8>,
    ready: Vec<Ready>,
    phase: Phase,
    next_tick: Instant,
    /// Times of leases are counted from here.
    started: Instant,
    /// Until then the reactor does not sleep.
    spin_until: Instant,
    /// A call of gRPC has begun to arrive: until then the reactor does not sleep.
    call_expected_until: Option<Instant>,
    /// When this turn began to have something to do: a clock is read once per turn.
    now: Instant,
    /// Engine time of this turn, once something of it has asked.
    utc: Option<UtcNanos>,
    /// Who has sent lately.
    hot: Hot,
    /// When epoll was last asked.
    asked_at: Instant,
    /// Something was read in this turn.
    taken: bool,
    /// Replies depend on syncs: durability `always`.
    syncs_matter: bool,
    /// A sync is running that replies wait for.
    disk_awaited: bool,
    /// A stream of gRPC was full when it was last served.
    streams_blocked: bool,
    /// Fan-out stopped because its budget was spent.
    fan_out_unfinished: bool,
    /// Connections that are opening or ending: their times are watched.
    transient_peers: bool,
    /// Not before.
    look_at_times: Instant,
    /// The sequencer was given something after this turn's end: the next turn must not wait.
    submitted: bool,
    /// Accepting failed: listeners are not watched until the next tick, or they would be ready all the time.
    listeners_muted: bool,
    snapshots: Snapshots,
}

/// Engine time: UTC nanoseconds. The sequencer keeps it from decreasing.
pub fn utc_now() -> UtcNanos {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)
}

impl Reactor {
    /// A reactor that has not turned yet; it stays on the thread that makes it.
    ///
    /// # Errors
    /// The system gives no epoll.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let limits = &parts.limits;
        let bytes = u32::try_from(limits.max_message_bytes).unwrap_or(u32::MAX);
        let orders = u32::try_from(limits.max_batch_orders).unwrap_or(u32::MAX);
        let mut publisher = Publisher::new();
        publisher.notice(ReasonCode::None, "the engine has started");
        let poller = Poller::new(&parts.waker)?;
        for (index, listener) in parts.listeners.iter().enumerate() {
            poller.add(listener, Source::Listener(index as u32), poller::Interest::READ)?;
        }
        Ok(Self {
            poller,
            journal_id: parts.sequencer.journal_id().to_string().into(),
            principal: Arc::from(calls::PRINCIPAL),
            peers: Slab::new(),
            waiters: Slab::new(),
            subscriptions: UpdateSubscriptions::new(),
            items: VecDeque::new(),
            publisher,
            encoder: Encoder::new(),
            incoming: Incoming::new(),
            decode_limits: DecodeLimits { max_message_bytes: bytes, max_batch_orders: orders },
            zmtp_limits: ZmtpLimits {
                max_message_bytes: limits.max_message_bytes,
                pause_input_above_bytes: limits.output_high_water_bytes,
                ..ZmtpLimits::default()
            },
            log: BoundedLog::new(),
            unwritten: Vec::new(),
            read_buffer: vec![0; READ_BYTES],
            ready: Vec::new(),
            phase: Phase::Serving,
            next_tick: Instant::now() + TICK,
            started: Instant::now(),
            spin_until: Instant::now(),
            call_expected_until: None,
            now: Instant::now(),
            utc: None,
            hot: Hot::default(),
            asked_at: Instant::now(),
            taken: false,
            syncs_matter: parts.sequencer.health(0).durability == Durability::Always,
            disk_awaited: false,
            streams_blocked: false,
            fan_out_unfinished: false,
            transient_peers: false,
            look_at_times: Instant::now(),
            submitted: false,
            listeners_muted: false,
            snapshots: Snapshots::new(parts.sequencer.disk().archive_path().to_owned()),
            parts,
        })
    }

    /// Turns until it is told to stop and has drained.
    ///
    /// # Errors
    /// epoll failed, or the journal could not be closed in order.
    pub fn run(mut self) -> Result<(), String> {
        // What opening the journal gave: the opening quotes.
        self.end_turn();
        self.send_outputs();
        while !self.drained() {
            self.turn().map_err(|e| format!("epoll: {e}"))?;
        }
        self.end()
    }

    /// Reads what is ready, executes it, journals it once, and sends what may leave: replies first.
    fn turn(&mut self) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let waited = self.wait(&mut ready);
        for event in &ready {
            self.serve(*event);
        }
        self.ready = ready;
        waited?;
        self.on_time();
        self.end_turn();
        self.send_outputs();
        self.write_unwritten();
        self.fan_out();
        self.write_unwritten();
        if self.phase != Phase::Serving {
            self.advance_drain();
        }
        Ok(())
    }

    fn serve(&mut self, event: Ready) {
        match event.source {
            Source::Waker => {
                let is_expected = self.parts.waker.acknowledge(event.readable);
                let has_come = !self.parts.orders.is_empty();
                self.take_synced();
                self.take_calls();
                self.expect_call(is_expected, has_come);
            }
            Source::Listener(index) => self.accept(index),
            Source::Venue => self.serve_venue(event),
            Source::Peer(key) => self.serve_peer(key, event),
        }
    }

    /// After gRPC woke the reactor: for a call that it has handed over, or for one that is about to come.
    fn expect_call(&mut self, is_expected: bool, has_come: bool) {
        if has_come {
            if self.call_expected_until.take().is_some() {
                self.parts.waker.expecting.paid();
            }
        } else if is_expected {
            self.call_expected_until = Some(Instant::now() + CALL_EXPECTED);
        }
    }

    fn end_turn(&mut self) {
        self.submitted = false;
        if let Some(job) = self.parts.sequencer.end_turn() {
            self.parts.sync.submit(job);
            self.disk_awaited = self.syncs_matter;
        }
        self.parts.stages.journaled();
    }

    fn take_synced(&mut self) {
        while let Some(result) = self.parts.sync.finished() {
            self.disk_awaited = false;
            self.parts.sequencer.synced(result);
            self.parts.stages.journaled();
            if let Some(reason) = self.parts.sequencer.failed() {
                tracing::error!(reason, "the journal failed: nothing more is acknowledged");
            }
        }
    }

    /// Timers: acknowledgements of an external venue, marks of topics, connections that take too long.
    fn on_time(&mut self) {
        if let Some(deadline) = self.parts.sequencer.next_deadline() {
            let now = self.utc();
            if deadline <= now {
                self.parts.sequencer.on_time(now);
            }
        }
        self.expire_leases();
        self.venue_on_time();
        let now = self.now;
        if self.transient_peers && now >= self.look_at_times {
            self.end_what_takes_too_long(now);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.publisher.mark();
            self.serve_snapshots();
            self.release_quiet_memory();
            self.subscriptions.drop_closed_streams();
            if std::mem::take(&mut self.listeners_muted) {
                self.watch_listeners(poller::Interest::READ);
            }
        }
    }

    /// Engine time of this turn.
    fn utc(&mut self) -> UtcNanos {
        *self.utc.get_or_insert_with(utc_now)
    }

    /// Health as of now; an engine that drains does not serve.
    fn health(&self) -> HealthReport {
        let mut report = self.parts.sequencer.health(utc_now());
        report.counters.extend(self.snapshots.named());
        if self.phase != Phase::Serving {
            report.status = HealthStatus::NotServing;
            report.message = "the engine is shutting down".to_owned();
        }
        report
    }
}
