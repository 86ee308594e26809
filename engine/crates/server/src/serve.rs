//! `serve`: puts the engine together, prints the ready line, and waits for its end.

use crate::{
    failure::Failure,
    grpc::{ConnectionCount, Gateway, GrpcSettings, GrpcThread, Identity, Traffic},
    logging,
    reactor::{Listener, Parts, Reactor, Service, Stages, SyncThread, Waker, utc_now},
    settings::{Endpoint, Settings, VenueSettings},
    venue_link::VenueLink,
};
use bridge_journal::RealDisk;
use bridge_sequencer::{Durability, OpenError, Options, Sequencer, VenueKind};
use serde_json::json;
use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    panic, process, thread,
    time::Duration,
};

/// Threads without which the engine must not go on: the reactor is the first of the process.
const VITAL_THREADS: [&str; 2] = ["main", "journal-sync"];

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// What keeps it from starting (exit code 2; 3 for a damaged journal), or broke while it ran.
pub fn serve(settings: Settings) -> Result<(), Failure> {
    logging::start();
    end_with_vital_threads();
    let sequencer = open(&settings)?;
    let sockets = Sockets::bind(&settings)?;
    let ready = sockets.ready_line(&sequencer);
    let broken = |what: &str, e: std::io::Error| Failure::broken(format!("cannot make {what}: {e}"));
    let waker = Waker::new().map_err(|e| broken("an eventfd", e))?;
    let (gateway, orders) = Gateway::new(settings.limits.grpc_queue, waker.clone(), traffic(&settings));
    let identity = Identity::new(&sequencer.journal_id().to_string(), sequencer.epoch());
    let connections = ConnectionCount::new(settings.limits.max_grpc_connections);
    let stages = Stages::new(settings.stage_times.as_deref());
    let stages = stages.map_err(|e| Failure::setup(format!("stage-times: {e}")))?;
    let drain = Duration::from_millis(settings.drain_ms);
    let parts = Parts {
        sync: SyncThread::start(waker.clone())?,
        waker,
        listeners: sockets.listeners,
        sequencer,
        orders,
        grpc_sessions: gateway.sessions.clone(),
        grpc_connections: connections.clone(),
        venue: venue_link(&settings),
        limits: settings.limits.clone(),
        spin: Duration::from_micros(settings.spin_us),
        stages,
        max_metadata_entries: settings.configuration.max_metadata_entries,
        update_history: settings.configuration.update_history,
        pub_endpoint: sockets.publish,
        drain,
        snapshot_every_bytes: settings.snapshot_every_bytes,
    };
    let service = service(&settings, gateway, identity);
    let grpc = GrpcSettings {
        listener: sockets.grpc,
        connections,
        max_message_bytes: settings.limits.max_message_bytes,
        handshake: Duration::from_millis(settings.limits.handshake_timeout_ms),
        drain,
    };
    let grpc = GrpcThread::start(grpc, service)?;
    // On the first thread: its heap grows by the hundred kilobytes, that of any other by the page, a system call each.
    let reactor = Reactor::new(parts).map_err(|e| broken("an epoll", e))?;
    // Here and not before: the sync thread and tokio's must not inherit it.
    if let Some(core) = settings.pin_core {
        core.keep_this_thread().map_err(|e| Failure::broken(format!("pin_core: {e}")))?;
    }
    announce(&ready)?;
    let result = reactor.run();
    grpc.stop();
    result.map_err(|reason| Failure::broken(format!("ended without closing the journal in order: {reason}")))
}

/// A panic of a vital thread ends the process at once: nothing is acknowledged by an engine that is half there.
fn end_with_vital_threads() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        if thread::current().name().is_some_and(|name| VITAL_THREADS.contains(&name)) {
            process::abort();
        }
    }));
}

