//! The ZMTP module against bytes as RFC 23 and RFC 37 write them, and against bytes that nobody would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rfc37;

use bridge_wire::zmtp::{Event, ServerConnection, SocketRole, ZmtpError, ZmtpLimits};
use proptest::prelude::*;
use rfc37::{command, frame, greeting, ready};

const LIMITS: ZmtpLimits =
    ZmtpLimits { max_handshake_bytes: 4096, max_message_bytes: 1000, pause_input_above_bytes: 4096 };

fn connected(role: SocketRole, peer: &str, minor: u8) -> ServerConnection {
    let mut connection = ServerConnection::new(role, LIMITS);
    connection.receive(&[greeting(b"NULL", minor), ready(peer)].concat()).unwrap();
    assert!(matches!(connection.poll(), Ok(Some(Event::HandshakeDone))));
    drain(&mut connection);
    connection
}

fn drain(connection: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.pending_output_bytes() > 0 {
        bytes.extend_from_slice(connection.output());
        connection.advance(connection.pending_output_bytes());
    }
    bytes
}

fn bodies(connection: &mut ServerConnection) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Ok(Some(event)) = connection.poll() {
        if let Event::Message(message) = event {
            found.push(message.single().unwrap().to_vec());
        }
    }
    found
}

#[test]
fn commands_between_the_parts_of_a_message_are_not_held_without_bound() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    connection.receive(&frame(1, b"")).unwrap();
    let unknown = command("OTHER", &[0; 200]);
    let mut most_held = 0;
    let refused = (0..1000).find_map(|_| {
        connection.receive(&unknown).unwrap();
        most_held = most_held.max(connection.buffer_bytes());
        connection.poll().err()
    });
    assert!(matches!(refused, Some(ZmtpError::MessageTooLarge { .. })), "{refused:?}");
    assert!(most_held < 256 << 10, "{most_held}");
}

#[test]
fn a_dealer_is_greeted_and_its_messages_arrive_in_order() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    let large = vec![7; 900];
    connection.receive(&[frame(0, b"first"), frame(0, &large), frame(0, b"")].concat()).unwrap();
    assert_eq!(bodies(&mut connection), [b"first".to_vec(), large, Vec::new()]);
}

#[test]
fn messages_cut_anywhere_arrive_whole() {
    let bytes = [greeting(b"NULL", 1), ready("DEALER"), frame(0, b"one"), frame(0, &[9; 300])].concat();
    for cut in 1..bytes.len() {
        let mut connection = ServerConnection::new(SocketRole::Router, LIMITS);
        connection.receive(&bytes[..cut]).unwrap();
        connection.receive(&bytes[cut..]).unwrap();
        assert_eq!(bodies(&mut connection), [b"one".to_vec(), vec![9; 300]], "cut at {cut}");
    }
}

#[test]
fn what_is_sent_is_framed_as_the_rfc_says_whatever_its_length() {
    for length in [0, 1, 255, 256, 70_000] {
        let mut connection = connected(SocketRole::Router, "DEALER", 1);
        let body = vec![5; length];
        connection.send(&body).unwrap();
        assert_eq!(drain(&mut connection), frame(0, &body));
    }
    let mut connection = connected(SocketRole::Publisher, "SUB", 1);
    connection.send_parts(&[b"md.A\0", b"body"]).unwrap();
    assert_eq!(drain(&mut connection), [frame(1, b"md.A\0"), frame(0, b"body")].concat());
}

#[test]
fn a_partial_write_goes_on_where_it_stopped_and_a_pong_never_splits_a_frame() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    connection.send(&[1; 400]).unwrap();
    let mut wire = connection.output()[..100].to_vec();
    connection.advance(100);
    connection.receive(&command("PING", &[0, 0, b'x'])).unwrap();
    assert!(connection.poll().unwrap().is_none());
    connection.send(b"after").unwrap();
    wire.extend(drain(&mut connection));
    assert_eq!(wire, [frame(0, &[1; 400]), command("PONG", b"x"), frame(0, b"after")].concat());
}

#[test]
fn subscriptions_arrive_as_commands_and_as_messages_of_the_older_protocol() {
    let mut newer = connected(SocketRole::Publisher, "SUB", 1);
    newer.receive(&[command("SUBSCRIBE", b"md."), command("CANCEL", b"md.")].concat()).unwrap();
    assert!(matches!(newer.poll(), Ok(Some(Event::Subscribe(topic))) if topic == b"md."));
    assert!(matches!(newer.poll(), Ok(Some(Event::Unsubscribe(topic))) if topic == b"md."));
    let mut older = connected(SocketRole::Publisher, "SUB", 0);
    older.receive(&[frame(0, b"\x01sys"), frame(0, b""), frame(0, b"\x00sys")].concat()).unwrap();
    assert!(matches!(older.poll(), Ok(Some(Event::Subscribe(topic))) if topic == b"sys"));
    assert!(matches!(older.poll(), Ok(Some(Event::Unsubscribe(topic))) if topic == b"sys"));
    assert!(older.poll().unwrap().is_none());
}

#[test]
fn several_parts_are_reported_as_such() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    connection.receive(&[frame(1, b"a"), frame(0, b"b")].concat()).unwrap();
    let Ok(Some(Event::Message(message))) = connection.poll() else { panic!("no message") };
    assert_eq!((message.count(), message.single(), message.get(1)), (2, None, Some(&b"b"[..])));
}

