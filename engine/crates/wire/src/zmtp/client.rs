//! A DEALER's end of one connection (RFC 37), as a state machine without sockets or timers.
//!
//! Written out rather than taken from omq-proto, because a client's way is short and hot: frames are read where they
//! lie, and nothing is allocated for a message.

use super::ZmtpError;
use super::client_frames::{
    FLAG_MORE, Frame, Front, GREETING_BYTES, check_greeting, command, front, greeting, header, write_command,
};
use super::client_heartbeat::{Beat, Heartbeat, HeartbeatTimes};
use super::client_mechanism::{Mechanism, is_command, refused};

/// Bytes of one command (READY with its properties is the largest).
const MAX_COMMAND_BYTES: usize = 8 << 10;
/// Bytes of a PING's context that a PONG brings back (RFC 37).
const MAX_CONTEXT_BYTES: usize = 16;
/// PONGs that may wait to be written: a peer that PINGs and never reads is given up.
const MAX_WAITING_PONG_BYTES: usize = 64 << 10;
/// What the output buffer keeps between messages.
const KEPT_BYTES: usize = 256 << 10;

/// Bounds and pauses of a client's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientOptions {
    /// Bytes of one received message.
    pub max_message_bytes: usize,
    /// When to PING, and when to give up.
    pub heartbeat: HeartbeatTimes,
}

/// What the front of the input was.
#[derive(PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Nothing whole. The input's first frame has this many bytes, where its header says so already; else 0.
    Incomplete {
        /// Header and body.
        bytes: usize,
    },
    /// A part of the handshake, or a command: dealt with.
    Taken {
        /// Bytes of input that it took.
        consumed: usize,
    },
    /// The handshake is done: messages may be sent from now on.
    Ready {
        /// Bytes of input that its end took.
        consumed: usize,
    },
    /// A message of one part.
    Message {
        /// Bytes of input that it took.
        consumed: usize,
        /// Its body.
        body: &'a [u8],
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Handshake,
    Ready,
    Failed,
}

/// A client's connection: [`ClientConnection::step`] through what was read, write [`ClientConnection::output`].
pub struct ClientConnection {
    phase: Phase,
    mechanism: Mechanism,
    max_message_bytes: usize,
    times: HeartbeatTimes,
    heartbeat: Option<Heartbeat>,
    /// Bytes to write, from `written` on.
    output: Vec<u8>,
    written: usize,
    waiting_pong_bytes: usize,
}

impl ClientConnection {
    /// A connection that was just made; its greeting is in the output already.
    pub fn new(options: ClientOptions) -> Self {
        let mechanism = Mechanism::Null;
        Self {
            phase: Phase::Greeting,
            output: greeting(mechanism.name()).to_vec(),
            mechanism,
            max_message_bytes: options.max_message_bytes,
            times: options.heartbeat,
            heartbeat: None,
            written: 0,
            waiting_pong_bytes: 0,
        }
    }

    /// Whether messages may be sent.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Takes what is at the front of `input`, all that was read and not taken yet. Call again with the rest of it,
    /// until it is [`Step::Incomplete`].
    ///
    /// # Errors
    /// Any error ends the connection; nothing more is taken from it.
    pub fn step<'a>(&'a mut self, input: &'a [u8], now_ns: u64) -> Result<Step<'a>, ZmtpError> {
        match self.phase {
            Phase::Ready => {
                let limit = self.max_message_bytes;
                match front(input, |flags| if is_command(flags) { MAX_COMMAND_BYTES } else { limit }) {
                    Ok(Front::Whole(frame)) if frame.flags & !2 == 0 => {
                        let consumed = frame.bytes;
                        self.mechanism.open(frame.body).map(|body| Step::Message { consumed, body })
                    }
                    Ok(Front::Whole(frame)) => self.failing(|this| this.on_frame(frame)),
                    Ok(Front::Incomplete { bytes }) => Ok(Step::Incomplete { bytes }),
                    Err(error) => self.failing(|_| Err(error)),
                }
            }
            Phase::Greeting => self.failing(|this| this.on_greeting(input)),
            Phase::Handshake => self.failing(|this| this.on_handshake(input, now_ns)),
            Phase::Failed => Err(ZmtpError::NotReady),
        }
    }

