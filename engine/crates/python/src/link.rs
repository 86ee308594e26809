//! One connection over a non-blocking socket: reads, writes and time, without Python and without waiting.
//!
//! Reading stops while a whole message waits to be taken, so that what a slow reader leaves stays in the kernel's
//! buffers, where the engine notices it.

use crate::endpoint::{Address, begin, resolve};
use bridge_wire::zmtp::{ClientConnection, ClientOptions, Step};
use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes asked for in one read.
const READ_BYTES: usize = 64 << 10;
/// What the input buffer keeps once a large message is gone.
const KEPT_BYTES: usize = 256 << 10;
/// Who sends after so long without a read looks first whether the peer is still there.
const STALE_NS: u64 = 100_000;

/// Whether a link can carry messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Shaking,
    Ready,
    Over,
}

/// What happened to a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Messages may be sent.
    Ready = 0,
    /// It is of no more use.
    Lost = 1,
}

/// What is to be waited for at the socket.
pub struct Interest {
    pub socket: Arc<OwnedFd>,
    pub flags: PollFlags,
    /// When time itself has something to do.
    pub deadline_ns: Option<u64>,
}

/// See the module. Times are nanoseconds of one monotonic clock.
pub struct Link {
    stage: Stage,
    addresses: VecDeque<Address>,
    socket: Option<Arc<OwnedFd>>,
    wire: ClientConnection,
    handshake_ends_ns: u64,
    handshake_ms: u64,
    output_bytes: usize,
    /// What was read is in `start..end`; the buffer is as long as it may be filled.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// The message that waits, within `start..end`.
    message: Option<(usize, usize)>,
    read_ns: u64,
    /// Why nothing can be written any more. What the peer has sent before that is still read.
    unwritable: Option<String>,
    changes: Vec<(Change, String)>,
}

/// Bounds and pauses of a link.
pub struct LinkOptions {
    pub wire: ClientOptions,
    pub handshake_ms: u64,
    /// Bytes that may wait for the kernel to take them; above, nothing more is accepted.
    pub output_bytes: usize,
}

impl Link {
    /// Begins to connect.
    ///
    /// # Errors
    /// Where it cannot even begin.
    pub fn new(endpoint: &str, options: &LinkOptions, now_ns: u64) -> std::io::Result<Self> {
        let mut link = Self {
            stage: Stage::Connecting,
            addresses: resolve(endpoint)?.into(),
            socket: None,
            wire: ClientConnection::new(options.wire),
            handshake_ends_ns: now_ns.saturating_add(options.handshake_ms.saturating_mul(1_000_000)),
            handshake_ms: options.handshake_ms,
            output_bytes: options.output_bytes,
            input: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            message: None,
            read_ns: now_ns,
            unwritable: None,
            changes: Vec::new(),
        };
        link.try_next_address("there is no address to connect to".to_owned());
        Ok(link)
    }

    /// Whether there is something to take: a message, or a change.
    pub fn has_news(&self) -> bool {
        self.message.is_some() || !self.changes.is_empty() || self.socket.is_none()
    }

