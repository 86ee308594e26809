//! The gRPC path: tonic on a thread of its own; commands go to the reactor through a bounded queue.

mod accept;
mod caller;
mod conversion;
mod gateway;
mod health;
mod refusing;
mod service;
mod status;
mod streams;

pub use accept::{ConnectionCount, connections};
pub use caller::is_session_id;
pub use gateway::{Answer, Gateway, Order, SubscriptionItem};
pub use service::{Identity, Service};

use crate::{failure::Failure, proto};
use health::HealthService;
use proto::execution_service_server::ExecutionServiceServer;
use refusing::Refusing;
use std::{net::TcpListener, thread, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;

/// What the gRPC thread needs.
pub struct GrpcSettings {
    /// Bound and listening.
    pub listener: TcpListener,
    /// Connections at a time.
    pub connections: ConnectionCount,
    /// Bytes of one message.
    pub max_message_bytes: usize,
    /// How long a connection may take to say that it speaks HTTP/2.
    pub handshake: Duration,
    /// How long open calls may take once the engine drains.
    pub drain: Duration,
}

/// The gRPC thread, and how to end it.
pub struct GrpcThread {
    thread: thread::JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl GrpcThread {
    /// Serves on a thread of its own, which also turns SIGTERM and SIGINT into an order to the reactor.
    ///
    /// # Errors
    /// The runtime cannot be made, or the descriptors for reflection cannot be read.
    pub fn start(settings: GrpcSettings, service: Service) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel();
        let signals = {
            let _inside = runtime.enter();
            [SignalKind::terminate(), SignalKind::interrupt()].map(signal)
        };
        let [Ok(terminate), Ok(interrupt)] = signals else {
            return Err(Failure::broken("cannot listen for SIGTERM and SIGINT"));
        };
        runtime.spawn(forward_signals(terminate, interrupt, service.gateway.clone()));
        let thread = thread::Builder::new().name("grpc".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(settings, service, stopped)) {
                tracing::error!(%error, "the gRPC server failed");
            }
        });
        Ok(Self { thread: thread.map_err(|e| Failure::broken(format!("cannot start the gRPC thread: {e}")))?, stop })
    }

    /// Finishes open calls and ends the thread.
    pub fn stop(self) {
        // Either may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// A runtime of one thread: two cores are shared with the reactor and the clients.
///
/// # Errors
/// The system refuses.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::broken(format!("cannot start the gRPC runtime: {e}")))
}

async fn forward_signals(mut terminate: Signal, mut interrupt: Signal, gateway: Gateway) {
    loop {
        let received = tokio::select! {
            received = terminate.recv() => received,
            received = interrupt.recv() => received,
        };
        if received.is_none() || gateway.send(Order::Stop).await.is_err() {
            return;
        }
    }
}

async fn serve(
    settings: GrpcSettings,
    service: Service,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let size = settings.max_message_bytes;
    let execution = ExecutionServiceServer::new(service.clone()).max_decoding_message_size(size);
    let health = HealthServer::new(HealthService::new(service));
    let listener = tokio::net::TcpListener::from_std(settings.listener)?;
    let (ending, mut ended) = oneshot::channel::<()>();
    let server = Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(Refusing(execution))
        .add_service(health)
        .add_service(reflection.build_v1alpha()?)
        .add_service(reflection_v1()?)
        .serve_with_incoming_shutdown(connections(listener, &settings.connections, settings.handshake), async move {
            // Dropped or sent: both end the server.
            let _ = stopped.await;
            drop(ending);
        });
    tokio::pin!(server);
    tokio::select! {
        result = &mut server => return Ok(result?),
        _ = &mut ended => {}
    }
    // Streams have been ended by the reactor; a peer that does not read them must not hold the engine up.
    if tokio::time::timeout(settings.drain, server).await.is_err() {
        tracing::warn!("gRPC peers did not close in time");
    }
    Ok(())
}

/// Calls and streams of one connection at a time; more wait at the client.
const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;

// h2 ends a connection (ENHANCE_YOUR_CALM, too_many_data_frames) whose unread DATA frames are many and small: each
// counts as 256 bytes less its payload, against half of the connection's window. A client that streams small orders
// while their stream waits for its window of replies has done nothing wrong, and loses all its calls. So the streams'
// windows are small, which bounds the frames that can be unread, and the connection's is as large as all of them need.

/// Bytes of one stream that may be unread; larger messages are read in several goes.
const STREAM_WINDOW_BYTES: u32 = 16 << 10;
/// No message of gRPC is shorter than its prefix.
const SMALLEST_FRAME_BYTES: u32 = 5;
/// What h2 counts for a frame of no bytes.
const FRAME_OVERHEAD_BYTES: u32 = 256;
/// What the smallest frames that fill a stream's window cost.
const STREAM_OVERHEAD_BYTES: u32 = STREAM_WINDOW_BYTES.div_ceil(SMALLEST_FRAME_BYTES) * FRAME_OVERHEAD_BYTES;
/// Twice what all streams of a connection can cost at once. Memory is bounded by the streams' windows.
const CONNECTION_WINDOW_BYTES: u32 = 2 * MAX_STREAMS_PER_CONNECTION * STREAM_OVERHEAD_BYTES;
const _: () = assert!(CONNECTION_WINDOW_BYTES < 1 << 31, "HTTP/2 knows no larger window");

/// A peer whose machine has gone is found by a ping that it does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

fn reflection_v1() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    Box<dyn std::error::Error>,
> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?)
}
