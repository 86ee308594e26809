//! The link to a venue in another process: a Unix stream of JSON lines, non-blocking, that reconnects.
//!
//! The venue may outlive the engine and the engine the venue. At most once: a command is handed to one connection,
//! once, and never repeated. What became of it is asked after a reconnect (`reconcile`), and the asking fences it.
//! Reports carry numbers; after a reconnect in the same process those behind the last one taken are repeated, after a
//! restart of the engine all are, and those that change nothing are ignored by the core. See docs/venue-protocol.md.

mod words;

pub use words::{Known, Said, command, hello, read, reconcile};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use serde_json::Value;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Back-off between attempts to connect.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// A line that is longer ends the connection.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Commands that the venue does not read: above, the connection is ended, and what it had not taken is asked for.
const MAX_UNWRITTEN_BYTES: usize = 16 << 20;
/// While the link stands there is nothing to time.
const NO_TIMER: Duration = Duration::from_secs(3_600);

enum State {
    Down { retry_at: Instant, back_off: Duration },
    Up(Connection),
}

struct Connection {
    socket: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// See the module's documentation.
pub struct VenueLink {
    path: PathBuf,
    state: State,
    /// Number of the last report that was taken.
    pub last_report: u64,
}

impl VenueLink {
    /// A link that connects with the first turn.
    pub fn new(path: PathBuf) -> Self {
        Self { path, state: State::Down { retry_at: Instant::now(), back_off: FIRST_RETRY }, last_report: 0 }
    }

    /// How long it can wait.
    pub fn timeout(&self) -> Duration {
        match &self.state {
            State::Down { retry_at, .. } => retry_at.saturating_duration_since(Instant::now()),
            State::Up(_) => NO_TIMER,
        }
    }

    /// Connects if it is down and its pause is over. True: a new connection stands.
    pub fn try_connect(&mut self) -> bool {
        let State::Down { retry_at, back_off } = &self.state else { return false };
        let back_off = *back_off;
        let now = Instant::now();
        if now < *retry_at {
            return false;
        }
        match self.open() {
            Ok(socket) => {
                self.state = State::Up(Connection { socket, input: Vec::new(), output: Vec::new() });
                true
            }
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "cannot connect to the venue");
                self.state = State::Down { retry_at: now + back_off, back_off: (back_off * 2).min(LAST_RETRY) };
                false
            }
        }
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let address = SocketAddrUnix::new(&self.path)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // A Unix socket connects at once or not at all.
        connect(&socket, &address)?;
        Ok(socket)
    }

    /// Ends the connection. What it had not taken is dropped: it is asked for when the next one stands.
    pub fn disconnect(&mut self, why: &str) {
        if let State::Up(_) = self.state {
            tracing::warn!(path = %self.path.display(), why, "the venue's connection ended");
            self.state = State::Down { retry_at: Instant::now() + FIRST_RETRY, back_off: FIRST_RETRY };
        }
    }

    /// Its socket while it stands.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Up(connection) => Some(connection.socket.as_fd()),
            State::Down { .. } => None,
        }
    }

    /// Queues a line; without a connection it is dropped.
    pub fn say(&mut self, line: &Value) {
        let State::Up(connection) = &mut self.state else { return };
        connection.output.extend_from_slice(line.to_string().as_bytes());
        connection.output.push(b'\n');
        if connection.output.len() > MAX_UNWRITTEN_BYTES {
            self.disconnect("it does not read its commands");
        }
    }

    /// Writes what waits, as far as the socket takes it; says whether anything waits still.
    pub fn write(&mut self) -> bool {
        let State::Up(connection) = &mut self.state else { return false };
        while !connection.output.is_empty() {
            match rustix::net::send(&connection.socket, &connection.output, rustix::net::SendFlags::NOSIGNAL) {
                Ok(count) => drop(connection.output.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(error) => {
                    self.disconnect(&error.to_string());
                    return false;
                }
            }
        }
        false
    }

    /// Reads what is there; gives the whole lines.
    pub fn read(&mut self) -> Vec<String> {
        let State::Up(connection) = &mut self.state else { return Vec::new() };
        let mut buffer = [0u8; 16 << 10];
        match rustix::io::read(&connection.socket, &mut buffer) {
            Ok(0) => {
                self.disconnect("the venue closed it");
                return Vec::new();
            }
            Ok(count) => connection.input.extend_from_slice(&buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => return Vec::new(),
            Err(error) => {
                self.disconnect(&error.to_string());
                return Vec::new();
            }
        }
        let Some(end) = connection.input.iter().rposition(|byte| *byte == b'\n') else {
            if connection.input.len() > MAX_LINE_BYTES {
                self.disconnect("a line of more than a megabyte");
            }
            return Vec::new();
        };
        let lines = connection.input.drain(..=end).collect::<Vec<_>>();
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(text).collect()
    }
}

/// What is no UTF-8 is no JSON either, and is named as such when it is parsed.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