fn open(settings: &Settings) -> Result<Sequencer<RealDisk>, Failure> {
    let directory = settings.data_dir.display();
    let disk = RealDisk::open(&settings.data_dir).map_err(|e| Failure::setup(format!("data-dir {directory}: {e}")))?;
    let disk = match &settings.archive_dir {
        Some(archive) => disk.with_archive(archive.clone()),
        None => disk,
    };
    let limits = &settings.limits;
    let options = Options {
        durability: settings.durability,
        segment_bytes: settings.segment_bytes,
        max_batch_orders: limits.max_batch_orders,
        max_parked_outputs: limits.max_parked,
        update_lag: limits.update_backlog,
        venue: match settings.venue {
            VenueSettings::Embedded => VenueKind::Embedded,
            VenueSettings::External { ack_timeout_ms, .. } => VenueKind::External { ack_timeout_ms },
        },
        ..Options::default()
    };
    let opened = Sequencer::open(disk, options, settings.configuration.clone(), utc_now());
    let (sequencer, opened) = opened.map_err(|error| match error {
        // The core's message names the field by its path, and begins with `configuration`.
        OpenError::Configuration(message) => Failure::setup(message),
        OpenError::OtherVenue { .. } => Failure::setup(error.to_string()),
        _ => Failure::damage(format!("data-dir {directory}: {error}")),
    })?;
    for reason in &opened.unusable_snapshots {
        tracing::warn!(
            reason,
            "a snapshot cannot be used; the start went on from an older one, or from the first record"
        );
    }
    if opened.cut_bytes > 0 {
        tracing::warn!(
            bytes = opened.cut_bytes,
            "cut a torn tail off the journal: unsynced writes; with durability os, orders acknowledged just before \
             the machine was lost may have been among them"
        );
    }
    tracing::info!(
        records = opened.records,
        last_seq = opened.last_seq,
        snapshot_seq = opened.snapshot_seq,
        epoch = sequencer.epoch(),
        "journal recovered"
    );
    Ok(sequencer)
}

/// All that listens.
struct Sockets {
    listeners: Vec<Listener>,
    zmq: Vec<Endpoint>,
    publish: Endpoint,
    grpc: TcpListener,
    grpc_address: SocketAddr,
}

impl Sockets {
    fn bind(settings: &Settings) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        let mut zmq = Vec::new();
        for endpoint in &settings.zmq {
            let (listener, bound) = Listener::bind(endpoint, Service::Requests)?;
            listeners.push(listener);
            zmq.push(bound);
        }
        let (listener, publish) = Listener::bind(&settings.publish, Service::Publications)?;
        listeners.push(listener);
        let cannot = |e| Failure::setup(format!("cannot listen on {} (grpc): {e}", settings.grpc));
        let grpc = TcpListener::bind(settings.grpc).map_err(cannot)?;
        grpc.set_nonblocking(true).map_err(cannot)?;
        let grpc_address = grpc.local_addr().map_err(cannot)?;
        Ok(Self { listeners, zmq, publish, grpc, grpc_address })
    }

    fn ready_line(&self, sequencer: &Sequencer<RealDisk>) -> serde_json::Value {
        json!({
            "event": "ready",
            "zmq": self.zmq.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "pub": self.publish.to_string(),
            "grpc": self.grpc_address.to_string(),
            "pid": process::id(),
            "journal_id": sequencer.journal_id().to_string(),
            "epoch": sequencer.epoch(),
        })
    }
}

fn venue_link(settings: &Settings) -> Option<VenueLink> {
    match &settings.venue {
        VenueSettings::Embedded => None,
        VenueSettings::External { path, .. } => Some(VenueLink::new(path.clone())),
    }
}

/// A sync or another process stands between an order and its reply: then nobody waits awake.
fn traffic(settings: &Settings) -> Traffic {
    Traffic::new(settings.durability == Durability::Os && settings.venue == VenueSettings::Embedded)
}

fn service(settings: &Settings, gateway: Gateway, identity: Identity) -> crate::grpc::Service {
    let limits = &settings.limits;
    crate::grpc::Service {
        gateway,
        identity,
        stream_window: limits.stream_window,
        update_channel: limits.update_backlog.min(UPDATE_CHANNEL),
        market_data_backlog: limits.market_data_backlog,
        symbols: settings.configuration.instruments.iter().map(|known| known.symbol.as_str().into()).collect(),
    }
}

/// Updates in a stream's channel; what waits beyond waits in the reactor's queue, whose bound is `update_backlog`.
const UPDATE_CHANNEL: usize = 256;

/// Scripts wait for this line.
fn announce(ready: &serde_json::Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{ready}").and_then(|()| out.flush());
    written.map_err(|e| Failure::broken(format!("cannot write the ready line: {e}")))
}