    /// Bytes were read: the peer is alive.
    pub fn heard(&mut self, now_ns: u64) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.heard(now_ns);
        }
    }

    /// Queues one message.
    ///
    /// # Errors
    /// [`ZmtpError::NotReady`] before the handshake is done, and after an error.
    pub fn send(&mut self, body: &[u8]) -> Result<(), ZmtpError> {
        if self.phase != Phase::Ready {
            return Err(ZmtpError::NotReady);
        }
        self.mechanism.seal(body, &mut self.output);
        Ok(())
    }

    /// Header of a message that the caller writes by itself, with its body behind it, in one go and whole. `None` where
    /// that is not possible: not ready, output waiting before it, or a mechanism that seals; then
    /// [`ClientConnection::send`].
    pub fn header_of(&self, body_bytes: usize) -> Option<([u8; 9], usize)> {
        let plain = matches!(self.mechanism, Mechanism::Null);
        (plain && self.phase == Phase::Ready && self.pending_output_bytes() == 0).then(|| header(0, body_bytes))
    }

    /// Queues what is left of a message that was written in part.
    pub fn queue_rest(&mut self, rest: &[u8]) {
        self.output.extend_from_slice(rest);
    }

    /// Bytes to write next.
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// How many bytes wait to be written.
    pub fn pending_output_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// The first `count` bytes of the output were written.
    pub fn advance(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.output.len());
        if self.written == self.output.len() {
            self.output.clear();
            self.output.shrink_to(KEPT_BYTES);
            self.written = 0;
            self.waiting_pong_bytes = 0;
        } else if self.written >= KEPT_BYTES && self.written * 2 >= self.output.len() {
            self.output.drain(..self.written);
            self.written = 0;
        }
    }

    /// When [`ClientConnection::on_time`] has something to do.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.heartbeat.as_ref().filter(|_| self.phase == Phase::Ready).and_then(Heartbeat::deadline_ns)
    }

    /// Lets time pass: may queue a PING. Read the socket and [`ClientConnection::heard`] first.
    ///
    /// # Errors
    /// [`ZmtpError::Protocol`] where the peer is silent.
    pub fn on_time(&mut self, now_ns: u64) -> Result<(), ZmtpError> {
        let Some(heartbeat) = self.heartbeat.as_mut().filter(|_| self.phase == Phase::Ready) else { return Ok(()) };
        match heartbeat.on_time(now_ns) {
            Beat::Nothing => {}
            // A time to live of 0: the peer is not asked to judge us.
            Beat::Ping => write_command(&mut self.output, "PING", &[0, 0]),
            Beat::Silent => {
                self.phase = Phase::Failed;
                let timeout_ms = self.times.timeout_ns / 1_000_000;
                return Err(ZmtpError::Protocol(format!(
                    "the peer fell silent: no answer to a PING in {timeout_ms} ms"
                )));
            }
        }
        Ok(())
    }

    fn failing<'a>(
        &'a mut self,
        take: impl FnOnce(&mut Self) -> Result<Step<'a>, ZmtpError>,
    ) -> Result<Step<'a>, ZmtpError> {
        let taken = take(self);
        if taken.is_err() {
            self.phase = Phase::Failed;
        }
        taken
    }

    fn on_greeting<'a>(&mut self, input: &[u8]) -> Result<Step<'a>, ZmtpError> {
        let given = &input[..input.len().min(GREETING_BYTES)];
        check_greeting(given, self.mechanism.name())?;
        if given.len() < GREETING_BYTES {
            return Ok(Step::Incomplete { bytes: GREETING_BYTES });
        }
        self.phase = Phase::Handshake;
        self.mechanism.begin(&mut self.output);
        Ok(Step::Taken { consumed: GREETING_BYTES })
    }

    fn on_handshake<'a>(&mut self, input: &[u8], now_ns: u64) -> Result<Step<'a>, ZmtpError> {
        let frame = match front(input, |_| MAX_COMMAND_BYTES)? {
            Front::Incomplete { bytes } => return Ok(Step::Incomplete { bytes }),
            Front::Whole(frame) => frame,
        };
        if !is_command(frame.flags) || frame.flags & FLAG_MORE != 0 {
            return Err(ZmtpError::Protocol("the peer sent a message before its handshake was done".to_owned()));
        }
        let (name, data) = command(frame.body)?;
        if !self.mechanism.on_command(name, data, &mut self.output)? {
            return Ok(Step::Taken { consumed: frame.bytes });
        }
        self.phase = Phase::Ready;
        self.heartbeat = Some(Heartbeat::new(self.times, now_ns));
        Ok(Step::Ready { consumed: frame.bytes })
    }

    /// Anything but a message of one part.
    fn on_frame<'a>(&mut self, frame: Frame<'_>) -> Result<Step<'a>, ZmtpError> {
        if !is_command(frame.flags) || frame.flags & FLAG_MORE != 0 {
            return Err(ZmtpError::Protocol("the peer sent a message of several parts".to_owned()));
        }
        match command(frame.body)? {
            (b"PING", data) => self.pong(data)?,
            (b"ERROR", data) => return Err(refused(data)),
            // PONG says that the peer lives, as any byte does. What else there may be is ignored, as RFC 37 asks.
            _ => {}
        }
        Ok(Step::Taken { consumed: frame.bytes })
    }

    fn pong(&mut self, ping: &[u8]) -> Result<(), ZmtpError> {
        // A time to live of two bytes, then the context.
        let context = ping.get(2..).unwrap_or_default();
        let before = self.output.len();
        write_command(&mut self.output, "PONG", &context[..context.len().min(MAX_CONTEXT_BYTES)]);
        self.waiting_pong_bytes += self.output.len() - before;
        if self.waiting_pong_bytes > MAX_WAITING_PONG_BYTES {
            return Err(ZmtpError::Protocol("the peer sends PINGs and does not read the answers".to_owned()));
        }
        Ok(())
    }
}
