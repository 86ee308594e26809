//! The reactor on a real socket, turned by hand on the test's thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocations;
mod fairness;
mod replay;

use super::*;
use crate::{cli::ServeArguments, settings};
use bridge_core::{Decimal, Quote};
use bridge_sequencer::Options;
use bridge_wire::{
    codec::{Hello, OrderFields, open},
    schema,
};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// The product's own, listening on a Unix socket in this folder.
fn settings_of(folder: &Path, durability: &str) -> settings::Settings {
    settings::load(&ServeArguments {
        zmq: vec![format!("ipc://{}", folder.join("socket").display())],
        publish: Some("tcp://127.0.0.1:0".into()),
        grpc: Some("127.0.0.1:0".into()),
        data_dir: Some(folder.join("journal")),
        durability: Some(durability.into()),
        ..ServeArguments::default()
    })
    .unwrap()
}

/// A reactor with an empty journal, listening on a Unix socket.
struct Rig {
    reactor: Reactor,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(durability: &str, spin: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let settings = settings_of(folder.path(), durability);
        let disk = RealDisk::open(&settings.data_dir).unwrap();
        let options = Options { durability: settings.durability, ..Options::default() };
        let (sequencer, _) = Sequencer::open(disk, options, settings.configuration, utc_now()).unwrap();
        let (listener, _) = Listener::bind(&settings.zmq[0], Service::Requests).unwrap();
        let waker = Waker::new().unwrap();
        let parts = Parts {
            sync: SyncThread::start(waker.clone()).unwrap(),
            waker,
            listeners: vec![listener],
            sequencer,
            orders: mpsc::channel(1).1,
            grpc_sessions: grpc::SessionBoard::new(Waker::new().unwrap()),
            grpc_connections: grpc::ConnectionCount::new(1),
            venue: None,
            limits: settings.limits,
            max_metadata_entries: 16,
            update_history: 16,
            pub_endpoint: settings.publish,
            drain: Duration::ZERO,
            snapshot_every_bytes: 0,
            spin,
            stages: Stages::default(),
        };
        let mut reactor = Reactor::new(parts).unwrap();
        reactor.end_turn();
        reactor.send_outputs();
        Self { reactor, socket, _folder: folder }
    }

    /// Turns until the client has a message, which is given back.
    fn turn_until_heard<'a>(&mut self, client: &'a mut Client) -> schema::Envelope<'a> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !client.hears() {
            assert!(Instant::now() < deadline, "no reply");
            self.reactor.turn().unwrap();
        }
        client.message()
    }

    fn client(&mut self) -> Client {
        let mut client = Client::new(UnixStream::connect(&self.socket).unwrap());
        client.journal_id = self.reactor.journal_id.to_string();
        let hello = Hello { protocol_version: bridge_wire::PROTOCOL_VERSION, ..Hello::default() };
        client.send(|encoder, _| encoder.hello(1, "", &hello).to_vec());
        // The greeting's and READY's answers come before it.
        while !client.is_welcomed() {
            self.reactor.turn().unwrap();
        }
        client
    }

    /// A market that never runs out.
    fn publish_quote(&mut self, client: &mut Client) {
        let number = |mantissa| Some(Decimal { mantissa, exponent: 0 });
        let symbol = "NASDAQ".into();
        let (bid, ask, size) = (number(100), number(101), number(1_000_000_000));
        let quote = Quote { symbol, bid, ask, bid_size: size, ask_size: size, ..Quote::default() };
        client.send(|encoder, journal| encoder.publish_quotes(2, journal, "quotes", &[quote]).to_vec());
        assert_eq!(self.turn_until_heard(client).body_type(), schema::Body::CommandReply);
    }
}

/// A DEALER in the fewest lines: it knows what the engine answers.
struct Client {
    stream: UnixStream,
    encoder: Encoder,
    journal_id: String,
    input: Vec<u8>,
    read: usize,
}

impl Client {
    fn new(mut stream: UnixStream) -> Self {
        let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
        bytes.extend_from_slice(b"NULL");
        bytes.resize(64, 0);
        bytes.extend_from_slice(b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER");
        stream.write_all(&bytes).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, encoder: Encoder::new(), journal_id: String::new(), input: Vec::with_capacity(1 << 16), read: 0 }
    }

    fn send(&mut self, encode: impl FnOnce(&mut Encoder, &str) -> Vec<u8>) {
        let body = encode(&mut self.encoder, &self.journal_id);
        let mut bytes = vec![2];
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&body);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends a market order under this correlation number.
    fn send_order(&mut self, number: u64) {
        let id = uuid::Uuid::now_v7().to_string();
        self.send(|encoder, journal| {
            let order = OrderFields {
                order_id: &id,
                symbol: "NASDAQ",
                order_type: Some(0),
                side: Some(0),
                quantity: Some(Decimal { mantissa: 2, exponent: 0 }),
                timestamp_ns: Some(1_718_000_000_000_000_000),
                metadata: &[("strategy", "crossover"), ("desk", "a desk whose name is longer than it need be")],
                contract_version: 1,
                ..OrderFields::default()
            };
            encoder.execute_order(number, journal, &order).to_vec()
        });
    }

    /// Reads what is there. True: a whole message waits in front.
    fn hears(&mut self) -> bool {
        if self.read == self.input.len() {
            self.input.clear();
            self.read = 0;
        }
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer) {
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        self.front().is_some()
    }

    /// Header and end of the frame in front, if it is whole.
    fn front(&self) -> Option<(usize, usize)> {
        let bytes = &self.input[self.read..];
        let (header, body) = match bytes {
            [flags, length, ..] if flags & 2 == 0 => (2, usize::from(*length)),
            bytes => (9, usize::try_from(u64::from_be_bytes(bytes.get(1..9)?.try_into().unwrap())).unwrap()),
        };
        (bytes.len() >= header + body).then_some((header, header + body))
    }

    fn message(&mut self) -> schema::Envelope<'_> {
        let (header, end) = self.front().unwrap();
        let at = self.read;
        self.read += end;
        open(&self.input[at + header..at + end], &DecodeLimits::OF_A_CLIENT).unwrap()
    }

    fn is_welcomed(&mut self) -> bool {
        if !self.hears() || self.input.len() < 64 {
            return false;
        }
        if self.input[0] == 0xff {
            self.read = 64;
        }
        while let Some((header, end)) = self.front() {
            let is_command = self.input[self.read] & 4 != 0;
            let body = &self.input[self.read + header..self.read + end];
            let is_welcome =
                !is_command && open(body, &DecodeLimits::OF_A_CLIENT).unwrap().body_type() == schema::Body::Welcome;
            self.read += end;
            if is_welcome {
                return true;
            }
        }
        false
    }
}
