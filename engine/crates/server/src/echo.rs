//! A bare tonic server that answers every `ExecuteOrder` with one canned reply: what gRPC itself costs, for `bench/`.

mod service;

use crate::{failure::Failure, grpc, proto::execution_service_server::ExecutionServiceServer, settings};
use service::Echo;
use std::time::Duration;

/// As the engine's default.
const MAX_CONNECTIONS: usize = 256;
/// As the engine's default.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Serves until it is killed; prints a ready line like `serve`'s.
///
/// # Errors
/// The address is no loopback address, or taken.
pub fn serve(address: &str) -> Result<(), Failure> {
    let address = settings::parse_address("grpc", address)?;
    let runtime = grpc::http2::runtime().map_err(|e| Failure::broken(format!("cannot start a runtime: {e}")))?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|e| Failure::setup(format!("grpc: cannot listen on {address}: {e}")))?;
        let bound = listener.local_addr().map_err(|e| Failure::broken(e.to_string()))?;
        println!("{}", serde_json::json!({"event": "ready", "grpc": bound.to_string(), "pid": std::process::id()}));
        let connections = grpc::connections(listener, &grpc::ConnectionCount::new(MAX_CONNECTIONS), HANDSHAKE, None);
        let server = grpc::http2::server().add_service(ExecutionServiceServer::new(Echo::default()));
        server.serve_with_incoming(connections).await.map_err(|e| Failure::broken(format!("the echo failed: {e}")))
    })
}
