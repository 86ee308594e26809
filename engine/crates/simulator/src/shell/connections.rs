//! Connections: who is there, and what was said to them that they have not read.

use bridge_sequencer::Origin;
use std::collections::{BTreeMap, VecDeque};

/// What was said, to which connection; no message: its end.
pub type Said = Vec<(u64, Option<Vec<u8>>)>;

/// How a connection came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    /// The fast path: Hello first, one order of messages.
    Zmq,
    /// The full service: every message is a call of its own.
    Grpc,
}

/// One connection.
pub struct Connection {
    pub path: Path,
    /// Set by Hello; from the start on gRPC.
    pub origin: Option<Origin>,
    /// The session that the connection stands for.
    pub session: Option<String>,
    /// Requests that are not answered.
    pub in_flight: usize,
    pub subscriptions: usize,
    /// Bytes that were said and not read.
    pub unread_bytes: usize,
    /// Whether the client reads what is said to it.
    pub is_reading: bool,
    /// The engine has said its last word.
    pub is_ending: bool,
    /// Messages that wait until the client has read more.
    pub waiting: VecDeque<Vec<u8>>,
}

/// All of them, and what was said to them.
#[derive(Default)]
pub struct Connections {
    open: BTreeMap<u64, Connection>,
    last: u64,
    /// In order, over all connections; no message: the end of the connection.
    said: VecDeque<(u64, Option<Vec<u8>>)>,
}

impl Connections {
    /// One more; its number.
    pub fn add(&mut self, path: Path, origin: Option<Origin>) -> u64 {
        self.last += 1;
        let connection = Connection {
            path,
            origin,
            session: None,
            in_flight: 0,
            subscriptions: 0,
            unread_bytes: 0,
            is_reading: true,
            is_ending: false,
            waiting: VecDeque::new(),
        };
        self.open.insert(self.last, connection);
        self.last
    }

    /// One that is there and not ending.
    pub fn get(&self, number: u64) -> Option<&Connection> {
        self.open.get(&number).filter(|connection| !connection.is_ending)
    }

    /// As [`Connections::get`], to change it.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.open.get_mut(&number).filter(|connection| !connection.is_ending)
    }

    /// One that is there, though it may be ending.
    pub fn any_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.open.get_mut(&number)
    }

    /// How many stand for this session.
    pub fn of_session(&self, session_id: &str) -> usize {
        self.open.values().filter(|one| one.session.as_deref() == Some(session_id)).count()
    }

    /// The numbers of all.
    pub fn numbers(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// The client is gone: what it has not read is lost. Gives the session that the connection stood for.
    pub fn remove(&mut self, number: u64) -> Option<String> {
        let removed = self.open.remove(&number)?;
        self.said.retain(|(to, _)| *to != number);
        removed.session
    }

    /// Says something; dropped where the connection is gone or ending.
    pub fn say(&mut self, number: u64, bytes: &[u8]) {
        if let Some(connection) = self.get_mut(number) {
            connection.unread_bytes += bytes.len();
            self.said.push_back((number, Some(bytes.to_vec())));
        }
    }

    /// Ends a connection behind what was said.
    pub fn end(&mut self, number: u64) {
        if let Some(connection) = self.get_mut(number) {
            connection.is_ending = true;
            self.said.push_back((number, None));
        }
    }

    /// Ends a connection at once: what was said and not read is lost.
    pub fn break_off(&mut self, number: u64) {
        self.said.retain(|(to, _)| *to != number);
        if let Some(connection) = self.any_mut(number) {
            connection.unread_bytes = 0;
            connection.is_ending = true;
            connection.is_reading = true; // the end of a connection is noticed without reading
            self.said.push_back((number, None));
        }
    }

    /// What those who read are given, in order, and the sessions whose connections that ended.
    pub fn take(&mut self) -> (Said, Vec<String>) {
        let said = std::mem::take(&mut self.said);
        let mut taken = Vec::with_capacity(said.len());
        let mut ended = Vec::new();
        for (number, message) in said {
            let Some(connection) = self.open.get_mut(&number) else { continue };
            if !connection.is_reading {
                self.said.push_back((number, message));
                continue;
            }
            match &message {
                Some(bytes) => connection.unread_bytes -= bytes.len(),
                None => ended.extend(self.open.remove(&number).and_then(|connection| connection.session)),
            }
            taken.push((number, message));
        }
        (taken, ended)
    }
}
