//! The gRPC path: tonic on a thread of its own; commands go to the reactor through a bounded queue.

mod accept;
mod arriving;
mod caller;
mod conversion;
mod gateway;
mod health;
pub mod http2;
mod refusing;
mod service;
mod sessions;
mod status;
mod streams;
mod waiting;

pub use accept::{ConnectionCount, connections};
pub use gateway::{Answer, Gateway, Order, SubscriptionItem};
pub use service::{Identity, Service};
pub use sessions::{SessionBoard, SessionNews};
pub use waiting::{Traffic, Worth};

use crate::{failure::Failure, proto};
use arriving::Room;
use health::HealthService;
use proto::execution_service_server::ExecutionServiceServer;
use refusing::Refusing;
use std::{net::TcpListener, thread, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
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
        let runtime = http2::runtime().map_err(|e| Failure::broken(format!("cannot start the gRPC runtime: {e}")))?;
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
    let announced = service.gateway.clone();
    let execution = ExecutionServiceServer::new(service.clone()).max_decoding_message_size(size);
    let health = HealthServer::new(HealthService::new(service));
    let listener = tokio::net::TcpListener::from_std(settings.listener)?;
    let (ending, mut ended) = oneshot::channel::<()>();
    let server = http2::server()
        .add_service(Refusing { service: execution, room: Room::new(size) })
        .add_service(health)
        .add_service(reflection.build_v1alpha()?)
        .add_service(reflection_v1()?)
        .serve_with_incoming_shutdown(
            connections(listener, &settings.connections, settings.handshake, Some(announced)),
            async move {
                // Dropped or sent: both end the server.
                let _ = stopped.await;
                drop(ending);
            },
        );
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

fn reflection_v1() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    Box<dyn std::error::Error>,
> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?)
}
