//! Properties that hold after every event of random command sequences.

use crate::ledger::Ledger;
use bridge_venue::{Command, Event, Exchange, Key, Level, NewOrder, OrderType, Quote, Replace, Side, TimeInForce};
use proptest::prelude::*;

const SYMBOLS: [u32; 2] = [0, 1];

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn order_type() -> impl Strategy<Value = OrderType> {
    prop_oneof![
        2 => Just(OrderType::Market),
        4 => Just(OrderType::Limit),
        2 => Just(OrderType::StopLoss),
        2 => Just(OrderType::TakeProfit),
    ]
}

fn time_in_force() -> impl Strategy<Value = TimeInForce> {
    prop_oneof![5 => Just(TimeInForce::Gtc), 1 => Just(TimeInForce::Ioc), 1 => Just(TimeInForce::Fok)]
}

/// Few prices, so that orders meet; now and then one that is refused.
fn price() -> impl Strategy<Value = i64> {
    prop_oneof![40 => 95..=106_i64, 1 => -1..=0_i64]
}

fn quantity() -> impl Strategy<Value = i64> {
    prop_oneof![40 => 1..=12_i64, 1 => -1..=0_i64]
}

fn symbol() -> impl Strategy<Value = u32> {
    prop_oneof![20 => Just(0), 10 => Just(1), 1 => Just(2)]
}

/// Few numbers, so that cancels find orders and keys are used again after their orders have ended.
fn key() -> impl Strategy<Value = Key> {
    (1..=30_u64, prop_oneof![6 => Just(0_u64), 2 => Just(1), 2 => Just(2), 1 => Just(3)])
        .prop_map(|(order_no, part)| Key(order_no << 2 | part))
}

fn new_order() -> impl Strategy<Value = Command> {
    let legs = (prop::option::of(price()), prop::option::of(price()));
    let key = prop_oneof![15 => (1..=30_u64).prop_map(|order_no| Key(order_no << 2)), 1 => key()];
    let terms = (order_type(), time_in_force(), quantity(), prop::option::weighted(0.97, price()));
    (key, symbol(), side(), terms, legs).prop_map(|(key, symbol, side, terms, legs)| {
        let (order_type, time_in_force, quantity_steps, price_ticks) = terms;
        let (stop_loss_ticks, take_profit_ticks) = legs;
        Command::New(NewOrder {
            key,
            symbol,
            side,
            order_type,
            time_in_force,
            quantity_steps,
            price_ticks,
            stop_loss_ticks,
            take_profit_ticks,
        })
    })
}

fn level() -> impl Strategy<Value = Option<Level>> {
    let level = (price(), 0..=14_i64).prop_map(|(price_ticks, quantity_steps)| Level { price_ticks, quantity_steps });
    prop::option::weighted(0.85, level)
}

fn quote() -> impl Strategy<Value = Command> {
    (symbol(), level(), level(), 0..10_u8).prop_map(|(symbol, one, other, as_is)| {
        let (mut bid, mut ask) = (one, other);
        // Mostly the right way round; else it is refused.
        if let (Some(b), Some(a)) = (bid, ask)
            && b.price_ticks > a.price_ticks
            && as_is > 0
        {
            (bid, ask) = (ask, bid);
        }
        Command::Quote(Quote { symbol, bid, ask })
    })
}

fn command() -> impl Strategy<Value = Command> {
    let replace =
        (key(), prop::option::of(quantity()), prop::option::of(price())).prop_map(|(key, quantity, price)| {
            Command::Replace(Replace { key, quantity_steps: quantity, price_ticks: price })
        });
    prop_oneof![
        8 => new_order(),
        5 => quote(),
        2 => key().prop_map(|key| Command::Cancel { key }),
        3 => replace,
    ]
}

fn opened() -> Exchange {
    let mut exchange = Exchange::new();
    for symbol in SYMBOLS {
        exchange.execute(&Command::AddInstrument { symbol }, &mut Vec::new());
    }
    exchange
}

