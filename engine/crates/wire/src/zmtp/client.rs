//! A DEALER's end of one connection (RFC 37), as a state machine without sockets or timers.
//!
//! Written out rather than taken from omq-proto, because a client's way is short and hot: frames are read where they
//! lie, and nothing is allocated for a message.

use super::ZmtpError;
use super::client_frames::{Front, GREETING_BYTES, check_greeting, front, greeting};
use super::client_heartbeat::{Beat, Heartbeat, HeartbeatTimes};
use super::client_mechanism::{Mechanism, refused};
use super::commands::{name_and_data, write_command};
use super::frames::FrameHeader;
use super::output::OutputBuffer;

/// Bytes of one command (READY with its properties is the largest).
const MAX_COMMAND_BYTES: usize = 8 << 10;
/// Bytes of a PING's context that a PONG brings back (RFC 37).
const MAX_CONTEXT_BYTES: usize = 16;
/// PONGs that may wait to be written: a peer that PINGs and never reads is given up.
const MAX_WAITING_PONG_BYTES: usize = 64 << 10;

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
    output: OutputBuffer,
    waiting_pong_bytes: usize,
}

impl ClientConnection {
    /// A connection that was just made; its greeting is in the output already.
    pub fn new(options: ClientOptions) -> Self {
        let mechanism = Mechanism::Null;
        let mut output = OutputBuffer::default();
        output.end().extend_from_slice(&greeting(mechanism.name()));
        Self {
            phase: Phase::Greeting,
            output,
            mechanism,
            max_message_bytes: options.max_message_bytes,
            times: options.heartbeat,
            heartbeat: None,
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
                match front(input, |header| if header.is_command() { MAX_COMMAND_BYTES } else { limit }) {
                    Ok(Front::Whole(header, body)) if !header.is_command() && !header.has_more() => {
                        let consumed = header.frame_bytes();
                        self.mechanism.open(body).map(|body| Step::Message { consumed, body })
                    }
                    Ok(Front::Whole(header, body)) => self.failing(|this| this.on_frame(header, body)),
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
        self.mechanism.seal(body, self.output.end());
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

    /// The first `count` bytes of the output were written.
    pub fn advance(&mut self, count: usize) {
        self.output.advance(count);
        if self.output.pending_bytes() == 0 {
            self.waiting_pong_bytes = 0;
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
            Beat::Ping => write_command(self.output.end(), "PING", &[0, 0]),
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
        self.mechanism.begin(self.output.end());
        Ok(Step::Taken { consumed: GREETING_BYTES })
    }

    fn on_handshake<'a>(&mut self, input: &[u8], now_ns: u64) -> Result<Step<'a>, ZmtpError> {
        let (header, body) = match front(input, |_| MAX_COMMAND_BYTES)? {
            Front::Incomplete { bytes } => return Ok(Step::Incomplete { bytes }),
            Front::Whole(header, body) => (header, body),
        };
        if !header.is_command() {
            return Err(ZmtpError::Protocol("the peer sent a message before its handshake was done".to_owned()));
        }
        let (name, data) = name_and_data(body)?;
        let consumed = header.frame_bytes();
        if !self.mechanism.on_command(name, data, self.output.end())? {
            return Ok(Step::Taken { consumed });
        }
        self.phase = Phase::Ready;
        self.heartbeat = Some(Heartbeat::new(self.times, now_ns));
        Ok(Step::Ready { consumed })
    }

    /// Anything but a message of one part.
    fn on_frame<'a>(&mut self, header: FrameHeader, body: &[u8]) -> Result<Step<'a>, ZmtpError> {
        if !header.is_command() {
            return Err(ZmtpError::Protocol("the peer sent a message of several parts".to_owned()));
        }
        match name_and_data(body)? {
            (b"PING", data) => self.pong(data)?,
            (b"ERROR", data) => return Err(refused(data)),
            // PONG says that the peer lives, as any byte does. What else there may be is ignored, as RFC 37 asks.
            _ => {}
        }
        Ok(Step::Taken { consumed: header.frame_bytes() })
    }

    fn pong(&mut self, ping: &[u8]) -> Result<(), ZmtpError> {
        // A time to live of two bytes, then the context.
        let context = ping.get(2..).unwrap_or_default();
        let before = self.output.pending_bytes();
        write_command(self.output.end(), "PONG", &context[..context.len().min(MAX_CONTEXT_BYTES)]);
        self.waiting_pong_bytes += self.output.pending_bytes() - before;
        if self.waiting_pong_bytes > MAX_WAITING_PONG_BYTES {
            return Err(ZmtpError::Protocol("the peer sends PINGs and does not read the answers".to_owned()));
        }
        Ok(())
    }
}
