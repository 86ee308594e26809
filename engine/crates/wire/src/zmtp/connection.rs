//! One connection of a peer, as a state machine without sockets or timers.

use super::error::ZmtpError;
use bytes::BytesMut;
use omq_proto::Message;
use omq_proto::proto::{Command, Connection, ConnectionConfig, Event as CodecEvent, Role, SocketType};

/// Most of a frame's flags byte (RFC 37): another part follows.
const FLAG_MORE: u8 = 1;
/// The length that follows is 8 bytes, not 1.
const FLAG_LONG: u8 = 2;
const MAX_SHORT_FRAME_BYTES: usize = 255;
/// What omq-proto charges against the message limit for each part, besides its bytes.
const PART_CHARGE_BYTES: usize = 64;
/// So that a message of a few parts too many is still read, and refused by name, instead of closing the connection.
const TOLERATED_PARTS: usize = 8;
/// What the buffers keep between messages.
const KEPT_BUFFER_BYTES: usize = 256 << 10;

/// The socket that the engine plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketRole {
    /// Requests and replies; peers are DEALER (or REQ, or ROUTER).
    Router,
    /// Market data and notices; peers are SUB (or XSUB).
    Publisher,
}

/// Bounds of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZmtpLimits {
    /// Bytes that a peer may send before its handshake is done. NULL takes about 200; the rest is room for
    /// properties of READY. The codec may hold some thirty times as much when they come one by one.
    pub max_handshake_bytes: usize,
    /// Bytes of one message.
    pub max_message_bytes: usize,
    /// Above this many bytes of unwritten output the connection takes no more input.
    pub pause_input_above_bytes: usize,
}

impl Default for ZmtpLimits {
    fn default() -> Self {
        Self { max_handshake_bytes: 8 << 10, max_message_bytes: 1 << 20, pause_input_above_bytes: 1 << 20 }
    }
}

/// What came in.
#[derive(Debug)]
pub enum Event {
    /// Messages may be sent from now on.
    HandshakeDone,
    /// A message of a Router's peer.
    Message(Parts),
    /// A Publisher's peer wants topics that begin so.
    Subscribe(Vec<u8>),
    /// And no longer does.
    Unsubscribe(Vec<u8>),
}

/// The parts of one received message. It may hold on to a whole read buffer: copy what is kept.
#[derive(Debug)]
pub struct Parts(Message);

impl Parts {
    /// The only part, if there is exactly one.
    pub fn single(&self) -> Option<&[u8]> {
        if self.0.len() == 1 { self.0.part_slice(0) } else { None }
    }

    /// How many parts there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A part by its index.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.0.part_slice(index)
    }
}

/// The engine's end of one connection.
pub struct ServerConnection {
    codec: Connection,
    role: SocketRole,
    limits: ZmtpLimits,
    /// Read buffer, refilled in place once the messages cut out of it are gone.
    input: BytesMut,
    handshake_bytes: usize,
    /// Bytes to write, from `written` on.
    output: Vec<u8>,
    written: usize,
    failed: bool,
}

impl ServerConnection {
    /// A connection that was just accepted; its greeting is in [`ServerConnection::output`] already.
    pub fn new(role: SocketRole, limits: ZmtpLimits) -> Self {
        let socket_type = match role {
            SocketRole::Router => SocketType::Router,
            SocketRole::Publisher => SocketType::Pub,
        };
        let codec_limit = limits.max_message_bytes.saturating_add(TOLERATED_PARTS * PART_CHARGE_BYTES);
        let config = ConnectionConfig::new(Role::Server, socket_type).max_message_size(codec_limit);
        let mut connection = Self {
            codec: Connection::new(config),
            role,
            limits,
            input: BytesMut::new(),
            handshake_bytes: 0,
            output: Vec::new(),
            written: 0,
            failed: false,
        };
        connection.take_codec_output();
        connection
    }