    /// Whether bytes can travel.
    pub fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Shaking | Stage::Ready)
    }

    /// Whether there is more than messages to take.
    pub fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether requests may be sent, with nothing waiting to be taken.
    pub fn is_quiet(&self) -> bool {
        self.stage == Stage::Ready && !self.has_news() && self.wire.pending_output_bytes() == 0
    }

    /// The message that waits.
    pub fn message(&self) -> Option<&[u8]> {
        self.message.map(|(from, to)| &self.input[from..to])
    }

    /// Takes the message that waits out with its whole buffer; until [`Link::return_buffer`] nothing waits.
    pub fn lend_buffer(&mut self) -> Option<(Vec<u8>, usize, usize)> {
        self.message.take().map(|(from, to)| (std::mem::take(&mut self.input), from, to))
    }

    /// See [`Link::lend_buffer`].
    pub fn return_buffer(&mut self, (buffer, from, to): (Vec<u8>, usize, usize)) {
        self.input = buffer;
        self.message = Some((from, to));
    }

    /// The message that waited was taken; finds the next one in what was read already.
    pub fn taken(&mut self, now_ns: u64) {
        if let Some((_, to)) = self.message.take() {
            self.start = to;
            self.find_message(now_ns);
        }
    }

    /// What happened since the last call.
    pub fn take_changes(&mut self) -> Vec<(Change, String)> {
        std::mem::take(&mut self.changes)
    }

    /// Hands one message over. False: it was not accepted, and will not be sent.
    pub fn send(&mut self, body: &[u8], now_ns: u64) -> bool {
        if self.stage != Stage::Ready {
            return false;
        }
        if now_ns.saturating_sub(self.read_ns) > STALE_NS && self.message.is_none() {
            self.read(now_ns);
        }
        if self.wire.pending_output_bytes() > 0 {
            self.flush();
        }
        let waiting = self.wire.pending_output_bytes();
        let is_full = waiting > 0 && waiting + body.len() > self.output_bytes;
        if self.stage != Stage::Ready || self.unwritable.is_some() || is_full || self.wire.send(body).is_err() {
            return false;
        }
        let queued = self.wire.pending_output_bytes();
        self.flush();
        // Where not one byte of it left before the connection went, it was not sent, and will not be.
        self.unwritable.is_none() || waiting > 0 || self.wire.pending_output_bytes() != queued
    }

    /// Hands messages over that are written together: how many were accepted, the first of them. What was accepted may
    /// have been sent, also where the connection goes meanwhile.
    pub fn send_all<'a>(&mut self, bodies: impl Iterator<Item = &'a [u8]>, now_ns: u64) -> usize {
        if now_ns.saturating_sub(self.read_ns) > STALE_NS && self.message.is_none() && self.stage == Stage::Ready {
            self.read(now_ns);
        }
        let mut accepted = 0;
        for body in bodies {
            let waiting = self.wire.pending_output_bytes();
            let is_full = waiting > 0 && waiting + body.len() > self.output_bytes;
            if self.stage != Stage::Ready || self.unwritable.is_some() || is_full || self.wire.send(body).is_err() {
                break;
            }
            accepted += 1;
        }
        if accepted > 0 {
            self.flush();
        }
        accepted
    }

    /// Does what can be done without waiting; `flags` is what poll said of the socket.
    pub fn proceed(&mut self, flags: PollFlags, now_ns: u64) {
        if self.stage == Stage::Connecting {
            if flags.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP) {
                self.finish_connecting();
            }
        } else if self.message.is_none()
            && (self.unwritable.is_some() || flags.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP))
        {
            self.read(now_ns);
        }
        if self.wire.pending_output_bytes() > 0 {
            self.flush();
        }
        self.on_time(now_ns);
    }

    /// Reads what is there, once, and finds the message in it.
    pub fn read(&mut self, now_ns: u64) {
        let Some(socket) = self.socket.clone().filter(|_| self.stage != Stage::Connecting) else { return };
        self.make_room();
        match recv(&*socket, &mut self.input[self.end..], RecvFlags::empty()) {
            Ok((0, _)) => self.lose("the engine closed the connection".to_owned()),
            Ok((count, _)) => {
                self.end += count;
                self.read_ns = now_ns;
                self.wire.heard(now_ns);
                self.find_message(now_ns);
            }
            Err(Errno::AGAIN) => {
                if let Some(reason) = self.unwritable.take() {
                    self.lose(reason);
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => self.lose(format!("the connection was lost: {error}")),
        }
    }

    /// What to wait for; `None` where there is nothing to wait for any more.
    pub fn interest(&self) -> Option<Interest> {
        let socket = self.socket.clone()?;
        let mut flags = if self.stage == Stage::Connecting { PollFlags::OUT } else { PollFlags::IN };
        if self.stage != Stage::Connecting && self.wire.pending_output_bytes() > 0 {
            flags |= PollFlags::OUT;
        }
        let shaking = matches!(self.stage, Stage::Connecting | Stage::Shaking).then_some(self.handshake_ends_ns);
        Some(Interest { socket, flags, deadline_ns: shaking.or_else(|| self.wire.deadline_ns()) })
    }

    /// Drops the connection, and what was accepted but not written.
    pub fn close(&mut self) {
        self.stage = Stage::Over;
        self.socket = None;
        self.message = None;
    }

    fn on_time(&mut self, now_ns: u64) {
        match self.stage {
            Stage::Connecting | Stage::Shaking if now_ns >= self.handshake_ends_ns => {
                self.lose(format!("no ZMTP handshake within {} ms", self.handshake_ms));
            }
            // Who has left messages unread cannot judge the peer's silence.
            Stage::Ready if self.message.is_none() => {
                if let Err(silence) = self.wire.on_time(now_ns) {
                    self.lose(silence.to_string());
                } else if self.wire.pending_output_bytes() > 0 {
                    self.flush();
                }
            }
            _ => {}
        }
    }

    fn try_next_address(&mut self, mut reason: String) {
        while let Some(address) = self.addresses.pop_front() {
            match begin(&address) {
                Ok(socket) => {
                    self.socket = Some(Arc::new(socket));
                    return;
                }
                Err(error) => reason = format!("nobody answers at the endpoint: {error}"),
            }
        }
        self.lose(reason);
    }

    fn finish_connecting(&mut self) {
        let Some(socket) = &self.socket else { return };
        match sockopt::socket_error(&**socket) {
            Ok(Ok(())) => {
                self.stage = Stage::Shaking;
                self.flush();
            }
            Ok(Err(error)) | Err(error) => {
                self.socket = None;
                self.try_next_address(format!("nobody answers at the endpoint: {error}"));
            }
        }
    }

    fn flush(&mut self) {
        // What was once said not to be sent must not leave after all, should the socket take bytes again.
        while self.unwritable.is_none() && self.wire.pending_output_bytes() > 0 {
            let Some(socket) = &self.socket else { return };
            match send(&**socket, self.wire.output(), SendFlags::NOSIGNAL) {
                Ok(count) => self.wire.advance(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    self.unwritable.get_or_insert_with(|| format!("the connection was lost: {error}"));
                    return;
                }
            }
        }
    }

    /// Steps through what was read until a message waits.
    fn find_message(&mut self, now_ns: u64) {
        while self.message.is_none() && self.stage != Stage::Over {
            match self.wire.step(&self.input[self.start..self.end], now_ns) {
                Ok(Step::Incomplete { .. }) => break,
                Ok(Step::Taken { consumed }) => self.start += consumed,
                Ok(Step::Ready { consumed }) => {
                    self.start += consumed;
                    self.stage = Stage::Ready;
                    self.changes.push((Change::Ready, String::new()));
                }
                // Mechanism NULL leaves a body where it was read, at its frame's end. One that opens sealed bodies
                // would have to be copied here.
                Ok(Step::Message { consumed, body }) => {
                    let to = self.start + consumed;
                    self.message = Some((to - body.len(), to));
                }
                Err(error) => self.lose(error.to_string()),
            }
        }
        if self.message.is_none() && self.wire.pending_output_bytes() > 0 && self.stage != Stage::Over {
            self.flush();
        }
    }

    /// Room behind `end`: what was taken makes place, and the buffer doubles where a frame needs more.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.input.len() > KEPT_BYTES {
                self.input.truncate(READ_BYTES);
                self.input.shrink_to(READ_BYTES);
            }
        } else if self.start > 0 && self.input.len() - self.end < READ_BYTES / 2 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() {
            // A message above its limit was refused by its header: the frame being read fits twice its size.
            self.input.resize(2 * self.end.max(READ_BYTES / 2), 0);
        }
    }

    fn lose(&mut self, reason: String) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.socket = None;
            self.changes.push((Change::Lost, reason));
        }
    }
}
