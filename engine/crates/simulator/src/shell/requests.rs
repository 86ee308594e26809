//! Messages of clients: connections, Hello, and requests (`reactor/clients`, `reactor/calls`, `grpc/caller`).

use super::Shell;
use super::connections::{Path, Said};
use super::replies::Waiter;
use bridge_core::{Command, ReasonCode, Rejection, SetCancelOnDisconnect, UtcNanos};
use bridge_sequencer::{self as sequencer, HealthReport, HealthStatus, Origin, Request, Token};
use bridge_wire::codec::{ClientMessage, HealthReply, Hello, ServingStatus, Subscribe, Welcome, decode_request};
use bridge_wire::limits::is_session_id;
use bridge_wire::{CONTRACT_VERSION, DEFAULT_ACCOUNT, PROTOCOL_VERSION};
use std::sync::Arc;

/// Without authentication every client is this principal.
const PRINCIPAL: &str = "local";
/// Streams of all gRPC clients together, for each that one connection of the fast path may have.
const GRPC_STREAMS: usize = 64;

impl Shell {
    /// A connection; its number.
    pub fn connect(&mut self, path: Path, session_id: &str) -> u64 {
        let of_calls = || origin(sequencer::Path::Grpc, session_id);
        self.connections.add(path, (path == Path::Grpc).then(of_calls))
    }

    /// It is gone.
    pub fn disconnect(&mut self, connection: u64) {
        self.subscriptions.retain(|_, subscription| subscription.connection != connection);
        if let Some(session_id) = self.connections.remove(connection) {
            self.session_disconnected(&session_id);
        }
    }

    /// Whether the client reads.
    pub fn set_reading(&mut self, connection: u64, is_reading: bool) {
        if let Some(connection) = self.connections.any_mut(connection) {
            connection.is_reading = is_reading;
        }
    }

    /// What has left since the last call.
    pub fn take_outputs(&mut self) -> Said {
        let (taken, ended) = self.connections.take();
        for session_id in ended {
            self.session_disconnected(&session_id);
        }
        taken
    }

    /// One message of a client. It waits while too much of what was said to the client is unread.
    pub fn receive(&mut self, connection: u64, bytes: &[u8], now: UtcNanos) {
        let high_water = self.limits.output_high_water_bytes;
        match self.connections.get_mut(connection) {
            None => {}
            Some(peer) if peer.unread_bytes >= high_water || !peer.waiting.is_empty() => {
                peer.waiting.push_back(bytes.to_vec());
            }
            Some(_) => self.take_message(connection, bytes, now),
        }
    }

    /// Reads what waited for room, where there is some now.
    pub(super) fn receive_waiting(&mut self, now: UtcNanos) {
        let high_water = self.limits.output_high_water_bytes;
        for connection in self.connections.numbers() {
            while let Some(peer) = self.connections.get_mut(connection)
                && peer.unread_bytes < high_water
                && let Some(bytes) = peer.waiting.pop_front()
            {
                self.take_message(connection, &bytes, now);
            }
        }
    }

