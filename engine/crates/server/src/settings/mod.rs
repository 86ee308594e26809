//! What the engine is told: file first, command line over it, defaults under both.

mod core;
mod endpoint;
mod file;
mod instruments;
mod risk;

pub use core::Core;
pub use endpoint::{Endpoint, parse_address};

use crate::{cli::ServeArguments, failure::Failure};
use bridge_core::Configuration;
use bridge_sequencer::Durability;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

/// Where orders are executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VenueSettings {
    /// The simulated exchange, inside the turn.
    Embedded,
    /// Another process behind a Unix socket (docs/venue-protocol.md).
    External {
        /// The venue's socket.
        path: PathBuf,
        /// After this long without a report, a call is answered PENDING.
        ack_timeout_ms: u64,
    },
}

/// Bounds on all that strangers can make grow (invariant 10).
///
/// A connection of the fast path that is idle costs less than a kilobyte beside its socket (4,000 of them: 0.4 MB):
/// the handshake's 64 KiB go when it is done, and buffers are given back after a second or two without input. One
/// that is busy holds at most `max_message_bytes` and 64 KiB of input and `max_output_bytes` of output, and keeps
/// 256 KiB of each between messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// ZeroMQ connections, requests and subscribers together.
    pub max_connections: usize,
    /// gRPC connections.
    pub max_grpc_connections: usize,
    /// Bytes of one message, either path.
    pub max_message_bytes: usize,
    /// Orders of one `ExecuteBatch`.
    pub max_batch_orders: usize,
    /// Requests of one connection that are not answered yet.
    pub max_in_flight: usize,
    /// Outputs waiting for the disk, all connections together.
    pub max_parked: usize,
    /// Commands from gRPC that the reactor has not taken yet.
    pub grpc_queue: usize,
    /// Orders of one gRPC stream that are not answered yet.
    pub stream_window: usize,
    /// Bytes that wait for a connection to read them; above, it is closed.
    pub max_output_bytes: usize,
    /// Bytes that wait above which fan-out passes a connection over, and its requests are not read.
    pub output_high_water_bytes: usize,
    /// Live updates that one subscriber may lag behind before it is cut off.
    pub update_backlog: usize,
    /// Market data messages of one gRPC subscriber that wait; more are lost whole.
    pub market_data_backlog: usize,
    /// Update subscriptions of one connection, and of all gRPC clients together 64 times that.
    pub max_subscriptions: usize,
    /// How long a connection may take to become a ZMTP peer and say Hello.
    pub handshake_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_grpc_connections: 256,
            max_message_bytes: 4 << 20,
            max_batch_orders: 1_000,
            max_in_flight: 1_024,
            max_parked: 200_000,
            grpc_queue: 4_096,
            stream_window: 256,
            max_output_bytes: 32 << 20,
            output_high_water_bytes: 1 << 20,
            update_backlog: 16_384,
            market_data_backlog: 1_024,
            max_subscriptions: 16,
            handshake_timeout_ms: 5_000,
        }
    }
}

impl Limits {
    /// Every bound must allow something, or nothing works and nobody sees why.
    fn check(&self) -> Result<(), Failure> {
        let bounds = [
            ("max_connections", self.max_connections, 1, 65_536),
            ("max_grpc_connections", self.max_grpc_connections, 1, 65_536),
            ("max_message_bytes", self.max_message_bytes, 1_024, 64 << 20),
            ("max_batch_orders", self.max_batch_orders, 1, 100_000),
            ("max_in_flight", self.max_in_flight, 1, 1 << 20),
            ("max_parked", self.max_parked, 1, 1 << 24),
            ("grpc_queue", self.grpc_queue, 1, 1 << 20),
            ("stream_window", self.stream_window, 1, 1 << 20),
            ("max_output_bytes", self.max_output_bytes, 1 << 16, 1 << 30),
            ("output_high_water_bytes", self.output_high_water_bytes, 4_096, 1 << 30),
            ("update_backlog", self.update_backlog, 1, 1 << 24),
            ("market_data_backlog", self.market_data_backlog, 1, 1 << 20),
            ("max_subscriptions", self.max_subscriptions, 1, 65_536),
            ("handshake_timeout_ms", self.handshake_timeout_ms as usize, 10, 600_000),
        ];
        match bounds.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            None => Ok(()),
            Some((name, value, least, most)) => {
                Err(Failure::setup(format!("limits.{name}: {value} is not within {least} to {most}")))
            }
        }
    }
}

/// All that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests are served.
    pub zmq: Vec<Endpoint>,
    /// Where market data and notices are published.
    pub publish: Endpoint,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// When a record counts as durable.
    pub durability: Durability,
    /// Bytes of one journal segment.
    pub segment_bytes: u64,
    /// Journal bytes between snapshots; 0: none are made.
    pub snapshot_every_bytes: u64,
    /// Where segments go that no start needs; `None`: the folder `archive` in the data directory.
    pub archive_dir: Option<PathBuf>,
    /// How long a shutdown may wait for peers to read and close.
    pub drain_ms: u64,
    /// How long the reactor looks for more without sleeping after a request of the fast path; 0 is never.
    pub spin_us: u64,
    /// The core that the reactor's thread stays on.
    pub pin_core: Option<Core>,
    /// Where the times of each order are written at the end.
    pub stage_times: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// What `apply` reads; journaled.
    pub configuration: Configuration,
    /// Where orders are executed.
    pub venue: VenueSettings,
}

