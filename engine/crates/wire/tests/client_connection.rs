//! A DEALER's end against bytes as RFC 37 writes them, against the engine's own end, and against hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rfc37;

use bridge_wire::zmtp::{
    ClientConnection, ClientOptions, Event, HeartbeatTimes, ServerConnection, SocketRole, Step, ZmtpError, ZmtpLimits,
};
use proptest::prelude::*;
use rfc37::{command, frame, greeting, ready};

const MS: u64 = 1_000_000;
const OPTIONS: ClientOptions =
    ClientOptions { max_message_bytes: 1000, heartbeat: HeartbeatTimes { interval_ns: 50 * MS, timeout_ns: 150 * MS } };

type Messages = Vec<Vec<u8>>;

/// Steps through `input` as a carrier does, `step` bytes read at a time; what came, or what ended it.
fn feed(connection: &mut ClientConnection, input: &[u8], step: usize) -> Result<Messages, (Messages, ZmtpError)> {
    let (mut unread, mut messages) = (Vec::new(), Vec::new());
    for chunk in input.chunks(step.max(1)) {
        unread.extend_from_slice(chunk);
        let mut taken = 0;
        loop {
            match connection.step(&unread[taken..], 0) {
                Ok(Step::Incomplete { .. }) => break,
                Ok(Step::Taken { consumed } | Step::Ready { consumed }) => taken += consumed,
                Ok(Step::Message { consumed, body }) => {
                    messages.push(body.to_vec());
                    taken += consumed;
                }
                Err(error) => return Err((messages, error)),
            }
            assert!(taken <= unread.len());
        }
        unread.drain(..taken);
    }
    Ok(messages)
}

fn drain(connection: &mut ClientConnection) -> Vec<u8> {
    let bytes = connection.output().to_vec();
    connection.advance(bytes.len());
    bytes
}

fn connected() -> ClientConnection {
    let mut connection = ClientConnection::new(OPTIONS);
    assert!(feed(&mut connection, &[greeting(b"NULL", 1), ready("ROUTER")].concat(), 1000).unwrap().is_empty());
    assert!(connection.is_ready());
    drain(&mut connection);
    connection
}

