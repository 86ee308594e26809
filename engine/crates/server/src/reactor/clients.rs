//! Messages of clients: Hello, and requests (WIRE.md sections 1.2 to 1.4).

use super::{
    CONTRACT_VERSION, Reactor,
    calls::{Waiter, shutting_down},
    drain::Phase,
    peer::{Ending, Peer},
    slab::Key,
};
use crate::grpc::is_session_id;
use bridge_core::{ReasonCode, Rejection};
use bridge_sequencer::{HealthReport, HealthStatus, Path, Request};
use bridge_wire::{
    DEFAULT_ACCOUNT, PROTOCOL_VERSION,
    codec::{ClientMessage, HealthReply, Hello, MessageLimits, ServingStatus, Welcome, decode_request},
    zmtp::Parts,
};
use std::{sync::Arc, time::Instant};

impl Reactor {
    /// One message of a client: decoded, checked, and handed to the sequencer, or refused.
    pub(super) fn take_message(&mut self, key: Key, parts: &Parts) {
        let refused = match self.peers.get_mut(key) {
            Some(peer) if peer.ending == Ending::No => peer.refused,
            _ => return,
        };
        let Some(bytes) = parts.single() else {
            let message = format!("a message of {} parts; each message is one part", parts.count());
            return self.refuse_bad(key, 0, &Rejection::new(ReasonCode::MalformedMessage, "", message));
        };
        match decode_request(bytes, &self.decode_limits) {
            Ok(envelope) if refused => self.refuse_connection(key, envelope.correlation),
            Ok(envelope) => self.take_request(key, envelope.correlation, envelope.journal_id, envelope.body),
            Err(error) => self.refuse_bad(key, error.correlation, &error.rejection),
        }
    }

    fn take_request(&mut self, key: Key, correlation: u64, journal_id: &str, message: ClientMessage) {
        let Some(client) = self.peers.get_mut(key).and_then(Peer::client) else { return };
        let session_id = client.session_id.clone();
        let in_flight = client.in_flight;
        let message = match (message, session_id) {
            (ClientMessage::Hello(hello), _) => return self.hello(key, correlation, &hello),
            (_, None) => {
                let message = "say Hello first: it names the protocol version and the session";
                return self.refuse(key, correlation, &Rejection::new(ReasonCode::HelloRequired, "", message));
            }
            (message, Some(session_id)) => (message, session_id),
        };
        let (message, session_id) = message;
        if journal_id != &*self.journal_id && (!journal_id.is_empty() || changes_state(&message)) {
            return self.refuse_journal(key, correlation, journal_id);
        }
        let request = match message {
            ClientMessage::Health => return self.send_health(key, correlation),
            ClientMessage::Unsubscribe { subscription } => return self.unsubscribe(key, correlation, subscription),
            _ if self.phase != Phase::Serving => return self.refuse(key, correlation, &shutting_down()),
            _ if in_flight >= self.parts.limits.max_in_flight => {
                let message = "this connection has as many unanswered requests as it may";
                return self.refuse(key, correlation, &Rejection::new(ReasonCode::Busy, "", message));
            }
            ClientMessage::Subscribe(subscribe) => {
                return self.subscribe(key, correlation, session_id, subscribe);
            }
            ClientMessage::Command(command) => Request::Command(command),
            ClientMessage::ExecuteBatch(orders) => Request::ExecuteBatch(orders),
            ClientMessage::GetOrder(get) => {
                Request::GetOrder { account: get.account, order_id: get.order_id, fence: get.fence }
            }
            ClientMessage::Hello(_) => return,
        };
        if let Some(client) = self.peers.get_mut(key).and_then(Peer::client) {
            client.in_flight += 1;
        }
        self.spin_until = Instant::now() + self.parts.spin;
        self.submit(Waiter::Peer { peer: key, correlation }, Path::Zmq, session_id, request);
    }