fn is_refusal(event: &Event) -> bool {
    matches!(event, Event::Rejected { .. } | Event::CommandRefused { .. } | Event::QuoteRefused { .. })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never crossed, quantity conserved, price-time priority, legs, triggers: see `ledger`. And the fold of the
    /// events is the live exchange, hash for hash.
    #[test]
    fn whatever_is_asked_of_it_the_exchange_keeps_its_rules(commands in prop::collection::vec(command(), 1..90)) {
        let mut exchange = opened();
        let mut recovered = exchange.clone();
        let mut ledger = Ledger::default();
        for command in &commands {
            let before = exchange.state_hash();
            let mut events = Vec::new();
            exchange.execute(command, &mut events);
            prop_assert!(!events.is_empty(), "every command is answered");
            for event in &events {
                ledger.record(event);
                recovered.fold(event);
                prop_assert_eq!(recovered.state_hash(), recovered.recomputed_state_hash());
            }
            ledger.judge(&exchange, &SYMBOLS);
            prop_assert_eq!(recovered.state_hash(), exchange.state_hash());
            let refused = events.iter().any(is_refusal);
            prop_assert!(!refused || (events.len() == 1 && before == exchange.state_hash()), "a refusal changes nothing");
        }
    }

    /// Recovery at any point, then the same commands: the same events.
    #[test]
    fn a_recovered_exchange_decides_like_the_live_one(
        commands in prop::collection::vec(command(), 2..60), cut in any::<prop::sample::Index>()
    ) {
        let (past, future) = commands.split_at(cut.index(commands.len()));
        let (mut live, mut recovered, mut events) = (opened(), opened(), Vec::new());
        past.iter().for_each(|command| live.execute(command, &mut events));
        events.iter().for_each(|event| recovered.fold(event));
        for command in future {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            live.execute(command, &mut ours);
            recovered.execute(command, &mut theirs);
            prop_assert_eq!(ours, theirs);
        }
        prop_assert_eq!(live.state_hash(), recovered.state_hash());
    }

    /// Numbers of any size: no overflow (this profile checks), no panic, the same hash.
    #[test]
    fn no_number_is_too_large_or_too_small(
        commands in prop::collection::vec((command(), any::<i64>(), any::<i64>(), 0..4_u8), 1..40)
    ) {
        let mut exchange = opened();
        let mut recovered = exchange.clone();
        let mut events = Vec::new();
        for (command, one, other, extreme) in commands {
            events.clear();
            let pick = |number: i64| if extreme == 0 { i64::MAX - (number & 3) } else { number };
            exchange.execute(&with_numbers(command, pick(one), pick(other)), &mut events);
            events.iter().for_each(|event| recovered.fold(event));
            prop_assert_eq!(exchange.state_hash(), exchange.recomputed_state_hash());
            prop_assert_eq!(exchange.state_hash(), recovered.state_hash());
        }
    }
}

/// The same command with these numbers in it.
fn with_numbers(command: Command, one: i64, other: i64) -> Command {
    let level = |price_ticks, quantity_steps| Level { price_ticks, quantity_steps };
    match command {
        Command::New(order) => Command::New(NewOrder {
            quantity_steps: one.saturating_abs(),
            price_ticks: order.price_ticks.map(|_| other.saturating_abs()),
            ..order
        }),
        Command::Replace(replace) => Command::Replace(Replace {
            quantity_steps: replace.quantity_steps.map(|_| one),
            price_ticks: replace.price_ticks.map(|_| other),
            ..replace
        }),
        Command::Quote(quote) => Command::Quote(Quote {
            bid: quote.bid.map(|_| level(one.min(other), one.saturating_abs())),
            ask: quote.ask.map(|_| level(one.max(other), other.saturating_abs())),
            ..quote
        }),
        other => other,
    }
}