    fn take_message(&mut self, connection: u64, bytes: &[u8], now: UtcNanos) {
        let envelope = match decode_request(bytes, &self.decode_limits) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.refuse(connection, error.correlation, &error.rejection);
                if error.rejection.code == ReasonCode::MessageTooLarge {
                    self.end_too_large(connection);
                }
                return;
            }
        };
        let Some(peer) = self.connections.get(connection) else { return };
        let (path, greeted, correlation) = (peer.path, peer.origin.is_some(), envelope.correlation);
        match (path, &envelope.body) {
            (Path::Zmq, ClientMessage::Hello(hello)) => return self.hello(connection, correlation, hello),
            (Path::Grpc, ClientMessage::Hello(_)) => {
                let rejection = Rejection::new(ReasonCode::MalformedMessage, "", "gRPC has no Hello");
                return self.refuse(connection, correlation, &rejection);
            }
            _ if !greeted => {
                let message = "say Hello first: it names the protocol version and the session";
                return self.refuse(connection, correlation, &Rejection::new(ReasonCode::HelloRequired, "", message));
            }
            _ => {}
        }
        let named = envelope.journal_id;
        let must_name = match path {
            Path::Zmq => envelope.body.changes_state(),
            Path::Grpc => false,
        };
        let is_exempt = path == Path::Grpc && envelope.body == ClientMessage::Health;
        if *named != *self.journal_id && (!named.is_empty() || must_name) && !is_exempt {
            return self.refuse_journal(connection, correlation, named);
        }
        self.take_request(connection, correlation, envelope.body, now);
    }

    /// ZMTP ends a connection over a frame that is too large; to gRPC it is one call.
    fn end_too_large(&mut self, connection: u64) {
        if self.connections.get(connection).is_some_and(|peer| peer.path == Path::Zmq) {
            self.end_connection(connection);
        }
    }

    fn take_request(&mut self, connection: u64, correlation: u64, body: ClientMessage, now: UtcNanos) {
        let Some(peer) = self.connections.get(connection) else { return };
        let (path, in_flight) = (peer.path, peer.in_flight);
        if path == Path::Grpc && !peer.origin.as_ref().is_some_and(|origin| is_session_id(&origin.session_id)) {
            let message = "x-session-id must be printable ASCII of at most 64 bytes";
            let rejection = Rejection::new(ReasonCode::MalformedMessage, "x-session-id", message);
            return self.refuse(connection, correlation, &rejection);
        }
        // gRPC's connections have the sessions that their calls name.
        if let Some(session_id) = peer.origin.as_ref().map(|origin| origin.session_id.clone())
            && peer.session.is_none()
        {
            self.name_session(connection, &session_id);
        }
        let Some(peer) = self.connections.get(connection) else { return };
        let request = match body {
            ClientMessage::Health => return self.say_health(connection, correlation, now),
            ClientMessage::Unsubscribe { subscription } => {
                return self.unsubscribe(connection, correlation, subscription);
            }
            _ if self.is_draining => return self.refuse(connection, correlation, &shutting_down()),
            _ if path == Path::Zmq && in_flight >= self.limits.max_in_flight => {
                let message = "this connection has as many unanswered requests as it may";
                return self.refuse(connection, correlation, &Rejection::new(ReasonCode::Busy, "", message));
            }
            ClientMessage::Subscribe(asked) => return self.subscribe(connection, correlation, asked, now),
            ClientMessage::Command(Command::SetCancelOnDisconnect(set)) => {
                let session_id = peer.origin.as_ref().map_or_else(String::new, |origin| origin.session_id.to_string());
                Request::Command(Command::SetCancelOnDisconnect(SetCancelOnDisconnect { session_id, ..set }))
            }
            ClientMessage::ListOpenOrders(list) => {
                Request::ListOpenOrders { account: list.account, after_order_id: list.after_order_id }
            }
            ClientMessage::Command(command) => Request::Command(command),
            ClientMessage::ExecuteBatch(orders) => Request::ExecuteBatch(orders),
            ClientMessage::GetOrder(get) => {
                Request::GetOrder { account: get.account, order_id: get.order_id, fence: get.fence }
            }
            ClientMessage::Hello(_) => return,
        };
        let fence = matches!(request, Request::GetOrder { fence: true, .. });
        self.submit(connection, Waiter::Reply { connection, correlation, fence }, request, now);
    }

    fn subscribe(&mut self, connection: u64, correlation: u64, asked: Subscribe, now: UtcNanos) {
        let Some(peer) = self.connections.get(connection) else { return };
        let (most, there) = match peer.path {
            Path::Zmq => (self.limits.max_subscriptions, peer.subscriptions),
            Path::Grpc => (self.limits.max_subscriptions.saturating_mul(GRPC_STREAMS), self.subscriptions.len()),
        };
        if there >= most {
            let message = format!("there are {most} subscriptions, as many as there may be");
            let rejection = Rejection::new(ReasonCode::TooManySubscriptions, "", message);
            return self.refuse(connection, correlation, &rejection);
        }
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.subscriptions += 1;
        }
        let Subscribe { account, resume_from, accept_gaps } = asked;
        let waiter = Waiter::Subscription { connection, correlation, resume_from };
        self.submit(connection, waiter, Request::Subscribe { account, resume_from, accept_gaps }, now);
    }

    fn submit(&mut self, connection: u64, waiter: Waiter, mut request: Request, now: UtcNanos) {
        let Some(peer) = self.connections.get_mut(connection) else { return };
        let Some(origin) = &peer.origin else { return };
        peer.in_flight += 1;
        self.last_token += 1;
        self.waiters.insert(self.last_token, waiter);
        self.bugs.spoil_request(&mut request, origin.path);
        self.sequencer.submit(Token(self.last_token), origin, &request, now);
    }

    fn hello(&mut self, connection: u64, correlation: u64, hello: &Hello) {
        if hello.protocol_version != PROTOCOL_VERSION {
            let message = format!("protocol version {} is unknown to this engine", hello.protocol_version);
            let code = ReasonCode::UnsupportedProtocolVersion;
            let rejection = Rejection::new(code, "protocol_version", message);
            return self.refuse_with(connection, correlation, &rejection, &[PROTOCOL_VERSION], "");
        }
        if let Err(rejection) = self.check_hello(hello) {
            let journal_id = self.journal_id.clone();
            return self.refuse_with(connection, correlation, &rejection, &[], &journal_id);
        }
        let welcome = Welcome {
            protocol_version: PROTOCOL_VERSION,
            contract_version: CONTRACT_VERSION,
            journal_id: self.journal_id.to_string(),
            epoch: self.sequencer.epoch(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: self.message_limits,
            last_sequence: self.last_sequence(&hello.account),
            pub_endpoint: String::new(),
        };
        self.name_session(connection, &hello.session_id);
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.origin = Some(origin(sequencer::Path::Zmq, &hello.session_id));
        }
        let bytes = self.encoder.welcome(correlation, &welcome);
        self.connections.say(connection, bytes);
    }

    fn check_hello(&self, hello: &Hello) -> Result<(), Rejection> {
        if self.is_draining {
            return Err(shutting_down());
        }
        if !is_session_id(&hello.session_id) {
            let message = "session_id must be printable ASCII of at most 64 bytes";
            return Err(Rejection::new(ReasonCode::MalformedMessage, "session_id", message));
        }
        if hello.account != DEFAULT_ACCOUNT {
            let message =
                format!("account {:?} is not this client's; without authentication it is `default`", hello.account);
            return Err(Rejection::new(ReasonCode::PermissionDenied, "account", message));
        }
        let last = self.last_sequence(&hello.account);
        match hello.resume_from {
            Some(seen) if seen > last => {
                let message = format!(
                    "you have seen update {seen}, this engine's last is {last}: it has lost state; stop and ask"
                );
                Err(Rejection::new(ReasonCode::StateRegressed, "resume_from", message))
            }
            _ => Ok(()),
        }
    }

    fn say_health(&mut self, connection: u64, correlation: u64, now: UtcNanos) {
        let report = self.health(now);
        let bytes = self.encoder.health_reply(correlation, &health_reply(&report));
        self.connections.say(connection, bytes);
    }

    fn refuse_journal(&mut self, connection: u64, correlation: u64, named: &str) {
        let message = match named {
            "" => "a request that may change state names the journal that Welcome gave".to_owned(),
            named => format!("the request names journal {named:?}, this engine has another; say Hello again"),
        };
        let rejection = Rejection::new(ReasonCode::JournalIdMismatch, "journal_id", message);
        let journal_id = self.journal_id.clone();
        self.refuse_with(connection, correlation, &rejection, &[], &journal_id);
    }

    /// Refuses one copy of a request.
    pub(super) fn refuse(&mut self, connection: u64, correlation: u64, rejection: &Rejection) {
        self.refuse_with(connection, correlation, rejection, &[], "");
    }

    fn refuse_with(&mut self, to: u64, correlation: u64, rejection: &Rejection, versions: &[u16], journal_id: &str) {
        let bytes = self.encoder.refusal(correlation, rejection, versions, journal_id);
        self.connections.say(to, bytes);
    }
}

pub(super) fn origin(path: sequencer::Path, session_id: &str) -> Origin {
    Origin { principal: Arc::from(PRINCIPAL), path, session_id: Arc::from(session_id) }
}

/// What a request gets once the engine is ending.
pub(super) fn shutting_down() -> Rejection {
    Rejection::new(ReasonCode::ShuttingDown, "", "the engine is shutting down; use the other engine, or wait")
}

fn health_reply(report: &HealthReport) -> HealthReply<'_> {
    HealthReply {
        status: match report.status {
            HealthStatus::Serving => ServingStatus::Serving,
            HealthStatus::Degraded => ServingStatus::Degraded,
            HealthStatus::NotServing => ServingStatus::NotServing,
        },
        message: &report.message,
        journal_id: &report.journal_id,
        epoch: report.epoch,
        journal_seq: report.journal_seq,
        state_hash: report.state_hash,
        engine_version: env!("CARGO_PKG_VERSION"),
        durability: report.durability.name(),
        duplicates: report.duplicates,
        counters: &report.counters,
    }
}
