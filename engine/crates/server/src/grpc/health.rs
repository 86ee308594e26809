//! `grpc.health.v1.Health`, with journal sequence, state hash and epoch on the headers of each answer.

use super::service::{Identity, Service, name_session};
use crate::proto::execution_service_server::SERVICE_NAME;
use bridge_sequencer::{HealthReport, HealthStatus};
use bridge_wire::limits::is_session_id;
use std::{pin::Pin, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

/// How often a watched status is looked at again.
const WATCH_PERIOD: Duration = Duration::from_millis(250);

/// The standard health service.
pub struct HealthService {
    service: Service,
}

impl HealthService {
    /// Health of the engine behind this service.
    pub fn new(service: Service) -> Self {
        Self { service }
    }
}

/// A response with the headers that health carries (WIRE.md section 2).
pub fn with_headers<T>(identity: &Identity, report: &HealthReport, message: T) -> Response<T> {
    let mut response = identity.response(message);
    let headers = response.metadata_mut();
    headers.insert("x-journal-seq", report.journal_seq.into());
    if let Ok(hash) = format!("{:032x}", report.state_hash).parse() {
        headers.insert("x-state-hash", hash);
    }
    response
}

fn known(service: &str) -> bool {
    service.is_empty() || service == SERVICE_NAME
}

/// The standard has no word for DEGRADED: such an engine serves.
fn status_of(report: &HealthReport) -> HealthCheckResponse {
    let status = match report.status {
        HealthStatus::Serving | HealthStatus::Degraded => ServingStatus::Serving,
        HealthStatus::NotServing => ServingStatus::NotServing,
    };
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = &request.get_ref().service;
        if !known(name) {
            return Err(Status::not_found(format!("no service {name:?} here")));
        }
        name_session_of(&request)?;
        let report = self.service.health().await?;
        Ok(with_headers(&self.service.identity, &report, status_of(&report)))
    }

    async fn watch(&self, request: tonic::Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        name_session_of(&request)?;
        let report = self.service.health().await?;
        let first = match known(&request.get_ref().service) {
            true => status_of(&report),
            false => HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() },
        };
        let (changes, stream) = mpsc::channel(1);
        tokio::spawn(watch(self.service.clone(), first, changes));
        let stream: Self::WatchStream = Box::pin(ReceiverStream::new(stream));
        Ok(with_headers(&self.service.identity, &report, stream))
    }
}

/// A path that only stands by is a connection of its session too.
pub fn name_session_of<T>(request: &tonic::Request<T>) -> Result<(), Status> {
    let session_id = request.metadata().get("x-session-id").and_then(|value| value.to_str().ok());
    match session_id.filter(|session_id| is_session_id(session_id)) {
        Some(session_id) => name_session(request, &session_id.into()),
        None => Ok(()),
    }
}

/// Sends the status, and again whenever it has changed, until the caller or the engine goes.
async fn watch(
    service: Service,
    first: HealthCheckResponse,
    changes: mpsc::Sender<Result<HealthCheckResponse, Status>>,
) {
    let mut last = first;
    let unknown = last.status == i32::from(ServingStatus::ServiceUnknown);
    if changes.send(Ok(last)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = changes.closed() => return,
            () = tokio::time::sleep(WATCH_PERIOD) => {}
        }
        let now = match service.health().await {
            // The name stays unknown however the engine is.
            Ok(_) if unknown => continue,
            Ok(report) => status_of(&report),
            // Draining or gone: say so, then end.
            Err(status) => {
                let _ = changes.send(Ok(HealthCheckResponse { status: ServingStatus::NotServing.into() })).await;
                let _ = changes.send(Err(status)).await;
                return;
            }
        };
        if now != last && changes.send(Ok(now)).await.is_err() {
            return;
        }
        last = now;
    }
}
