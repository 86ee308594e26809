//! Between the core's words for the venue and the exchange's own: the two crates do not know each other. A venue in
//! another process that runs the same exchange speaks through this too.

use bridge_core::{self as core, ReasonCode, Text, VenueCommand, VenueKey, VenueReport};
use bridge_venue::{self as venue, CloseReason, Key, Refusal};

/// What the exchange is to do.
pub fn command(command: &VenueCommand) -> venue::Command {
    match *command {
        VenueCommand::AddInstrument { symbol } => venue::Command::AddInstrument { symbol },
        VenueCommand::New(new) => venue::Command::New(new_order(&new)),
        VenueCommand::Cancel { key } => venue::Command::Cancel { key: Key(key.0) },
        VenueCommand::Replace { key, quantity_steps, price_ticks } => {
            venue::Command::Replace(venue::Replace { key: Key(key.0), quantity_steps, price_ticks })
        }
        VenueCommand::Quote { symbol, bid, ask } => {
            venue::Command::Quote(venue::Quote { symbol, bid: bid.map(level), ask: ask.map(level) })
        }
    }
}

fn level(level: core::Level) -> venue::Level {
    venue::Level { price_ticks: level.price_ticks, quantity_steps: level.quantity_steps }
}

fn new_order(new: &core::NewOrder) -> venue::NewOrder {
    venue::NewOrder {
        key: Key(new.key.0),
        symbol: new.symbol,
        side: match new.side {
            core::Side::Buy => venue::Side::Buy,
            core::Side::Sell => venue::Side::Sell,
        },
        order_type: match new.order_type {
            core::OrderType::Market => venue::OrderType::Market,
            core::OrderType::Limit => venue::OrderType::Limit,
            core::OrderType::StopLoss => venue::OrderType::StopLoss,
            core::OrderType::TakeProfit => venue::OrderType::TakeProfit,
        },
        time_in_force: match new.time_in_force {
            core::TimeInForce::Gtc => venue::TimeInForce::Gtc,
            core::TimeInForce::Ioc => venue::TimeInForce::Ioc,
            core::TimeInForce::Fok => venue::TimeInForce::Fok,
        },
        quantity_steps: new.quantity_steps,
        price_ticks: new.price_ticks,
        stop_loss_ticks: new.stop_loss_ticks,
        take_profit_ticks: new.take_profit_ticks,
    }
}

/// Hands `report` what an event of the exchange means for each order that it touches: none for the feed's own, two
/// for a trade between orders (the buyer's first).
pub fn reports(event: &venue::Event, mut report: impl FnMut(VenueReport)) {
    match *event {
        venue::Event::InstrumentAdded { .. } | venue::Event::Quoted(_) | venue::Event::QuoteRefused { .. } => {}
        venue::Event::Opened(new) => {
            report(VenueReport::Accepted { key: our(new.key), venue_order_id: name_at_venue(new.key) });
        }
        venue::Event::Rejected { key, reason } => report(VenueReport::Rejected {
            key: our(key),
            code: ReasonCode::VenueRejected,
            message: Text::new_static(words(reason)),
        }),
        venue::Event::Triggered { key } => report(VenueReport::Triggered { key: our(key) }),
        venue::Event::Trade(trade) => {
            for key in [trade.buyer.key(), trade.seller.key()].into_iter().flatten() {
                report(VenueReport::Filled {
                    key: our(key),
                    execution_id: trade.number,
                    quantity_steps: trade.quantity_steps,
                    price_ticks: trade.price_ticks,
                });
            }
        }
        venue::Event::LegOpened { key, trigger_ticks, quantity_steps, .. } => {
            report(VenueReport::LegOpened { key: our(key), trigger_ticks, quantity_steps });
        }
        venue::Event::LegResized { key, quantity_steps } => {
            report(VenueReport::LegResized { key: our(key), quantity_steps });
        }
        venue::Event::Replaced { key, quantity_steps, price_ticks, .. } => {
            report(VenueReport::Replaced { key: our(key), quantity_steps, price_ticks });
        }
        venue::Event::Closed { key, reason } => {
            report(VenueReport::Closed { key: our(key), code: code_of_close(reason) });
        }
        venue::Event::CommandRefused { key, reason } => {
            report(VenueReport::CommandRefused {
                key: our(key),
                code: code_of_refusal(reason),
                message: Text::new_static(words(reason)),
            });
        }
    }
}

fn our(key: Key) -> VenueKey {
    VenueKey(key.0)
}

/// The embedded exchange's name for an order, as `exchange_order_id` shows it.
fn name_at_venue(key: Key) -> Text {
    let mut bytes = [0; 21]; // X and the digits of the largest number
    let (mut at, mut left) = (bytes.len(), key.0);
    loop {
        at -= 1;
        bytes[at] = b"0123456789"[(left % 10) as usize];
        left /= 10;
        if left == 0 {
            break;
        }
    }
    bytes[at - 1] = b'X';
    Text::from(str::from_utf8(&bytes[at - 1..]).unwrap_or_default()) // ASCII: always a text
}

const fn code_of_close(reason: CloseReason) -> ReasonCode {
    match reason {
        CloseReason::Filled => ReasonCode::None,
        CloseReason::NoLiquidity => ReasonCode::NoLiquidity,
        CloseReason::IocRemainder => ReasonCode::IocRemainder,
        CloseReason::FokUnfillable => ReasonCode::FokUnfillable,
        CloseReason::Cancelled => ReasonCode::CancelledByClient,
        CloseReason::LegDone => ReasonCode::LegDone,
    }
}

fn code_of_refusal(reason: Refusal) -> ReasonCode {
    match reason {
        Refusal::UnknownSymbol => ReasonCode::UnknownSymbol,
        Refusal::UnknownOrder => ReasonCode::OrderClosed,
        Refusal::BadQuantity
        | Refusal::BadPrice
        | Refusal::QuantityBelowExecuted
        | Refusal::LegQuantityFixed
        | Refusal::AlreadyTriggered => ReasonCode::InvalidField,
        Refusal::KeyNotUsable | Refusal::QuoteCrossed => ReasonCode::VenueRejected,
    }
}

fn words(reason: Refusal) -> &'static str {
    match reason {
        Refusal::UnknownSymbol => "the exchange has no such instrument",
        Refusal::UnknownOrder => "the exchange has no such open order",
        Refusal::KeyNotUsable => "the exchange has an order of this number already",
        Refusal::BadQuantity => "the exchange takes positive quantities only",
        Refusal::BadPrice => "the exchange needs a positive price for this order",
        Refusal::QuantityBelowExecuted => "the new quantity does not exceed what is executed; cancel the order instead",
        Refusal::LegQuantityFixed => "a leg's quantity follows its entry; only its trigger can be replaced",
        Refusal::AlreadyTriggered => "the order works at market and has no price any more",
        Refusal::QuoteCrossed => "the quote's bid is not below its ask",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_names_an_order_by_its_key() {
        for key in [0, 4, 10, 1_000_001, u64::MAX] {
            assert_eq!(name_at_venue(Key(key)), format!("X{key}"));
        }
    }
}
