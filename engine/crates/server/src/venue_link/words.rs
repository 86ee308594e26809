//! What engine and venue say to one another: one JSON object a line (docs/venue-protocol.md).

use bridge_core::{
    Decimal, Instrument, NewOrder, OrderType, ReasonCode, Side, Text, TimeInForce, VenueCommand, VenueKey, VenueReport,
};
use bridge_sequencer::VenueAnswer;
use serde::Deserialize;
use serde_json::{Value, json};

/// First line of a connection: `after` is the number of the last report that was taken; later ones are repeated.
pub fn hello(journal_id: &str, epoch: u64, after: u64) -> Value {
    json!({"op": "hello", "protocol": 1, "journal_id": journal_id, "epoch": epoch, "after": after})
}

/// Asks what became of an order; a key that the venue does not know it must refuse from then on.
pub fn reconcile(key: VenueKey) -> Value {
    json!({"op": "reconcile", "key": key.0})
}

/// A command in the venue's words; `None` for what a venue elsewhere needs not be told.
pub fn command(command: &VenueCommand, instrument: Option<&Instrument>) -> Option<Value> {
    match command {
        VenueCommand::AddInstrument { .. } => None,
        VenueCommand::New(new) => Some(new_order(new, instrument?)),
        VenueCommand::Cancel { key } => Some(json!({"op": "cancel", "key": key.0})),
        VenueCommand::Replace { key, quantity_steps, price_ticks } => {
            let instrument = instrument?;
            Some(json!({
                "op": "replace", "key": key.0,
                "quantity": quantity_steps.map(|steps| number(steps, instrument.quantity_step)),
                "price": price_ticks.map(|ticks| number(ticks, instrument.tick)),
            }))
        }
        VenueCommand::Quote { bid, ask, .. } => {
            let instrument = instrument?;
            let price = |level: &bridge_core::Level| number(level.price_ticks, instrument.tick);
            let size = |level: &bridge_core::Level| number(level.quantity_steps, instrument.quantity_step);
            Some(json!({
                "op": "quote", "symbol": instrument.symbol,
                "bid": bid.as_ref().map(price), "bid_size": bid.as_ref().map(size),
                "ask": ask.as_ref().map(price), "ask_size": ask.as_ref().map(size),
            }))
        }
    }
}

fn new_order(new: &NewOrder, instrument: &Instrument) -> Value {
    let price = |ticks: Option<i64>| ticks.map(|ticks| number(ticks, instrument.tick));
    json!({
        "op": "new", "key": new.key.0, "symbol": instrument.symbol,
        "side": match new.side { Side::Buy => "BUY", Side::Sell => "SELL" },
        "order_type": match new.order_type {
            OrderType::Market => "MARKET",
            OrderType::Limit => "LIMIT",
            OrderType::StopLoss => "STOP_LOSS",
            OrderType::TakeProfit => "TAKE_PROFIT",
        },
        "time_in_force": match new.time_in_force {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        },
        "quantity": number(new.quantity_steps, instrument.quantity_step),
        "price": price(new.price_ticks),
        "stop_loss": price(new.stop_loss_ticks),
        "take_profit": price(new.take_profit_ticks),
    })
}

fn number(steps: i64, step: Decimal) -> Option<String> {
    Decimal::from_steps(steps, step).map(|decimal| decimal.to_string())
}

/// What the venue said.
#[derive(Debug)]
pub enum Said {
    /// A report with its number.
    Report {
        /// Counts the venue's reports from 1.
        number: u64,
        /// What happened.
        report: VenueReport,
    },
    /// The answer to a question.
    Answer {
        /// The order that was asked for.
        key: VenueKey,
        /// What it said.
        answer: VenueAnswer,
    },
}

#[derive(Deserialize)]
struct Line {
    number: Option<u64>,
    answer: Option<String>,
    #[serde(default)]
    reports: Vec<Report>,
    #[serde(flatten)]
    report: Report,
}

#[derive(Deserialize)]
struct Report {
    key: u64,
    report: Option<String>,
    venue_order_id: Option<String>,
    code: Option<String>,
    message: Option<String>,
    execution_id: Option<u64>,
    quantity: Option<String>,
    price: Option<String>,
}