#[test]
fn a_message_above_the_limit_ends_the_connection_after_what_came_before_it_and_a_refusal() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    let header = [&[2][..], &5000_u64.to_be_bytes()].concat();
    connection.receive(&[frame(0, b"before"), header].concat()).unwrap();
    assert!(matches!(connection.poll(), Ok(Some(Event::Message(message))) if message.single() == Some(b"before")));
    let error = connection.poll().unwrap_err();
    assert_eq!(error, ZmtpError::MessageTooLarge { size_bytes: 5000, max_bytes: 1000 });
    connection.send(b"refusal").unwrap();
    assert_eq!(drain(&mut connection), frame(0, b"refusal"));
    assert_eq!(connection.receive(b"x"), Err(ZmtpError::NotReady));
}

#[test]
fn a_handshake_that_never_ends_is_cut_off() {
    let mut connection = ServerConnection::new(SocketRole::Router, LIMITS);
    connection.receive(&greeting(b"NULL", 1)).unwrap();
    let endless = [&[6][..], &200_000_u64.to_be_bytes(), &[0; 5000]].concat();
    assert_eq!(connection.receive(&endless), Err(ZmtpError::HandshakeTooLong { max_bytes: 4096 }));
}

#[test]
fn what_is_no_zmtp_and_what_is_the_wrong_socket_is_refused() {
    let mut http = ServerConnection::new(SocketRole::Router, LIMITS);
    assert!(matches!(http.receive(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), Err(ZmtpError::Protocol(_))));
    let mut wrong = ServerConnection::new(SocketRole::Publisher, LIMITS);
    let refused = wrong.receive(&[greeting(b"NULL", 1), ready("DEALER")].concat());
    assert!(matches!(refused, Err(ZmtpError::Protocol(_))));
    let explanation = b"Incompatible socket types";
    assert!(wrong.output().windows(explanation.len()).any(|window| window == explanation));
}

#[test]
fn a_flood_of_pings_without_reading_pauses_input_and_then_goes_on() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    let ping = command("PING", &[0, 0, b'c', b'o', b'n', b't', b'e', b'x', b't']);
    let flood = [ping.repeat(20_000), frame(0, b"last")].concat();
    connection.receive(&flood).unwrap();
    assert!(connection.poll().unwrap().is_none());
    assert!(!connection.accepts_input());
    assert_eq!(connection.receive(b"x"), Err(ZmtpError::InputPaused));
    let mut pongs = Vec::new();
    let last = loop {
        assert!(connection.pending_output_bytes() < LIMITS.pause_input_above_bytes + 100);
        pongs.extend(drain(&mut connection));
        let found = bodies(&mut connection);
        if !found.is_empty() {
            break found;
        }
    };
    pongs.extend(drain(&mut connection));
    assert!(pongs == command("PONG", b"context").repeat(20_000));
    assert!(connection.accepts_input());
    assert_eq!(last, [b"last".to_vec()]);
}

#[test]
fn messages_wait_unread_while_more_output_waits_than_allowed() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    connection.receive(&[frame(0, b"one"), frame(0, b"two")].concat()).unwrap();
    assert!(matches!(connection.poll(), Ok(Some(Event::Message(_)))));
    connection.send(&[0; 5000]).unwrap();
    assert!(connection.poll().unwrap().is_none());
    drain(&mut connection);
    assert_eq!(bodies(&mut connection), [b"two".to_vec()]);
}

#[test]
fn a_connection_that_went_quiet_gives_its_memory_back_and_goes_on() {
    let mut connection = connected(SocketRole::Router, "DEALER", 1);
    connection.receive(&frame(0, &[1; 900]).repeat(30)).unwrap();
    assert_eq!(bodies(&mut connection).len(), 30);
    connection.receive(&frame(0, b"half")[..3]).unwrap();
    connection.send(&[0; 3000]).unwrap();
    drain(&mut connection);
    assert!(connection.buffer_bytes() > 4000);
    connection.release_memory();
    assert!(connection.buffer_bytes() < 100, "{}", connection.buffer_bytes());
    connection.receive(&frame(0, b"half")[3..]).unwrap();
    assert_eq!(bodies(&mut connection), [b"half".to_vec()]);
}

#[test]
fn nothing_is_sent_before_the_handshake_is_done() {
    let mut connection = ServerConnection::new(SocketRole::Router, LIMITS);
    assert_eq!(connection.send(b"early"), Err(ZmtpError::NotReady));
}

fn feed(connection: &mut ServerConnection, bytes: &[u8], step: usize) {
    for chunk in bytes.chunks(step.max(1)) {
        if connection.receive(chunk).is_err() {
            break;
        }
        while let Ok(Some(_)) = connection.poll() {}
        connection.advance(connection.pending_output_bytes());
    }
    while let Ok(Some(_)) = connection.poll() {}
}

fn role() -> impl Strategy<Value = (SocketRole, &'static str)> {
    prop_oneof![Just((SocketRole::Router, "DEALER")), Just((SocketRole::Publisher, "SUB"))]
}

proptest! {
    #[test]
    fn random_bytes_never_panic((role, _) in role(), bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1..200_usize) {
        feed(&mut ServerConnection::new(role, LIMITS), &bytes, step);
    }

    #[test]
    fn random_bytes_after_the_handshake_never_panic((role, peer) in role(), bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1..200_usize) {
        feed(&mut connected(role, peer, 1), &bytes, step);
    }

    #[test]
    fn damaged_conversations_never_panic(
        (role, peer) in role(),
        minor in 0..=2_u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        step in 1..200_usize,
    ) {
        let mut bytes = [
            greeting(b"NULL", minor), ready(peer), command("SUBSCRIBE", b"md."), command("PING", &[0, 1, 2]),
            frame(1, b"part"), frame(0, &[3; 300]), frame(0, b"\x01md."), command("CANCEL", b"md."),
        ].concat();
        for (index, value) in damage {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        feed(&mut ServerConnection::new(role, LIMITS), &bytes, step);
    }
}
