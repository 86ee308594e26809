//! One connection of a peer, as a state machine without sockets or timers.

use super::{
    commands::{Command, write_command},
    error::ZmtpError,
    frames::{FLAG_MORE, FrameHeader, Parts, write_frame},
    handshake::Handshake,
    output::OutputBuffer,
};

/// What each part is charged against the message limit, besides its bytes: an empty one is not for nothing.
const PART_CHARGE_BYTES: usize = 64;
/// So that a message of a few parts too many is still read, and refused by name, instead of closing the connection.
const TOLERATED_PARTS: usize = 8;
/// What the input keeps between messages of a busy connection; a quiet one gives all back
/// ([`ServerConnection::release_memory`]).
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
    /// Above this many bytes of unwritten output the connection takes no more input, and hands out none.
    pub pause_input_above_bytes: usize,
}

impl Default for ZmtpLimits {
    fn default() -> Self {
        Self { max_handshake_bytes: 8 << 10, max_message_bytes: 1 << 20, pause_input_above_bytes: 1 << 20 }
    }
}

/// What came in. It lies in the connection's input buffer.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Messages may be sent from now on.
    HandshakeDone,
    /// A message of a Router's peer.
    Message(Parts<'a>),
    /// A Publisher's peer wants topics that begin so.
    Subscribe(&'a [u8]),
    /// And no longer does.
    Unsubscribe(&'a [u8]),
}

/// Commands between the parts of one message may come to this, and a message's limit.
const MOST_INTERJECTED_BYTES: usize = 64 << 10;

/// What was read, by its place in the input.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    Message { first: usize, end: usize },
    Topic { first: usize, end: usize, wanted: bool },
}

/// The engine's end of one connection.
///
/// The handshake is omq-proto's. Mechanism NULL puts frames on the wire as they are, so what follows is read and
/// written here, in place and without an allocation per message. A mechanism that seals frames (CURVE) has to leave
/// them to the codec.
pub struct ServerConnection {
    /// `None` once it is done.
    handshake: Option<Box<Handshake>>,
    /// The end of the handshake is to be told.
    handshake_news: bool,
    role: SocketRole,
    limits: ZmtpLimits,
    input: Vec<u8>,
    /// Where in the input the message begins that is being read.
    consumed: usize,
    /// Behind the last of its frames that is all there.
    scanned: usize,
    /// What its parts so far count against the limit.
    charged_bytes: usize,
    /// What commands between its parts have come to.
    interjected_bytes: usize,
    output: OutputBuffer,
    failed: bool,
}

impl ServerConnection {
    /// A connection that was just accepted; its greeting is in [`ServerConnection::output`] already.
    pub fn new(role: SocketRole, limits: ZmtpLimits) -> Self {
        let mut handshake = Box::new(Handshake::new(role, limits.max_handshake_bytes));
        let mut output = OutputBuffer::default();
        handshake.take_output(output.end());
        Self {
            handshake: Some(handshake),
            handshake_news: false,
            role,
            limits,
            input: Vec::new(),
            consumed: 0,
            scanned: 0,
            charged_bytes: 0,
            interjected_bytes: 0,
            output,
            failed: false,
        }
    }

    /// Takes what was read from the socket. [`ServerConnection::poll`] until `None` afterwards.
    ///
    /// # Errors
    /// A handshake that fails ends the connection (see [`ZmtpError`]). [`ZmtpError::InputPaused`] is the caller's
    /// own fault and changes nothing.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ZmtpError> {
        if self.failed {
            return Err(ZmtpError::NotReady);
        }
        if !self.accepts_input() {
            return Err(ZmtpError::InputPaused);
        }
        let bytes = self.shake_hands(bytes)?;
        self.drop_consumed();
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    /// The next event, oldest first. `None`: more input is needed, or output has to be written first.
    ///
    /// # Errors
    /// Any error ends the connection; all that came before it was handed out.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Event<'_>>, ZmtpError> {
        if std::mem::take(&mut self.handshake_news) {
            return Ok(Some(Event::HandshakeDone));
        }
        match self.next_traffic() {
            Ok(Some(traffic)) => Ok(Some(self.event(traffic))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    /// Queues a message of one part.
    ///
    /// # Errors
    /// [`ZmtpError::NotReady`] before the handshake is done.
    #[inline]
    pub fn send(&mut self, part: &[u8]) -> Result<(), ZmtpError> {
        self.send_parts(&[part])
    }

    /// Queues a message. The queue has no bound of its own: watch [`ServerConnection::pending_output_bytes`].
    ///
    /// # Errors
    /// [`ZmtpError::NotReady`] before the handshake is done.
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> Result<(), ZmtpError> {
        if !self.is_ready() {
            return Err(ZmtpError::NotReady);
        }
        for (index, part) in parts.iter().enumerate() {
            write_frame(self.output.end(), if index + 1 < parts.len() { FLAG_MORE } else { 0 }, part);
        }
        Ok(())
    }

    /// Bytes to write next.
    pub fn output(&self) -> &[u8] {
        self.output.unwritten()
    }

    /// How many bytes wait to be written.
    pub fn pending_output_bytes(&self) -> usize {
        self.output.pending_bytes()
    }

    /// The first `count` bytes of [`ServerConnection::output`] were written. Input that had to wait for this can be
    /// handed out now: [`ServerConnection::poll`] again.
    pub fn advance(&mut self, count: usize) {
        self.output.advance(count);
    }

    /// Whether [`ServerConnection::receive`] may be called. False while too much output waits: write first.
    pub fn accepts_input(&self) -> bool {
        !self.failed && !self.is_paused()
    }

    /// Whether the handshake is done, so that messages may be sent.
    pub fn is_ready(&self) -> bool {
        self.handshake.is_none()
    }

    /// Bytes that the buffers hold, used or not.
    pub fn buffer_bytes(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }

    /// Gives back what the buffers do not need just now: for a connection that has gone quiet.
    pub fn release_memory(&mut self) {
        self.drop_consumed();
        self.input.shrink_to_fit();
        self.output.release_memory();
    }

    fn is_paused(&self) -> bool {
        self.pending_output_bytes() > self.limits.pause_input_above_bytes
    }

    /// Gives the handshake what belongs to it; gives back the rest.
    fn shake_hands<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ZmtpError> {
        let Some(handshake) = &mut self.handshake else { return Ok(bytes) };
        let taken = handshake.take(bytes, self.output.end());
        self.failed = taken.is_err();
        let rest = &bytes[taken?..];
        if handshake.is_done() {
            self.handshake = None;
            self.handshake_news = true;
        }
        Ok(rest)
    }

    fn drop_consumed(&mut self) {
        if self.consumed == self.input.len() {
            self.input.clear();
            self.input.shrink_to(KEPT_BUFFER_BYTES);
        } else if self.consumed > 0 {
            self.input.drain(..self.consumed);
        }
        self.scanned -= self.consumed;
        self.consumed = 0;
    }

    /// Reads frames up to the next that means something, and answers PINGs on the way.
    #[inline]
    fn next_traffic(&mut self) -> Result<Option<Traffic>, ZmtpError> {
        while !self.failed && !self.is_paused() {
            let at = self.scanned;
            let Some(header) = FrameHeader::read(&self.input[at..])? else { break };
            self.check_size(&header)?;
            let (body, end) = (at + header.header_bytes, at + header.frame_bytes());
            if self.input.len() < end {
                break;
            }
            self.scanned = end;
            if header.is_command() {
                if let Some(traffic) = self.take_command(body, end)? {
                    return Ok(Some(traffic));
                }
            } else if header.has_more() {
                self.charged_bytes += header.body_bytes + PART_CHARGE_BYTES;
            } else {
                let first = std::mem::replace(&mut self.consumed, end);
                self.charged_bytes = 0;
                self.interjected_bytes = 0;
                if let Some(traffic) = self.message(first, end) {
                    return Ok(Some(traffic));
                }
            }
        }
        Ok(None)
    }

    /// A whole message. To a Publisher, ZMTP 3.0 says subscriptions so: 1 or 0, then the topic.
    #[inline]
    fn message(&self, first: usize, end: usize) -> Option<Traffic> {
        if self.role == SocketRole::Router {
            return Some(Traffic::Message { first, end });
        }
        let (wanted, topic) = Parts::new(&self.input[first..end]).single()?.split_first()?;
        (*wanted <= 1).then(|| Traffic::Topic { first: end - topic.len(), end, wanted: *wanted == 1 })
    }

    fn event(&self, traffic: Traffic) -> Event<'_> {
        match traffic {
            Traffic::Message { first, end } => Event::Message(Parts::new(&self.input[first..end])),
            Traffic::Topic { first, end, wanted: true } => Event::Subscribe(&self.input[first..end]),
            Traffic::Topic { first, end, wanted: false } => Event::Unsubscribe(&self.input[first..end]),
        }
    }

    fn check_size(&self, header: &FrameHeader) -> Result<(), ZmtpError> {
        let limit = self.limits.max_message_bytes.saturating_add(TOLERATED_PARTS * PART_CHARGE_BYTES);
        let others = if header.is_command() { 0 } else { self.charged_bytes };
        let charged = header.body_bytes.saturating_add(PART_CHARGE_BYTES).saturating_add(others);
        if charged <= limit {
            return Ok(());
        }
        let size_bytes = if others == 0 { header.body_bytes } else { charged };
        Err(ZmtpError::MessageTooLarge { size_bytes, max_bytes: self.limits.max_message_bytes })
    }

    fn take_command(&mut self, body: usize, end: usize) -> Result<Option<Traffic>, ZmtpError> {
        if self.charged_bytes == 0 {
            self.consumed = end;
        } else {
            // Between the parts of a message it stays where it is, and is skipped with the message.
            self.interjected_bytes += end - body + PART_CHARGE_BYTES;
            let max_bytes = self.limits.max_message_bytes.saturating_add(MOST_INTERJECTED_BYTES);
            if self.interjected_bytes > max_bytes {
                return Err(ZmtpError::MessageTooLarge { size_bytes: self.interjected_bytes, max_bytes });
            }
        }
        let command = &self.input[body..end];
        match Command::read(command)? {
            Command::Ping { context } => {
                write_command(self.output.end(), "PONG", context);
                Ok(None)
            }
            Command::Subscribe(topic) if self.role == SocketRole::Publisher => {
                Ok(Some(Traffic::Topic { first: end - topic.len(), end, wanted: true }))
            }
            Command::Cancel(topic) if self.role == SocketRole::Publisher => {
                Ok(Some(Traffic::Topic { first: end - topic.len(), end, wanted: false }))
            }
            // Commands that mean nothing to this socket are ignored, as RFC 37 asks.
            _ => Ok(None),
        }
    }
}
