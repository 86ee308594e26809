//! Messages of clients: Hello, and requests (WIRE.md sections 1.2 to 1.4).

use super::{
    CONTRACT_VERSION, Reactor,
    calls::shutting_down,
    drain::Phase,
    peer::{Ending, Peer},
    slab::Key,
};
use bridge_core::{ReasonCode, Rejection};
use bridge_sequencer::{HealthReport, HealthStatus, Origin, Path};
use bridge_wire::limits::is_session_id;
use bridge_wire::{
    DEFAULT_ACCOUNT, PROTOCOL_VERSION,
    codec::{ClientMessage, DecodeError, HealthReply, Hello, Incoming, MessageLimits, ServingStatus, Welcome},
    limits::DecodeLimits,
    zmtp::Parts,
};
use std::sync::Arc;

impl Reactor {
    /// One message of a client, read into `incoming`: checked, and handed to the sequencer, or refused.
    pub(super) fn take_message(&mut self, key: Key, read: Result<(), DecodeError>) {
        let refused = match self.peers.get_mut(key) {
            Some(peer) if peer.ending == Ending::No => peer.refused,
            _ => return,
        };
        match read {
            Ok(()) if refused => self.refuse_connection(key, self.incoming.correlation),
            Ok(()) => self.take_request(key, self.incoming.correlation),
            Err(error) => self.refuse_bad(key, error.correlation, &error.rejection),
        }
    }

    fn take_request(&mut self, key: Key, correlation: u64) {
        let Some(client) = self.peers.get_mut(key).and_then(Peer::client) else { return };
        let (greeted, in_flight) = (client.origin.is_some(), client.in_flight);
        if let ClientMessage::Hello(hello) = &mut self.incoming.body {
            let hello = std::mem::take(hello);
            return self.hello(key, correlation, &hello);
        }
        if !greeted {
            let message = "say Hello first: it names the protocol version and the session";
            return self.refuse(key, correlation, &Rejection::new(ReasonCode::HelloRequired, "", message));
        }
        let named = &self.incoming.journal_id;
        if **named != *self.journal_id && (!named.is_empty() || self.incoming.body.changes_state()) {
            let named = named.clone();
            return self.refuse_journal(key, correlation, &named);
        }
        match &mut self.incoming.body {
            ClientMessage::Health => self.send_health(key, correlation),
            ClientMessage::Unsubscribe { subscription } => {
                let subscription = *subscription;
                self.unsubscribe(key, correlation, subscription);
            }
            _ if self.phase != Phase::Serving => self.refuse(key, correlation, &shutting_down()),
            _ if in_flight >= self.parts.limits.max_in_flight => {
                let message = "this connection has as many unanswered requests as it may";
                self.refuse(key, correlation, &Rejection::new(ReasonCode::Busy, "", message));
            }
            ClientMessage::Subscribe(subscribe) => {
                let subscribe = std::mem::take(subscribe);
                self.subscribe(key, correlation, subscribe);
            }
            _ => self.submit_incoming(key, correlation),
        }
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
            let session_id = Arc::from(hello.session_id.as_str());
            let former =
                client.origin.replace(Origin { principal: self.principal.clone(), path: Path::Zmq, session_id });
            self.parts.sequencer.session_connected(&hello.session_id);
            // It said Hello before, perhaps for another session.
            if let Some(former) = former {
                self.parts.sequencer.session_disconnected(&former.session_id);
            }
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

/// Reads a message of a client into `incoming`.
pub(super) fn read(parts: &Parts<'_>, limits: &DecodeLimits, incoming: &mut Incoming) -> Result<(), DecodeError> {
    match parts.single() {
        Some(bytes) => incoming.read(bytes, limits),
        None => {
            let message = format!("a message of {} parts; each message is one part", parts.count());
            Err(DecodeError { correlation: 0, rejection: Rejection::new(ReasonCode::MalformedMessage, "", message) })
        }
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
