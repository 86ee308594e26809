//! Accepts, reads, writes and closes connections.

use super::{
    Reactor,
    clients::read,
    drain::Phase,
    listener::{Service, Stream},
    peer::{Ending, Peer, Read, Role},
    poller::{Interest, Ready, Source},
    slab::Key,
};
use bridge_core::{ReasonCode, Rejection};
use bridge_wire::zmtp::{Event, ZmtpError};
use std::time::{Duration, Instant};

/// How long a connection that we close may take to read what it is still owed.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// How long a last word may be read before our half is closed.
const LAST_WORD_TIME: Duration = Duration::from_millis(150);
/// The times of connections are looked at no more often: each look goes through all of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// Connections accepted per listener and turn.
const ACCEPTS_PER_TURN: usize = 32;

impl Reactor {
    /// Takes the connections that wait.
    pub(super) fn accept(&mut self, index: u32) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = self.parts.listeners.get(index as usize) else { return };
            match listener.accept() {
                Ok(Some((stream, from))) => {
                    let service = listener.service;
                    self.admit(stream, from, service);
                }
                Ok(None) => return,
                Err(error) => {
                    // Descriptors are short, mostly. It stays ready, so it is not looked at for a while.
                    self.listeners_muted = true;
                    self.watch_listeners(Interest { read: false, write: false });
                    self.log.bad_input("listener", &format!("cannot accept: {error}"));
                    return;
                }
            }
        }
    }

    /// What the listeners are watched for.
    pub(super) fn watch_listeners(&self, interest: Interest) {
        for (index, listener) in self.parts.listeners.iter().enumerate() {
            // Cannot fail for a socket that is watched already.
            let _ = self.poller.modify(listener, Source::Listener(index as u32), interest);
        }
    }

    fn admit(&mut self, stream: Stream, from: String, service: Service) {
        let room = self.peers.len() < self.parts.limits.max_connections;
        // A few more are taken for as long as it needs to tell them why they are not served.
        if !room && self.peers.len() >= self.parts.limits.max_connections + REFUSED_AT_A_TIME {
            self.log.bad_input(&from, "too many connections: closed at once");
            return;
        }
        let peer = Peer::new(stream, from, service, self.zmtp_limits);
        let key = self.peers.insert(peer);
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let Err(error) = self.poller.add(&peer.stream, Source::Peer(key), Interest::READ) {
            self.log.bad_input("listener", &format!("cannot watch a connection: {error}"));
            self.peers.remove(key);
            return;
        }
        peer.refused = !room;
        self.transient_peers = true;
        if service == Service::Publications && room {
            self.publisher.peers.push(key);
        }
        // Its greeting.
        self.unwritten(key);
    }

    /// Reads and writes what a connection is ready for.
    pub(super) fn serve_peer(&mut self, key: Key, event: Ready) {
        if event.readable {
            self.read_peer(key);
        }
        if event.writable {
            self.unwritten(key);
        }
    }

    pub(super) fn read_peer(&mut self, key: Key) {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let Some(peer) = self.peers.get_mut(key) else {
            self.read_buffer = buffer;
            return;
        };
        let ending = peer.ending != Ending::No;
        if !ending && !peer.zmtp.accepts_input() {
            // Told of by an error or hang-up although input is muted.
            self.read_buffer = buffer;
            self.unwritten(key);
            return;
        }
        self.parts.stages.readable();
        let failure = match peer.read(&mut buffer) {
            Read::End => {
                self.read_buffer = buffer;
                self.taken = true;
                return self.drop_peer(key);
            }
            Read::Nothing => {
                self.read_buffer = buffer;
                return;
            }
            // What comes after the end is read, so that the close is in order, and not looked at.
            Read::Bytes(_) if ending => None,
            Read::Bytes(count) => {
                self.parts.stages.read();
                peer.zmtp.receive(&buffer[..count]).err()
            }
        };
        peer.busy = true;
        self.read_buffer = buffer;
        self.taken = true;
        self.take_events(key);
        if let Some(error) = failure {
            self.end_with(key, &error);
        }
        // PONGs, and interest that changed.
        self.unwritten(key);
    }

    /// Handles what the connection's ZMTP state has for us.
    pub(super) fn take_events(&mut self, key: Key) {
        while let Some(peer) = self.peers.get_mut(key) {
            match peer.zmtp.poll() {
                Ok(None) => return,
                Ok(Some(Event::Message(parts))) => {
                    let read = read(&parts, &self.decode_limits, &mut self.incoming);
                    self.parts.stages.decoded();
                    self.take_message(key, read);
                }
                Ok(Some(Event::HandshakeDone)) => self.handshake_done(key),
                Ok(Some(Event::Subscribe(prefix))) => {
                    let taken = if let Role::Subscriber(topics) = &mut peer.role { topics.add(prefix) } else { Ok(()) };
                    if let Err(error) = taken {
                        let from = peer.from.clone();
                        self.log.bad_input(&from, &error.to_string());
                        self.end_peer(key);
                    }
                }
                Ok(Some(Event::Unsubscribe(prefix))) => {
                    if let Role::Subscriber(topics) = &mut peer.role {
                        topics.remove(prefix);
                    }
                }
                Err(error) => return self.end_with(key, &error),
            }
        }
    }

    /// One connection too many: a client is told so with its first message, a subscriber cannot be told.
    fn handshake_done(&mut self, key: Key) {
        if let Some(Peer { role: Role::Subscriber(_), refused: true, from, .. }) = self.peers.get_mut(key) {
            let from = from.clone();
            self.log.bad_input(&from, "too many connections: refused");
            self.end_peer(key);
        }
    }

    /// Ends a connection that broke the protocol; what can be said to it is said first.
    fn end_with(&mut self, key: Key, error: &ZmtpError) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let from = peer.from.clone();
        self.log.bad_input(&from, &error.to_string());
        if let ZmtpError::MessageTooLarge { .. } = error {
            self.refuse(key, 0, &Rejection::new(ReasonCode::MessageTooLarge, "", error.to_string()));
        }
        self.end_peer(key);
    }

    /// Sends what waits, closes our half, and drops the connection when the peer has closed too or time is up.
    pub(super) fn end_peer(&mut self, key: Key) {
        self.end_peer_by(key, Instant::now() + CLOSE_TIME);
    }

    /// As [`Reactor::end_peer`], with its own end of time.
    pub(super) fn end_peer_by(&mut self, key: Key, deadline: Instant) {
        self.forget_subscriptions(key);
        if let Some(peer) = self.peers.get_mut(key)
            && peer.ending == Ending::No
        {
            let half_close_at = deadline.min(Instant::now() + LAST_WORD_TIME);
            peer.ending = Ending::Flushing { half_close_at, deadline };
            self.transient_peers = true;
            self.unwritten(key);
        }
    }

    /// The connection is gone; replies to it find nobody.
    pub(super) fn drop_peer(&mut self, key: Key) {
        self.forget_subscriptions(key);
        if let Some(mut peer) = self.peers.remove(key) {
            self.poller.remove(&peer.stream);
            if let Some(origin) = peer.client().and_then(|client| client.origin.take()) {
                self.parts.sequencer.session_disconnected(&origin.session_id);
            }
            if matches!(peer.role, Role::Subscriber(_)) {
                self.publisher.peers.retain(|known| *known != key);
            }
        }
    }

    fn forget_subscriptions(&mut self, key: Key) {
        if self.peers.get_mut(key).and_then(Peer::client).is_some_and(|client| client.subscriptions > 0) {
            for (subscription, _) in self.subscriptions.of_peer(key) {
                self.subscriptions.remove(subscription);
            }
        }
    }

    /// Notes that a connection has something to write or to be told of.
    pub(super) fn unwritten(&mut self, key: Key) {
        if let Some(peer) = self.peers.get_mut(key)
            && !peer.listed
        {
            peer.listed = true;
            self.unwritten.push(key);
        }
    }

    /// Writes to every connection that something was queued for: once per connection and turn.
    pub(super) fn write_unwritten(&mut self) {
        while let Some(key) = self.unwritten.pop() {
            self.write_peer(key);
        }
    }

    fn write_peer(&mut self, key: Key) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.listed = false;
        if !peer.write() || peer.zmtp.pending_output_bytes() > self.parts.limits.max_output_bytes {
            return self.drop_peer(key);
        }
        self.parts.stages.sent(key);
        if let Ending::Flushing { half_close_at, deadline } = peer.ending
            && peer.zmtp.pending_output_bytes() == 0
            && Instant::now() >= half_close_at
        {
            peer.stream.end_writing();
            peer.ending = Ending::HalfClosed(deadline);
        }
        let wanted = peer.wanted();
        if wanted != peer.interest {
            peer.interest = wanted;
            if self.poller.modify(&peer.stream, Source::Peer(key), wanted).is_err() {
                return self.drop_peer(key);
            }
        }
        // Input that had to wait for this output.
        self.take_events(key);
    }

    /// Drops connections whose handshake or end takes too long.
    pub(super) fn end_what_takes_too_long(&mut self, now: Instant) {
        let handshake = Duration::from_millis(self.parts.limits.handshake_timeout_ms);
        self.transient_peers = false;
        self.look_at_times = now + BETWEEN_LOOKS;
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            let over = match peer.ending {
                Ending::Flushing { deadline, .. } | Ending::HalfClosed(deadline) => Some(now >= deadline),
                Ending::No if peer.is_introduced() && !peer.refused => None,
                Ending::No => Some(now.duration_since(peer.since) >= handshake),
            };
            match over {
                Some(true) => {
                    if peer.ending == Ending::No {
                        let from = peer.from.clone();
                        self.log.bad_input(&from, "no ZMTP handshake, or no Hello, in time");
                    }
                    self.drop_peer(key);
                }
                Some(false) => {
                    self.transient_peers = true;
                    // Its half may be due to be closed.
                    self.unwritten(key);
                }
                None => {}
            }
        }
    }

    /// Connections that said nothing since the last call give back what their buffers hold: so an idle one costs a
    /// few hundred bytes, whatever it did before.
    pub(super) fn release_quiet_memory(&mut self) {
        for peer in self.peers.values_mut() {
            if !std::mem::take(&mut peer.busy) {
                peer.zmtp.release_memory();
            }
        }
    }

    /// Stops listening. Connections that wait are closed by the system.
    pub(super) fn stop_listening(&mut self) {
        debug_assert!(self.phase != Phase::Serving);
        for listener in self.parts.listeners.drain(..) {
            self.poller.remove(&listener);
        }
    }
}

/// Connections above the limit that are told so at a time; more are closed at once.
const REFUSED_AT_A_TIME: usize = 16;