    fn hello(&mut self, key: Key, correlation: u64, hello: &Hello) {
        if hello.protocol_version != PROTOCOL_VERSION {
            let message = format!("protocol version {} is unknown to this engine", hello.protocol_version);
            let code = ReasonCode::UnsupportedProtocolVersion;
            let rejection = Rejection::new(code, "protocol_version", message);
            return self.refuse_with(key, correlation, &rejection, &[PROTOCOL_VERSION], "");
        }
        if let Err(rejection) = self.check_hello(hello) {
            // Whose refusal it is comes first: another journal has not regressed, it is another journal.
            let journal_id = self.journal_id.clone();
            return self.refuse_with(key, correlation, &rejection, &[], &journal_id);
        }
        let welcome = self.welcome(&hello.account);
        if let Some(client) = self.peers.get_mut(key).and_then(Peer::client) {
            client.session_id = Some(Arc::from(hello.session_id.as_str()));
        }
        let bytes = self.encoder.welcome(correlation, &welcome);
        send(&mut self.peers, key, bytes);
        self.unwritten(key);
    }

    fn check_hello(&self, hello: &Hello) -> Result<(), Rejection> {
        if self.phase != Phase::Serving {
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
        let last = self.parts.sequencer.last_sequence(&hello.account);
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

    fn welcome(&self, account: &str) -> Welcome {
        let limits = &self.parts.limits;
        let bounded = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Welcome {
            protocol_version: PROTOCOL_VERSION,
            contract_version: CONTRACT_VERSION,
            journal_id: self.journal_id.to_string(),
            epoch: self.parts.sequencer.epoch(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: MessageLimits {
                max_message_bytes: bounded(limits.max_message_bytes),
                max_batch_orders: bounded(limits.max_batch_orders),
                max_in_flight: bounded(limits.max_in_flight),
                max_metadata_entries: self.parts.max_metadata_entries,
                update_history: self.parts.update_history,
            },
            last_sequence: self.parts.sequencer.last_sequence(account),
            pub_endpoint: self.parts.pub_endpoint.to_string(),
        }
    }

    fn send_health(&mut self, key: Key, correlation: u64) {
        let report = self.health();
        let bytes = self.encoder.health_reply(correlation, &health_reply(&report));
        send(&mut self.peers, key, bytes);
        self.unwritten(key);
    }

    /// Refuses what could not be read, and logs it at a bounded rate.
    fn refuse_bad(&mut self, key: Key, correlation: u64, rejection: &Rejection) {
        if let Some(peer) = self.peers.get_mut(key) {
            let from = peer.from.clone();
            self.log.bad_input(&from, &format!("{}: {}", rejection.code.name(), rejection.message));
        }
        self.refuse(key, correlation, rejection);
    }

    /// One connection too many: it is told so, and ended.
    fn refuse_connection(&mut self, key: Key, correlation: u64) {
        let message = "the engine has as many connections as it takes; close some";
        self.refuse_bad(key, correlation, &Rejection::new(ReasonCode::TooManyConnections, "", message));
        self.end_peer(key);
    }

    fn refuse_journal(&mut self, key: Key, correlation: u64, named: &str) {
        let message = match named {
            "" => "a request that may change state names the journal that Welcome gave".to_owned(),
            named => format!("the request names journal {named:?}, this engine has another; say Hello again"),
        };
        let rejection = Rejection::new(ReasonCode::JournalIdMismatch, "journal_id", message);
        let journal_id = self.journal_id.clone();
        self.refuse_with(key, correlation, &rejection, &[], &journal_id);
    }

    /// Refuses one copy of a request.
    pub(super) fn refuse(&mut self, key: Key, correlation: u64, rejection: &Rejection) {
        self.refuse_with(key, correlation, rejection, &[], "");
    }

    fn refuse_with(&mut self, key: Key, correlation: u64, rejection: &Rejection, versions: &[u16], journal_id: &str) {
        let bytes = self.encoder.refusal(correlation, rejection, versions, journal_id);
        send(&mut self.peers, key, bytes);
        self.unwritten(key);
    }
}

/// Queues an encoded message for a connection, if it is still there and ready.
pub(super) fn send(peers: &mut super::slab::Slab<Peer>, key: Key, bytes: &[u8]) {
    if let Some(peer) = peers.get_mut(key)
        && peer.ending == Ending::No
    {
        // Not ready: there was no handshake, so nobody to answer.
        let _ = peer.zmtp.send(bytes);
    }
}

/// What must name the journal: all that could change state.
fn changes_state(message: &ClientMessage) -> bool {
    match message {
        ClientMessage::Command(_) | ClientMessage::ExecuteBatch(_) => true,
        ClientMessage::GetOrder(get) => get.fence,
        _ => false,
    }
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
        durability: super::durability_name(report.durability),
        duplicates: report.duplicates,
        counters: &report.counters,
    }
}