/// Reads one line. `instrument_of` names the instrument of an order.
///
/// # Errors
/// What is wrong with it, for the log.
pub fn read<'a>(line: &str, instrument_of: impl Fn(VenueKey) -> Option<&'a Instrument>) -> Result<Said, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let key = VenueKey(line.report.key);
    let instrument = instrument_of(key);
    match line.answer.as_deref() {
        Some("unknown") => Ok(Said::Answer { key, answer: VenueAnswer::UnknownAndFenced }),
        Some("known") => {
            let reports = line.reports.into_iter().map(|entry| report(entry, instrument)).collect::<Result<_, _>>()?;
            Ok(Said::Answer { key, answer: VenueAnswer::Known(reports) })
        }
        Some(other) => Err(format!("answer {other:?} is neither \"known\" nor \"unknown\"")),
        None => {
            let number = line.number.ok_or("a report has a number")?;
            Ok(Said::Report { number, report: report(line.report, instrument)? })
        }
    }
}

fn report(from: Report, instrument: Option<&Instrument>) -> Result<VenueReport, String> {
    let key = VenueKey(from.key);
    let steps = |name: &str, text: &Option<String>, step: fn(&Instrument) -> Decimal| {
        let instrument = instrument.ok_or(format!("key {} is no order of this engine", key.0))?;
        let text = text.as_deref().ok_or(format!("{name} is missing"))?;
        let decimal: Decimal = text.parse().map_err(|e| format!("{name} {text:?} {e}"))?;
        decimal.to_steps(step(instrument)).map_err(|e| format!("{name} {text:?}: {e}"))
    };
    let quantity = || steps("quantity", &from.quantity, |instrument| instrument.quantity_step);
    let price = || steps("price", &from.price, |instrument| instrument.tick);
    let message = || Text::from(from.message.as_deref().unwrap_or_default());
    match from.report.as_deref() {
        Some("accepted") => {
            Ok(VenueReport::Accepted { key, venue_order_id: from.venue_order_id.as_deref().unwrap_or_default().into() })
        }
        Some("rejected") => Ok(VenueReport::Rejected { key, code: ReasonCode::VenueRejected, message: message() }),
        Some("filled") => Ok(VenueReport::Filled {
            key,
            execution_id: from.execution_id.ok_or("execution_id is missing")?,
            quantity_steps: quantity()?,
            price_ticks: price()?,
        }),
        Some("closed") => Ok(VenueReport::Closed { key, code: closed_code(from.code.as_deref())? }),
        Some("triggered") => Ok(VenueReport::Triggered { key }),
        Some("replaced") => Ok(VenueReport::Replaced {
            key,
            quantity_steps: quantity()?,
            price_ticks: from.price.is_some().then(price).transpose()?,
        }),
        Some("refused") => Ok(VenueReport::CommandRefused { key, code: ReasonCode::VenueRejected, message: message() }),
        other => Err(format!("report {other:?} is unknown")),
    }
}

fn closed_code(name: Option<&str>) -> Result<ReasonCode, String> {
    let name = name.unwrap_or("CANCELLED_BY_CLIENT");
    let allowed = [
        ReasonCode::NoLiquidity,
        ReasonCode::IocRemainder,
        ReasonCode::FokUnfillable,
        ReasonCode::CancelledByClient,
        ReasonCode::LegDone,
    ];
    allowed.into_iter().find(|code| code.name() == name).ok_or(format!("code {name:?} does not close an order"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instrument() -> Instrument {
        let decimal = |exponent| Decimal { mantissa: 1, exponent };
        Instrument { symbol: "A".into(), tick: decimal(-2), quantity_step: decimal(-3), opening_quote: None }
    }

    #[test]
    fn a_fill_is_read_in_ticks_and_steps() {
        let instrument = instrument();
        let line = r#"{"number":7,"report":"filled","key":4,"execution_id":9,"quantity":"1.5","price":"10.01"}"#;
        let said = read(line, |_| Some(&instrument));
        let filled = VenueReport::Filled { key: VenueKey(4), execution_id: 9, quantity_steps: 1500, price_ticks: 1001 };
        assert!(matches!(said, Ok(Said::Report { number: 7, report }) if report == filled));
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_says_why() {
        let instrument = instrument();
        for line in [
            "",
            "{}",
            r#"{"report":"accepted","key":4}"#,
            r#"{"number":1,"report":"filled","key":4,"execution_id":1,"quantity":"0.0001","price":"1"}"#,
        ] {
            assert!(read(line, |_| Some(&instrument)).is_err(), "{line}");
        }
    }
}
