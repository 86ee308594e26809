//! Verification finds what was altered, even where every checksum is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{ReadError, VerifyError, read_records, verify};
use crate::record::{Encoded, Record};
use crate::{Options, Origin, Path, Request, Sequencer, Token};
use bridge_core::{
    Command, CommandOutcome, Configuration, Decimal, Event, Input, Instrument, Order, OrderType, Quote, Side,
};
use bridge_journal::{Journal, RecordRef, fake::FakeDisk};

const NOW: i64 = 1_760_000_000_000_000_000;

fn configuration() -> Configuration {
    let price = |cents| Some(Decimal::new(cents, -2));
    let opening_quote = Quote {
        symbol: "ACME".into(),
        bid: price(9_999),
        ask: price(10_001),
        bid_size: Some(Decimal::new(1000, 0)),
        ask_size: Some(Decimal::new(1000, 0)),
        ..Quote::default()
    };
    Configuration {
        instruments: vec![Instrument {
            symbol: "ACME".into(),
            tick: Decimal::new(1, -2),
            quantity_step: Decimal::new(1, 0),
            opening_quote: Some(opening_quote),
        }],
        max_skew_ms: 60_000,
        retention_ms: 1 << 40,
        quote_retention_ms: 1 << 40,
        foreign_id_quota: 1000,
        max_remembered_ids: 1_000_000,
        update_history: 1000,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: bridge_core::RiskConfiguration::default(),
        max_leases: 100,
    }
}

/// A journal with the start, the configuration, and three orders that fill at once (records 3, 4, 5).
fn journal_of_three_orders() -> FakeDisk {
    let disk = FakeDisk::new(3);
    let (mut sequencer, _) = Sequencer::open(disk.clone(), Options::default(), configuration(), NOW).unwrap();
    let origin = Origin { principal: "local".into(), path: Path::Zmq, session_id: "".into() };
    for number in 0..3_u64 {
        let order = Order {
            order_id: format!("order-{number}"),
            account: "default".into(),
            symbol: "ACME".into(),
            order_type: Some(OrderType::Market),
            side: Some(Side::Buy),
            quantity: Some(Decimal::new(5, 0)),
            contract_version: 1,
            ..Order::default()
        };
        sequencer.submit(Token(number), &origin, &Request::Command(Command::Execute(order)), NOW);
    }
    sequencer.close().unwrap();
    disk
}

/// The same journal, written anew with right checksums, and one record changed.
fn altered(seq: u64, alter: impl Fn(&mut Record)) -> FakeDisk {
    let copy = FakeDisk::new(4);
    let visit = |_: RecordRef<'_>| Ok::<(), String>(());
    let (mut journal, _) = Journal::open(copy.clone(), bridge_journal::Options::default(), visit).unwrap();
    let mut encoded = Encoded::default();
    read_records(&journal_of_three_orders(), None, |number, mut record| {
        if number == seq {
            alter(&mut record);
        }
        let payload = encoded.encode(&record).unwrap();
        journal.reserve(payload.len()).unwrap();
        journal.append(payload).unwrap();
        true
    })
    .unwrap();
    journal.close().unwrap();
    copy
}

fn difference(seq: u64, alter: impl Fn(&mut Record)) -> &'static str {
    match verify(&altered(seq, alter)) {
        Err(VerifyError::Different { seq: found, what }) => {
            assert_eq!(found, seq, "it names the record");
            what
        }
        other => panic!("not found: {other:?}"),
    }
}

#[test]
fn a_journal_as_it_was_written_verifies() {
    let report = verify(&altered(0, |_| {})).unwrap();
    assert_eq!((report.records, report.first_seq, report.last_seq), (5, 1, 5));
    assert_eq!(report.state_hash, verify(&journal_of_three_orders()).unwrap().state_hash);
}

#[test]
fn an_altered_event_is_found() {
    let what = difference(4, |record| {
        for event in &mut record.events {
            if let Event::Filled { price_ticks, .. } = event {
                *price_ticks -= 1;
            }
        }
    });
    assert_eq!(what, "events");
}

#[test]
fn a_missing_venue_event_is_found() {
    let what = difference(4, |record| {
        record.venue_events.pop();
    });
    assert_eq!(what, "venue events");
}

#[test]
fn an_altered_reply_is_found() {
    let what = difference(5, |record| {
        for (_, outcome) in &mut record.concluded {
            if let CommandOutcome::Execute(reply) = outcome {
                reply.executed_quantity = Decimal::new(6, 0);
            }
        }
    });
    assert_eq!(what, "replies");
}

#[test]
fn an_altered_input_is_found() {
    let what = difference(3, |record| {
        if let Input::Command(Command::Execute(order)) = &mut record.input {
            order.quantity = Some(Decimal::new(7, 0));
        }
    });
    assert_eq!(what, "events");
}

#[test]
fn an_altered_time_is_found() {
    assert_eq!(difference(3, |record| record.time_ns += 1), "events");
}

#[test]
fn damaged_bytes_are_found_with_file_and_offset() {
    let disk = journal_of_three_orders();
    assert!(disk.corrupt("00000000000000000001.seg", 300, 1));
    let Err(VerifyError::Read(ReadError::Journal(error))) = verify(&disk) else { panic!("not found") };
    let message = error.to_string();
    assert!(message.contains("00000000000000000001.seg") && message.contains("offset"), "{message}");
}

#[test]
fn a_record_with_bytes_behind_its_end_is_not_read() {
    let disk = FakeDisk::new(4);
    let visit = |_: RecordRef<'_>| Ok::<(), String>(());
    let (mut journal, _) = Journal::open(disk.clone(), bridge_journal::Options::default(), visit).unwrap();
    journal.reserve(100).unwrap();
    journal.append(b"no record of ours").unwrap();
    journal.close().unwrap();
    assert!(matches!(verify(&disk), Err(VerifyError::Read(ReadError::Record { seq: 1, .. }))));
}
