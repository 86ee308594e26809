//! One connection of the fast path: its socket, its ZMTP state, and what it is to us.

use super::{
    listener::{Service, Stream},
    poller::Interest,
};
use bridge_sequencer::Origin;
use bridge_wire::zmtp::{ServerConnection, SocketRole, Subscriptions, ZmtpLimits};
use std::{io, time::Instant};

/// What the peer is.
pub enum Role {
    /// Sends requests.
    Client(Client),
    /// Listens to market data and notices.
    Subscriber(Subscriptions),
}

/// A connection that sends requests.
#[derive(Default)]
pub struct Client {
    /// Set by Hello: who asks, in which session.
    pub origin: Option<Origin>,
    /// Requests that are not answered yet.
    pub in_flight: usize,
    /// Update subscriptions.
    pub subscriptions: usize,
}

/// How far a connection's end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It lives.
    No,
    /// What waits is written, then, after a pause, our half is closed. libzmq throws away what its application has
    /// not read when a connection ends, so a last word needs a moment to be heard.
    Flushing {
        /// Not closed before.
        half_close_at: Instant,
        /// Dropped then.
        deadline: Instant,
    },
    /// Our half is closed: read until the peer closes too, or the instant comes. Closing with input unread would
    /// reset the connection and take from the peer what it has not read yet.
    HalfClosed(Instant),
}

/// One connection.
pub struct Peer {
    /// Its socket.
    pub stream: Stream,
    /// Its ZMTP state.
    pub zmtp: ServerConnection,
    /// What it is.
    pub role: Role,
    /// Where it is from, for logs.
    pub from: String,
    /// When it came.
    pub since: Instant,
    /// How far its end has come.
    pub ending: Ending,
    /// What epoll watches for.
    pub interest: Interest,
    /// Something came since this was last looked at.
    pub busy: bool,
    /// Already on the list of connections to write to.
    pub listed: bool,
    /// One too many: told so after its handshake.
    pub refused: bool,
}

/// What a read gave.
pub enum Read {
    /// This many bytes.
    Bytes(usize),
    /// Nothing just now.
    Nothing,
    /// The peer has closed, or the connection is broken.
    End,
}

impl Peer {
    /// A connection that was just accepted.
    pub fn new(stream: Stream, from: String, service: Service, limits: ZmtpLimits) -> Self {
        let (role, socket) = match service {
            Service::Requests => (Role::Client(Client::default()), SocketRole::Router),
            Service::Publications => (Role::Subscriber(Subscriptions::default()), SocketRole::Publisher),
        };
        Self {
            stream,
            zmtp: ServerConnection::new(socket, limits),
            role,
            from,
            since: Instant::now(),
            ending: Ending::No,
            interest: Interest::READ,
            busy: true,
            listed: false,
            refused: false,
        }
    }

    /// Its client side, if it is one.
    pub fn client(&mut self) -> Option<&mut Client> {
        match &mut self.role {
            Role::Client(client) => Some(client),
            Role::Subscriber(_) => None,
        }
    }

    /// Whether it is a ZMTP peer, and has said Hello if that is expected of it: subscribers say nothing.
    pub fn is_introduced(&self) -> bool {
        let greeted = match &self.role {
            Role::Client(client) => client.origin.is_some(),
            Role::Subscriber(_) => true,
        };
        greeted && self.zmtp.is_ready()
    }

    /// Whether [`Peer::read`] makes sense without asking epoll.
    pub fn may_be_read(&self) -> bool {
        self.ending == Ending::No && self.zmtp.accepts_input()
    }

    /// Reads once.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        match self.stream.read(buffer) {
            Ok(0) => Read::End,
            Ok(count) => Read::Bytes(count),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Read::Nothing,
            Err(_) => Read::End,
        }
    }

    /// Writes what waits, as far as the socket takes it. False: the connection is broken.
    pub fn write(&mut self) -> bool {
        while self.zmtp.pending_output_bytes() > 0 {
            match self.stream.write(self.zmtp.output()) {
                Ok(0) => return false,
                Ok(count) => self.zmtp.advance(count),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// What to be told of next: input unless too much output waits, room if any output waits.
    pub fn wanted(&self) -> Interest {
        let read = self.ending != Ending::No || self.zmtp.accepts_input();
        Interest { read, write: self.zmtp.pending_output_bytes() > 0 }
    }
}