fn protocol_error(connection: &mut ClientConnection, input: &[u8]) -> String {
    match feed(connection, input, 7) {
        Err((_, ZmtpError::Protocol(reason))) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_greets_says_ready_and_frames_its_messages_as_the_rfc_does() {
    let mut connection = ClientConnection::new(OPTIONS);
    assert_eq!(drain(&mut connection), greeting(b"NULL", 1));
    assert_eq!(connection.send(b"early"), Err(ZmtpError::NotReady));
    feed(&mut connection, &greeting(b"NULL", 1), 64).unwrap();
    let mut announced = [&ready("DEALER")[..], &[8], b"Identity", &[0; 4]].concat();
    announced[1] += 13;
    assert_eq!(drain(&mut connection), announced);
    feed(&mut connection, &ready("ROUTER"), 64).unwrap();
    for length in [0, 1, 255, 256, 70_000] {
        let body = vec![5; length];
        connection.send(&body).unwrap();
        assert_eq!(drain(&mut connection), frame(0, &body));
    }
}

#[test]
fn a_client_and_the_engine_s_own_end_understand_each_other() {
    let limits = ZmtpLimits { max_handshake_bytes: 4096, max_message_bytes: 1000, pause_input_above_bytes: 4096 };
    let mut engine = ServerConnection::new(SocketRole::Router, limits);
    let mut client = ClientConnection::new(OPTIONS);
    for _ in 0..3 {
        engine.receive(&drain(&mut client)).unwrap();
        let bytes = engine.output().to_vec();
        engine.advance(bytes.len());
        feed(&mut client, &bytes, 5).unwrap();
    }
    assert!(client.is_ready() && engine.is_ready());
    client.send(b"order").unwrap();
    engine.receive(&drain(&mut client)).unwrap();
    assert!(matches!(engine.poll(), Ok(Some(Event::HandshakeDone))));
    assert!(matches!(engine.poll(), Ok(Some(Event::Message(parts))) if parts.single() == Some(b"order")));
    engine.send(&[3; 600]).unwrap();
    assert_eq!(feed(&mut client, engine.output(), 100).unwrap(), [vec![3; 600]]);
}

#[test]
fn messages_cut_anywhere_arrive_whole_and_in_order() {
    let bytes = [greeting(b"NULL", 1), ready("ROUTER"), frame(0, b"one"), frame(0, &[9; 300]), frame(0, b"")].concat();
    for cut in 1..bytes.len() {
        let mut connection = ClientConnection::new(OPTIONS);
        assert_eq!(feed(&mut connection, &bytes, cut).unwrap(), [b"one".to_vec(), vec![9; 300], Vec::new()], "{cut}");
    }
}

#[test]
fn a_message_above_the_limit_is_refused_by_its_header_and_what_came_before_it_still_counts() {
    let mut connection = connected();
    let header = [&[2][..], &(1_u64 << 40).to_be_bytes()].concat();
    let (messages, error) = feed(&mut connection, &[frame(0, b"before"), header].concat(), 1000).unwrap_err();
    assert_eq!(messages, [b"before".to_vec()]);
    assert_eq!(error, ZmtpError::MessageTooLarge { size_bytes: 1 << 40, max_bytes: 1000 });
    assert_eq!(connection.step(&frame(0, b"after"), 0), Err(ZmtpError::NotReady));
    assert_eq!(connection.send(b"after"), Err(ZmtpError::NotReady));
}

#[test]
fn whoever_is_no_router_of_zmtp_3_with_the_same_mechanism_is_named() {
    let fresh = || ClientConnection::new(OPTIONS);
    assert!(protocol_error(&mut fresh(), b"HTTP/1.1 400 Bad Request\r\n").contains("does not speak ZMTP"));
    let mut older = greeting(b"NULL", 1);
    older[10] = 1;
    assert!(protocol_error(&mut fresh(), &older).contains("speaks ZMTP 1"));
    assert!(protocol_error(&mut fresh(), &greeting(b"CURVE", 1)).contains("\"CURVE\", this client's \"NULL\""));
    assert!(protocol_error(&mut fresh(), &[greeting(b"NULL", 1), ready("PUB")].concat()).contains("is a \"PUB\""));
    assert!(
        protocol_error(&mut fresh(), &[greeting(b"NULL", 1), frame(0, b"early")].concat())
            .contains("before its handshake")
    );
    let refusal = command("ERROR", b"\x02noise");
    assert!(
        protocol_error(&mut fresh(), &[greeting(b"NULL", 1), refusal.clone()].concat())
            .contains("refused the connection: \"no\"")
    );
    assert!(protocol_error(&mut connected(), &refusal).contains("refused"));
    assert!(protocol_error(&mut connected(), &frame(1, b"part")).contains("several parts"));
    let endless = [&[2][..], &u64::MAX.to_be_bytes()].concat();
    assert!(protocol_error(&mut connected(), &endless).contains("exceeds what can be addressed"));
    assert!(protocol_error(&mut connected(), &[5, 0]).contains("must not have MORE"));
    assert!(protocol_error(&mut connected(), &[0x80, 0]).contains("reserved ZMTP flag bits"));
}

#[test]
fn a_ping_is_answered_with_its_context_and_other_commands_are_ignored() {
    let mut connection = connected();
    let pings =
        [command("PING", &[0, 0, b'x', b'y']), command("NEWS", b""), command("PING", b""), command("PONG", b"")];
    feed(&mut connection, &pings.concat(), 3).unwrap();
    assert_eq!(drain(&mut connection), [command("PONG", b"xy"), command("PONG", b"")].concat());
}

#[test]
fn a_peer_that_pings_and_does_not_read_is_given_up() {
    let mut connection = connected();
    let flood = command("PING", &[0; 18]).repeat(10_000);
    assert!(protocol_error(&mut connection, &flood).contains("does not read"));
    assert!(connection.pending_output_bytes() < 100_000);
}

#[test]
fn silence_is_pinged_and_then_ends_the_connection() {
    let mut connection = connected();
    assert_eq!(connection.deadline_ns(), Some(50 * MS));
    connection.on_time(50 * MS).unwrap();
    assert_eq!(drain(&mut connection), command("PING", &[0, 0]));
    connection.heard(60 * MS);
    connection.on_time(110 * MS).unwrap();
    connection.on_time(260 * MS).unwrap();
    assert!(connection.on_time(275 * MS).unwrap_err().to_string().contains("silent"));
    assert_eq!((connection.is_ready(), connection.deadline_ns()), (false, None));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1..200_usize) {
        let _ = feed(&mut ClientConnection::new(OPTIONS), &bytes, step);
    }

    #[test]
    fn random_bytes_after_the_handshake_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1..200_usize) {
        let _ = feed(&mut connected(), &bytes, step);
    }

    #[test]
    fn damaged_and_truncated_conversations_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        step in 1..200_usize,
    ) {
        let mut bytes = [
            greeting(b"NULL", 1), ready("ROUTER"), command("PING", &[0, 1, 2]), frame(0, b"one"), frame(0, &[3; 300]),
            command("ERROR", b"\x03bye"),
        ].concat();
        for (index, value) in damage {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        let _ = feed(&mut ClientConnection::new(OPTIONS), &bytes, step);
    }
}
