//! Our reading of frames against omq-proto's: the same bytes, however they are cut, come to the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rfc37;

use bridge_wire::zmtp::{Event, ServerConnection, SocketRole, ZmtpError, ZmtpLimits};
use omq_proto::proto::{Command, Connection, ConnectionConfig, Event as CodecEvent, Role, SocketType};
use proptest::prelude::*;
use rfc37::{greeting, ready};

/// No property here comes near the output that would pause it.
const LIMITS: ZmtpLimits =
    ZmtpLimits { max_handshake_bytes: 4096, max_message_bytes: 1000, pause_input_above_bytes: 1 << 20 };
/// What our limit comes to in omq-proto's count: 8 parts of 64 bytes more.
const CODEC_LIMIT: usize = 1000 + 8 * 64;

/// What a stream of bytes comes to.
#[derive(PartialEq, Eq, Debug, Default)]
struct Heard {
    messages: Vec<Vec<Vec<u8>>>,
    topics: Vec<(bool, Vec<u8>)>,
    output: Vec<u8>,
    /// `true`: a message was too large; `false`: the protocol was broken.
    failed: Option<bool>,
}

fn handshake(peer: &str) -> Vec<u8> {
    [greeting(b"NULL", 1), ready(peer)].concat()
}

/// Reads `bytes` cut into `pieces`, over and over.
fn ours(role: SocketRole, peer: &str, bytes: &[u8], pieces: &[usize]) -> Heard {
    let bytes = [&handshake(peer), bytes].concat();
    let mut connection = ServerConnection::new(role, LIMITS);
    let mut heard = Heard::default();
    let (mut rest, mut sizes) = (&bytes[..], pieces.iter().cycle());
    while !rest.is_empty() && heard.failed.is_none() {
        let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = behind;
        connection.receive(piece).unwrap();
        poll(&mut connection, role, &mut heard);
    }
    heard.output = connection.output().to_vec();
    heard
}

fn poll(connection: &mut ServerConnection, role: SocketRole, heard: &mut Heard) {
    loop {
        match connection.poll() {
            Ok(None) => return,
            Ok(Some(Event::HandshakeDone)) => {}
            Ok(Some(Event::Subscribe(topic))) => heard.topics.push((true, topic.to_vec())),
            Ok(Some(Event::Unsubscribe(topic))) => heard.topics.push((false, topic.to_vec())),
            Ok(Some(Event::Message(parts))) => {
                assert_eq!(role, SocketRole::Router);
                assert_eq!(parts.single().is_some(), parts.count() == 1);
                let copied = (0..parts.count()).map(|index| parts.get(index).unwrap().to_vec());
                heard.messages.push(copied.collect());
            }
            Err(error) => {
                heard.failed = Some(matches!(error, ZmtpError::MessageTooLarge { .. }));
                return;
            }
        }
    }
}

fn theirs(role: SocketRole, peer: &str, bytes: &[u8]) -> Heard {
    let socket = if role == SocketRole::Router { SocketType::Router } else { SocketType::Pub };
    let mut codec = Connection::new(ConnectionConfig::new(Role::Server, socket).max_message_size(CODEC_LIMIT));
    let mut heard = Heard::default();
    let given = [&handshake(peer), bytes].concat();
    if let Err(error) = codec.handle_input(given.into()) {
        heard.failed = Some(matches!(error, omq_proto::Error::MessageTooLarge { .. }));
    }
    while let Some(event) = codec.poll_event() {
        match event {
            CodecEvent::Command(Command::Subscribe(topic)) if role == SocketRole::Publisher => {
                heard.topics.push((true, topic.to_vec()));
            }
            CodecEvent::Command(Command::Cancel(topic)) if role == SocketRole::Publisher => {
                heard.topics.push((false, topic.to_vec()));
            }
            _ => {}
        }
    }
    while let Some(message) = codec.poll_message() {
        let parts: Vec<Vec<u8>> = (0..message.len()).map(|part| message.part_slice(part).unwrap().to_vec()).collect();
        match (role, &parts[..]) {
            (SocketRole::Router, _) => heard.messages.push(parts),
            (SocketRole::Publisher, [part]) if part.first() == Some(&1) => {
                heard.topics.push((true, part[1..].to_vec()))
            }
            (SocketRole::Publisher, [part]) if part.first() == Some(&0) => {
                heard.topics.push((false, part[1..].to_vec()))
            }
            _ => {}
        }
    }
    heard.output = codec.poll_transmit().to_vec();
    heard
}

/// The older protocol's subscriptions and the newer's come out of two queues there, and in their order here.
fn sorted(mut heard: Heard) -> Heard {
    heard.topics.sort();
    heard
}

fn frame(flags: u8, long: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = if long || body.len() > 255 {
        let mut header = vec![flags | 2];
        header.extend_from_slice(&(body.len() as u64).to_be_bytes());
        header
    } else {
        vec![flags, body.len() as u8]
    };
    bytes.extend_from_slice(body);
    bytes
}

fn named(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(move |rest| {
        let mut body = vec![name.len() as u8];
        body.extend_from_slice(name.as_bytes());
        body.extend(rest);
        body
    })
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        4 => named("PING"), 2 => named("PONG"), 4 => named("SUBSCRIBE"), 4 => named("CANCEL"), 2 => named("JOIN"),
        2 => named("OTHER"), 1 => named("READY"), 1 => named("ERROR"), 1 => named("N0PE"),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    (known, any::<bool>()).prop_map(|(body, long)| frame(4, long, &body))
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        8 => prop::collection::vec(0..4_u8, 0..40),
        2 => prop::collection::vec(any::<u8>(), 200..600),
        1 => prop::collection::vec(any::<u8>(), 900..1600),
    ];
    (body, prop_oneof![3 => Just(0_u8), 1 => Just(1)], any::<bool>())
        .prop_map(|(body, more, long)| frame(more, long, &body))
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![6 => part(), 4 => command(), 1 => prop::collection::vec(any::<u8>(), 1..10)];
    prop::collection::vec(piece, 1..20).prop_map(|pieces| pieces.concat())
}

fn role() -> impl Strategy<Value = (SocketRole, &'static str)> {
    prop_oneof![Just((SocketRole::Router, "DEALER")), Just((SocketRole::Publisher, "SUB"))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn frames_come_to_what_omq_proto_makes_of_them_however_the_stream_is_cut(
        (role, peer) in role(),
        bytes in stream(),
        pieces in prop::collection::vec(1..300_usize, 1..12),
    ) {
        prop_assert_eq!(sorted(ours(role, peer, &bytes, &pieces)), sorted(theirs(role, peer, &bytes)));
    }

    #[test]
    fn damaged_frames_come_to_what_omq_proto_makes_of_them(
        (role, peer) in role(),
        bytes in stream(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pieces in prop::collection::vec(1..300_usize, 1..12),
    ) {
        let mut bytes = bytes;
        for (index, value) in damage {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        prop_assert_eq!(sorted(ours(role, peer, &bytes, &pieces)), sorted(theirs(role, peer, &bytes)));
    }
}
