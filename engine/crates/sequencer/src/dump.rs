//! The journal as JSON, one object a record: ids and decimal texts rather than internal numbers, so that a client's
//! ledger can be compared with it fill by fill.

use crate::json::Words;
use crate::record::Record;
use crate::snapshot::Standing;
use crate::state::State;
use crate::verify::read_records;
use crate::{Disk, ReadError};
use bridge_core::{Command, Core, Event, Input};
use serde_json::{Value, json};

/// Hands out one JSON object per record, in order. Takes no lock and writes nothing.
///
/// `{"seq", "time_ns", "principal", "path", "session_id", "kind", "input": {…}, "events": [{"event": "Filled",
/// "order_id", "account", "execution_id", "quantity", "price", …}, …], "venue_events": [{"venue_event": "Trade",
/// "execution_id", "quantity", "price", "fills": [{"order_id", "side", "execution_id", "quantity", "price"}, …]}, …],
/// "reply": {…} or null, "concluded": [{…}, …]}`. `events` is what the account was told, `venue_events` what the
/// exchange did. Codes, statuses and sides have their names on the wire.
///
/// # Errors
/// See [`ReadError`].
pub fn dump<D: Disk>(disk: &D, mut line: impl FnMut(Value)) -> Result<(), ReadError> {
    let beginning = Standing::to_read(disk)?;
    let start = beginning.as_ref().and_then(|standing| standing.start);
    let mut state = beginning.map(|standing| standing.state);
    read_records(disk, start, |seq, record| {
        let state = state.get_or_insert_with(|| State::new(record.embedded));
        // What is forgotten has its names before, what is new after.
        let forgotten = forgotten_ids(&record.events, &state.core);
        state.fold(&record.events, &record.venue_events);
        let mut made = line_of(seq, &record, &Words { core: &state.core });
        name_forgotten(&mut made, forgotten);
        line(made);
        true
    })?;
    Ok(())
}

fn line_of(seq: u64, record: &Record, words: &Words<'_>) -> Value {
    let concluded: Vec<Value> = record.concluded.iter().map(|(_, reply)| words.tagged("kind", reply)).collect();
    let own_reply = record.reply.as_ref().map(|reply| words.tagged("kind", reply));
    json!({
        "seq": seq,
        "time_ns": record.time_ns,
        "principal": record.principal,
        "path": record.path.name(),
        "session_id": record.session_id,
        "kind": kind_of(&record.input),
        "input": input_of(&record.input, words),
        "events": record.events.iter().map(|event| words.tagged("event", event)).collect::<Vec<_>>(),
        "venue_events": record.venue_events.iter().map(|event| words.venue_event(event)).collect::<Vec<_>>(),
        "reply": own_reply.or_else(|| concluded.first().cloned()),
        "concluded": concluded,
    })
}

/// The ids that a record's events forget.
fn forgotten_ids(events: &[Event], core: &Core) -> Vec<Vec<String>> {
    let forgotten = events.iter().filter_map(|event| match event {
        Event::Forgotten(forgotten) => Some(forgotten),
        _ => None,
    });
    let id_of = |kind, number: &u64| core.remembered_id(kind, *number).unwrap_or_default().to_owned();
    forgotten.map(|one| one.numbers.iter().map(|number| id_of(one.kind, number)).collect()).collect()
}

fn name_forgotten(line: &mut Value, ids: Vec<Vec<String>>) {
    let events = line.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten();
    for (event, ids) in events.filter(|event| event["event"] == "Forgotten").zip(ids) {
        event["ids"] = json!(ids);
    }
}

fn kind_of(input: &Input) -> &'static str {
    match input {
        Input::Started { .. } => "Started",
        Input::Configured(_) => "Configured",
        Input::Venue(_) => "VenueReport",
        Input::AckTimeout { .. } => "AckTimeout",
        Input::LeaseExpired { .. } => "LeaseExpired",
        Input::Forget(_) => "Forget",
        Input::Command(Command::Execute(_)) => "ExecuteOrder",
        Input::Command(Command::Cancel(_)) => "CancelOrder",
        Input::Command(Command::Replace(_)) => "ReplaceOrder",
        Input::Command(Command::Fence(_)) => "Fence",
        Input::Command(Command::CancelAll(_)) => "CancelAllOrders",
        Input::Command(Command::SetTradingState(_)) => "SetTradingState",
        Input::Command(Command::PublishQuotes(_)) => "PublishQuotes",
        Input::Command(Command::SetRiskLimits(_)) => "SetRiskLimits",
        Input::Command(Command::SetCancelOnDisconnect(_)) => "SetCancelOnDisconnect",
    }
}

fn input_of(input: &Input, words: &Words<'_>) -> Value {
    match input {
        Input::Command(Command::Execute(order)) => words.plain(order),
        Input::Command(Command::Cancel(cancel)) => words.plain(cancel),
        Input::Command(Command::Replace(replace)) => words.plain(replace),
        Input::Command(Command::Fence(fence)) => words.plain(fence),
        Input::Command(Command::CancelAll(cancel)) => words.plain(cancel),
        Input::Command(Command::SetTradingState(set)) => words.plain(set),
        Input::Command(Command::PublishQuotes(publish)) => words.plain(publish),
        Input::Command(Command::SetRiskLimits(set)) => words.plain(set),
        Input::Command(Command::SetCancelOnDisconnect(set)) => words.plain(set),
        Input::Venue(report) => words.tagged("report", report),
        Input::Configured(configuration) => words.plain(configuration),
        Input::Forget(sweep) => words.plain(sweep),
        Input::Started { .. } | Input::AckTimeout { .. } | Input::LeaseExpired { .. } => words.tagged("input", input),
    }
}