    /// Takes what was read from the socket. [`ServerConnection::poll`] until `None` afterwards.
    ///
    /// # Errors
    /// Any error ends the connection (see [`ZmtpError`]); messages that came before it can still be polled. Only
    /// [`ZmtpError::InputPaused`] is the caller's own fault and changes nothing.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ZmtpError> {
        if self.failed {
            return Err(ZmtpError::NotReady);
        }
        if !self.accepts_input() {
            return Err(ZmtpError::InputPaused);
        }
        self.input.extend_from_slice(bytes);
        let chunk = self.input.split().freeze();
        let taken = self.codec.handle_input(chunk);
        self.after_codec(taken)?;
        self.check_handshake(bytes.len())?;
        self.resume()
    }

    /// The next event, oldest first.
    pub fn poll(&mut self) -> Option<Event> {
        while let Some(event) = self.codec.poll_event() {
            let publisher = self.role == SocketRole::Publisher;
            match event {
                CodecEvent::HandshakeSucceeded { .. } => return Some(Event::HandshakeDone),
                CodecEvent::Message(message) if !publisher => return Some(Event::Message(Parts(message))),
                CodecEvent::Command(Command::Subscribe(topic)) if publisher => {
                    return Some(Event::Subscribe(topic.to_vec()));
                }
                CodecEvent::Command(Command::Cancel(topic)) if publisher => {
                    return Some(Event::Unsubscribe(topic.to_vec()));
                }
                // Commands that mean nothing to this socket are ignored, as RFC 37 asks.
                _ => {}
            }
        }
        while let Some(message) = self.codec.poll_message() {
            match self.role {
                SocketRole::Router => return Some(Event::Message(Parts(message))),
                SocketRole::Publisher => {
                    if let Some(event) = subscription_message(&message) {
                        return Some(event);
                    }
                }
            }
        }
        None
    }

    /// Queues a message of one part.
    ///
    /// # Errors
    /// [`ZmtpError::NotReady`] before the handshake is done.
    pub fn send(&mut self, part: &[u8]) -> Result<(), ZmtpError> {
        self.send_parts(&[part])
    }

    /// Queues a message. The queue has no bound of its own: watch [`ServerConnection::pending_output_bytes`].
    ///
    /// # Errors
    /// [`ZmtpError::NotReady`] before the handshake is done.
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> Result<(), ZmtpError> {
        if !self.codec.is_ready() {
            return Err(ZmtpError::NotReady);
        }
        // Mechanism NULL puts frames on the wire as they are, so they are written here without the codec's
        // allocations. A mechanism that seals frames (CURVE) must go through the codec instead.
        for (index, part) in parts.iter().enumerate() {
            let more = if index + 1 < parts.len() { FLAG_MORE } else { 0 };
            if part.len() <= MAX_SHORT_FRAME_BYTES {
                self.output.extend_from_slice(&[more, part.len() as u8]);
            } else {
                self.output.push(more | FLAG_LONG);
                self.output.extend_from_slice(&(part.len() as u64).to_be_bytes());
            }
            self.output.extend_from_slice(part);
        }
        Ok(())
    }

    /// Bytes to write next.
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// How many bytes wait to be written.
    pub fn pending_output_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// The first `count` bytes of [`ServerConnection::output`] were written. Input that had to wait for this is
    /// parsed now: [`ServerConnection::poll`] again.
    ///
    /// # Errors
    /// As [`ServerConnection::receive`].
    pub fn advance(&mut self, count: usize) -> Result<(), ZmtpError> {
        self.written = self.written.saturating_add(count).min(self.output.len());
        if self.written == self.output.len() {
            self.output.clear();
            self.output.shrink_to(KEPT_BUFFER_BYTES);
            self.written = 0;
        } else if self.written >= KEPT_BUFFER_BYTES && self.written * 2 >= self.output.len() {
            self.output.drain(..self.written);
            self.written = 0;
        }
        if self.failed { Ok(()) } else { self.resume() }
    }

    /// Whether [`ServerConnection::receive`] may be called. False while too much output waits: write first.
    pub fn accepts_input(&self) -> bool {
        !self.failed && self.codec.accepts_input() && self.pending_output_bytes() <= self.limits.pause_input_above_bytes
    }

    /// Whether the handshake is done, so that messages may be sent.
    pub fn is_ready(&self) -> bool {
        self.codec.is_ready()
    }

    /// Parses input that the codec kept back while its PONGs waited.
    fn resume(&mut self) -> Result<(), ZmtpError> {
        while self.codec.has_pending_input() && self.pending_output_bytes() <= self.limits.pause_input_above_bytes {
            let resumed = self.codec.resume_input();
            self.after_codec(resumed)?;
        }
        Ok(())
    }

    fn check_handshake(&mut self, received_bytes: usize) -> Result<(), ZmtpError> {
        if self.codec.is_ready() {
            return Ok(());
        }
        self.handshake_bytes = self.handshake_bytes.saturating_add(received_bytes);
        if self.handshake_bytes > self.limits.max_handshake_bytes {
            self.failed = true;
            return Err(ZmtpError::HandshakeTooLong { max_bytes: self.limits.max_handshake_bytes });
        }
        Ok(())
    }

    /// Takes the codec's output whether it failed or not: a failure may have queued the ERROR command.
    fn after_codec(&mut self, result: omq_proto::Result<()>) -> Result<(), ZmtpError> {
        self.take_codec_output();
        result.map_err(|error| {
            self.failed = true;
            ZmtpError::from_codec(error, self.limits.max_message_bytes)
        })
    }

    /// Moves greeting, handshake and PONGs behind what waits already, so that frames never interleave.
    fn take_codec_output(&mut self) {
        while self.codec.has_pending_transmit() {
            let pending = self.codec.poll_transmit();
            self.output.extend_from_slice(&pending);
            self.codec.advance_transmit(pending.len());
        }
    }
}

/// ZMTP 3.0 says subscriptions as messages: 1 or 0, then the topic.
fn subscription_message(message: &Message) -> Option<Event> {
    match (message.len(), message.part_slice(0)?.split_first()?) {
        (1, (1, topic)) => Some(Event::Subscribe(topic.to_vec())),
        (1, (0, topic)) => Some(Event::Unsubscribe(topic.to_vec())),
        _ => None,
    }
}
