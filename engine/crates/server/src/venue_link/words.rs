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

/// Asks what became of an order; one that the venue does not know it must refuse from then on. `epoch`: that of the
/// order, without which its key may come twice.
pub fn reconcile(key: VenueKey, epoch: Option<u64>) -> Value {
    json!({"op": "reconcile", "key": key.0, "epoch": epoch})
}

/// A command in the venue's words; `None` for what a venue elsewhere needs not be told. `epoch`: that of its order.
pub fn command(command: &VenueCommand, epoch: Option<u64>, instrument: Option<&Instrument>) -> Option<Value> {
    match command {
        VenueCommand::AddInstrument { .. } => None,
        VenueCommand::New(new) => Some(new_order(new, epoch, instrument?)),
        VenueCommand::Cancel { key } => Some(json!({"op": "cancel", "key": key.0, "epoch": epoch})),
        VenueCommand::Replace { key, quantity_steps, price_ticks } => {
            let instrument = instrument?;
            Some(json!({
                "op": "replace", "key": key.0, "epoch": epoch,
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

fn new_order(new: &NewOrder, epoch: Option<u64>, instrument: &Instrument) -> Value {
    let price = |ticks: Option<i64>| ticks.map(|ticks| number(ticks, instrument.tick));
    json!({
        "op": "new", "key": new.key.0, "epoch": epoch, "symbol": instrument.symbol,
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
    /// Something of an order that this engine does not have: its records went with the machine, or it is forgotten.
    OfAnother {
        /// Of a report.
        number: Option<u64>,
        /// The order, for the log.
        order: String,
    },
}

/// What is known of an order that the venue speaks of.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// In which it was entered; `None`: by an engine that told no epoch.
    pub epoch: Option<u64>,
    /// What its ticks and steps are.
    pub instrument: &'a Instrument,
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
    /// A venue that was told it says it again; from another any order with the key is meant.
    epoch: Option<u64>,
    report: Option<String>,
    venue_order_id: Option<String>,
    code: Option<String>,
    message: Option<String>,
    execution_id: Option<u64>,
    quantity: Option<String>,
    price: Option<String>,
}

impl Report {
    /// Whether it may be about the order that has its key now.
    fn is_about(&self, known: &Known<'_>) -> bool {
        self.epoch.is_none() || self.epoch == known.epoch
    }
}

/// Reads one line. `find` tells what is known of an order.
///
/// # Errors
/// What is wrong with it, for the log.
pub fn read<'a>(line: &str, find: impl Fn(VenueKey) -> Option<Known<'a>>) -> Result<Said, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let key = VenueKey(line.report.key);
    let Some(known) = find(key).filter(|known| line.report.is_about(known)) else {
        let epoch = line.report.epoch.map_or_else(|| "an unknown epoch".to_owned(), |epoch| format!("epoch {epoch}"));
        return Ok(Said::OfAnother { number: line.number, order: format!("{} of {epoch}", key.0) });
    };
    match line.answer.as_deref() {
        Some("unknown") => Ok(Said::Answer { key, answer: VenueAnswer::UnknownAndFenced }),
        Some("known") => {
            // A fill of another order must not be booked on this one, whatever answer it comes with.
            let is_asked = |entry: &Report| VenueKey(entry.key).order() == key.order() && entry.is_about(&known);
            let reports = line.reports.into_iter().filter(is_asked).map(|entry| report(entry, known.instrument));
            Ok(Said::Answer { key, answer: VenueAnswer::Known(reports.collect::<Result<_, _>>()?) })
        }
        Some(other) => Err(format!("answer {other:?} is neither \"known\" nor \"unknown\"")),
        None => {
            let number = line.number.ok_or("a report has a number")?;
            Ok(Said::Report { number, report: report(line.report, known.instrument)? })
        }
    }
}

fn report(from: Report, instrument: &Instrument) -> Result<VenueReport, String> {
    let key = VenueKey(from.key);
    let steps = |name: &str, text: &Option<String>, step: fn(&Instrument) -> Decimal| {
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
        let said = read(line, |_| Some(Known { epoch: Some(2), instrument: &instrument }));
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
            assert!(read(line, |_| Some(Known { epoch: None, instrument: &instrument })).is_err(), "{line}");
        }
    }

    #[test]
    fn what_the_venue_says_of_another_order_with_the_same_key_is_not_about_this_one() {
        let instrument = instrument();
        let said = |said_epoch: &str, known_epoch: Option<u64>| {
            let line = format!(r#"{{"number":7,"report":"accepted","key":4{said_epoch}}}"#);
            read(&line, |_| Some(Known { epoch: known_epoch, instrument: &instrument }))
        };
        let is_meant = |result| matches!(result, Ok(Said::Report { number: 7, .. }));
        assert!(is_meant(said(r#","epoch":2"#, Some(2))));
        assert!(is_meant(said("", Some(2))), "by a venue that says no epochs");
        assert!(is_meant(said(r#","epoch":null"#, None)), "of an engine that told none");
        for known in [Some(3), None] {
            let said = said(r#","epoch":2"#, known);
            assert!(
                matches!(&said, Ok(Said::OfAnother { number: Some(7), order }) if order == "4 of epoch 2"),
                "{said:?}"
            );
        }
        let line = r#"{"number":8,"report":"filled","key":4,"execution_id":9,"quantity":"1","price":"10"}"#;
        assert!(matches!(read(line, |_| None), Ok(Said::OfAnother { number: Some(8), .. })), "an order long forgotten");
    }

    #[test]
    fn an_answer_brings_no_reports_of_other_orders() {
        let instrument = instrument();
        let line = r#"{"answer":"known","key":4,"epoch":2,"reports":[
            {"report":"accepted","key":4,"epoch":2},
            {"report":"triggered","key":4},
            {"report":"filled","key":4,"epoch":1,"execution_id":9,"quantity":"1","price":"10"},
            {"report":"filled","key":1024,"epoch":2,"execution_id":9,"quantity":"1","price":"10"}]}"#;
        let said = read(line, |_| Some(Known { epoch: Some(2), instrument: &instrument }));
        let key = VenueKey(4);
        let accepted = VenueReport::Accepted { key, venue_order_id: "".into() };
        let own = VenueAnswer::Known(vec![accepted, VenueReport::Triggered { key }]);
        assert!(matches!(&said, Ok(Said::Answer { answer, .. }) if *answer == own), "{said:?}");
    }
}