/// Settings of the file, the command line over them.
///
/// # Errors
/// One line that names the setting.
pub fn load(arguments: &ServeArguments) -> Result<Settings, Failure> {
    let file = match &arguments.config {
        Some(path) => file::read(path)?,
        None => file::File::default(),
    };
    let zmq = if arguments.zmq.is_empty() { &file.zmq } else { &arguments.zmq };
    if zmq.is_empty() {
        return Err(missing("zmq"));
    }
    let publish = arguments.publish.as_ref().or(file.publish.as_ref()).ok_or_else(|| missing("pub"))?;
    let grpc = arguments.grpc.as_ref().or(file.grpc.as_ref()).ok_or_else(|| missing("grpc"))?;
    let data_dir = arguments.data_dir.clone().or(file.data_dir).ok_or_else(|| missing("data-dir"))?;
    let durability = arguments.durability.as_ref().or(file.durability.as_ref());
    file.limits.check()?;
    Ok(Settings {
        zmq: zmq.iter().map(|text| Endpoint::parse("zmq", text)).collect::<Result<_, _>>()?,
        publish: Endpoint::parse("pub", publish)?,
        grpc: parse_address("grpc", grpc)?,
        data_dir,
        durability: durability_of(durability.map_or("always", String::as_str))?,
        segment_bytes: segment_bytes_of(file.journal.segment_bytes)?,
        snapshot_every_bytes: arguments
            .snapshot_every_bytes
            .or(file.journal.snapshot_every_bytes)
            .unwrap_or(DEFAULT_SNAPSHOT_EVERY_BYTES),
        archive_dir: arguments.archive_dir.clone().or(file.journal.archive_dir),
        drain_ms: file.drain_ms.unwrap_or(DEFAULT_DRAIN_MS),
        pin_core: arguments.pin_core.or(file.pin_core).map(Core::among_ours).transpose()?,
        stage_times: arguments.stage_times.clone(),
        spin_us: spin_us_of(arguments.spin_us.or(file.spin_us))?,
        configuration: instruments::configuration(file.instruments, &file.orders, &file.risk)?,
        venue: venue_of(&file.venue)?,
        limits: file.limits,
    })
}

/// Long enough for a client in the same data centre to read what it is owed and to close.
const DEFAULT_DRAIN_MS: u64 = 2_000;
/// Some fifty thousand orders a segment: a snapshot stands at the end of one, and a start reads what comes after; the price is one preallocated segment ahead.
const DEFAULT_SEGMENT_BYTES: u64 = 16 << 20;
/// What a start reads besides a snapshot: half a second's worth. A snapshot of a million orders costs some seconds of
/// a core and the memory that they take.
const DEFAULT_SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;
/// After this long without a report of an external venue, a call is answered PENDING.
const DEFAULT_ACK_TIMEOUT_MS: u64 = 1_000;

/// Outlasts the turn-around of a Python client that sends one order after the other (measured on two cores: a round
/// trip in half to a fifth of the time without; `make bench`).
const DEFAULT_SPIN_US: u64 = 200;
/// More would be a core that never sleeps.
const MOST_SPIN_US: u64 = 10_000;

fn spin_us_of(given: Option<u64>) -> Result<u64, Failure> {
    match given.unwrap_or(DEFAULT_SPIN_US) {
        spin_us @ 0..=MOST_SPIN_US => Ok(spin_us),
        other => Err(Failure::setup(format!("spin_us: {other} is not within 0 to {MOST_SPIN_US}"))),
    }
}

fn missing(setting: &str) -> Failure {
    Failure::setup(format!("--{setting} is not given, neither on the command line nor in the configuration"))
}

fn durability_of(text: &str) -> Result<Durability, Failure> {
    match text {
        "always" => Ok(Durability::Always),
        "os" => Ok(Durability::Os),
        other => Err(Failure::setup(format!("durability: {other:?} is neither \"always\" nor \"os\""))),
    }
}

fn segment_bytes_of(given: Option<u64>) -> Result<u64, Failure> {
    let bytes = given.unwrap_or(DEFAULT_SEGMENT_BYTES);
    if (1 << 16..=1 << 32).contains(&bytes) {
        return Ok(bytes);
    }
    Err(Failure::setup(format!("journal.segment_bytes: {bytes} is not within 65536 (64 KiB) to 4294967296 (4 GiB)")))
}

fn venue_of(section: &file::VenueSection) -> Result<VenueSettings, Failure> {
    match section.kind.as_deref().unwrap_or("embedded") {
        "embedded" => Ok(VenueSettings::Embedded),
        "external" => {
            let endpoint = section.endpoint.as_deref().unwrap_or_default();
            let Endpoint::Ipc(path) = Endpoint::parse("venue.endpoint", endpoint)? else {
                return Err(Failure::setup(format!("venue.endpoint: {endpoint:?} is no ipc://PATH")));
            };
            let ack_timeout_ms = section.ack_timeout_ms.unwrap_or(DEFAULT_ACK_TIMEOUT_MS);
            Ok(VenueSettings::External { path, ack_timeout_ms })
        }
        other => Err(Failure::setup(format!("venue.kind: {other:?} is neither \"embedded\" nor \"external\""))),
    }
}
