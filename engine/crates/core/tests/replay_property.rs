//! Random inputs and reports: recovery folds to the same state, hashes agree, numbers have no holes (invariants 1, 3, 7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const ORDER_IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Clone, Debug)]
enum Step {
    /// Of a session.
    Input(String, Box<Input>),
    Settle,
}

fn order_ids() -> impl Strategy<Value = String> {
    prop::sample::select(&ORDER_IDS[..]).prop_map(str::to_owned)
}

fn any_ids() -> impl Strategy<Value = String> {
    (order_ids(), prop::sample::select(vec!["", "·SL", "·TP"])).prop_map(|(id, suffix)| format!("{id}{suffix}"))
}

fn command_ids() -> impl Strategy<Value = String> {
    (0..12u8).prop_map(|number| format!("command-{number}"))
}

fn orders() -> impl Strategy<Value = Command> {
    let types = [OrderType::Market, OrderType::Limit, OrderType::StopLoss, OrderType::TakeProfit];
    let symbols = prop::sample::select(vec!["NASDAQ", "SP500", "DAX"]);
    (order_ids(), prop::sample::select(types.to_vec()), any::<bool>(), 0..4i64, any::<bool>(), symbols).prop_map(
        |(id, order_type, is_buy, quantity, has_legs, symbol)| {
            let (stop, target) = if is_buy { ("90", "110") } else { ("110", "90") };
            Command::Execute(Order {
                symbol: symbol.into(),
                order_type: Some(order_type),
                side: Some(if is_buy { Side::Buy } else { Side::Sell }),
                quantity: Some(Decimal::new(quantity, -3)),
                stop_loss: has_legs.then(|| decimal(stop)),
                take_profit: has_legs.then(|| decimal(target)),
                ..limit(&id)
            })
        },
    )
}

/// Limits so low that random orders reach them.
fn limits() -> impl Strategy<Value = RiskLimits> {
    let (steps, counts) = (prop::option::of::<std::ops::Range<i64>>, prop::option::of::<std::ops::Range<u32>>);
    (steps(1..4), steps(1..4), any::<bool>(), counts(0..4), steps(0..5), counts(1..3)).prop_map(
        |(quantity, notional, has_collar, max_open_orders, position, orders_per_second)| RiskLimits {
            max_order_quantity: quantity.map(|steps| Decimal::new(steps, -3)),
            max_order_notional: notional.map(|tenths| Decimal::new(tenths, -1)),
            price_collar: has_collar.then(|| decimal("0.005")),
            max_open_orders,
            max_position: position.map(|steps| Decimal::new(steps, -3)),
            orders_per_second,
            order_burst: orders_per_second.map(|rate| rate + 1),
        },
    )
}

fn sessions() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "s", "t", "u"]).prop_map(str::to_owned)
}

/// Commands of risk control.
fn controls() -> impl Strategy<Value = Command> {
    let symbols = prop::sample::select(vec!["", "NASDAQ", "SP500", "DAX"]);
    prop_oneof![
        2 => (command_ids(), symbols, limits()).prop_map(|(command_id, symbol, limits)| {
            let symbol = symbol.into();
            Command::SetRiskLimits(SetRiskLimits { command_id, symbol, limits, ..SetRiskLimits::default() })
        }),
        2 => (command_ids(), sessions(), prop::option::of(0..9u64)).prop_map(|(command_id, session_id, grace_ms)| {
            Command::SetCancelOnDisconnect(SetCancelOnDisconnect { command_id, session_id, grace_ms, ..Default::default() })
        }),
        1 => (command_ids(), any::<bool>()).prop_map(|(command_id, halts)| {
            let state = Some(if halts { TradingState::Halted } else { TradingState::Active });
            Command::SetTradingState(SetTradingState { command_id, state, all_accounts: true, ..Default::default() })
        }),
        1 => (command_ids(), prop::option::of(50..200i64)).prop_map(|(command_id, last_price)| {
            let last_price = last_price.map(|price| Decimal::new(price, 0));
            let quote = Quote { symbol: "NASDAQ".into(), last_price, ..Quote::default() };
            Command::PublishQuotes(PublishQuotes { command_id, quotes: vec![quote], ..PublishQuotes::default() })
        }),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let states = prop::sample::select(vec![TradingState::Active, TradingState::Reducing, TradingState::Halted]);
    prop_oneof![
        6 => orders(),
        2 => (command_ids(), any_ids()).prop_map(|(command_id, order_id)| {
            Command::Cancel(CancelOrder { command_id, order_id, ..CancelOrder::default() })
        }),
        2 => (command_ids(), any_ids(), 1..4u64, 1..5i64, any::<bool>()).prop_map(|(command_id, order_id, version, quantity, price)| {
            Command::Replace(ReplaceOrder {
                command_id,
                order_id,
                expected_version: Some(version),
                quantity: Some(Decimal::new(quantity, -3)),
                price: price.then(|| decimal("101")),
                ..ReplaceOrder::default()
            })
        }),
        1 => order_ids().prop_map(|order_id| Command::Fence(FenceOrder { order_id, ..FenceOrder::default() })),
        1 => command_ids().prop_map(|command_id| Command::CancelAll(CancelAllOrders { command_id, ..CancelAllOrders::default() })),
        1 => (command_ids(), states, any::<bool>()).prop_map(|(command_id, state, cancel_open_orders)| {
            Command::SetTradingState(SetTradingState { command_id, state: Some(state), cancel_open_orders, ..Default::default() })
        }),
        1 => command_ids().prop_map(|command_id| {
            let quote = Quote { symbol: "NASDAQ".into(), ..Quote::default() };
            Command::PublishQuotes(PublishQuotes { command_id, quotes: vec![quote], ..PublishQuotes::default() })
        }),
    ]
}

fn reports() -> impl Strategy<Value = VenueReport> {
    let keys = || (0..40u64).prop_map(VenueKey);
    let codes = || prop::sample::select(vec![ReasonCode::None, ReasonCode::NoLiquidity, ReasonCode::CancelledByClient]);
    prop_oneof![
        4 => keys().prop_map(accepted),
        1 => keys().prop_map(|key| VenueReport::Rejected { key, code: ReasonCode::VenueRejected, message: "no".into() }),
        6 => (keys(), 0..9u64, 0..3i64, 1..20_000i64).prop_map(|(key, execution_id, quantity_steps, price_ticks)| {
            VenueReport::Filled { key, execution_id, quantity_steps, price_ticks }
        }),
        2 => (keys(), codes()).prop_map(|(key, code)| closed(key, code)),
        1 => keys().prop_map(|key| VenueReport::Triggered { key }),
        2 => (keys(), 0..5i64, prop::option::of(1..20_000i64)).prop_map(|(key, quantity_steps, price_ticks)| {
            VenueReport::Replaced { key, quantity_steps, price_ticks }
        }),
        1 => (keys(), codes()).prop_map(|(key, code)| VenueReport::CommandRefused { key, code, message: "no".into() }),
        2 => (keys(), 1..4i64).prop_map(|(key, quantity_steps)| {
            VenueReport::LegOpened { key, trigger_ticks: 9_000, quantity_steps }
        }),
        1 => (keys(), 0..4i64).prop_map(|(key, quantity_steps)| VenueReport::LegResized { key, quantity_steps }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let inputs = prop_oneof![
        6 => commands().prop_map(Input::Command),
        6 => reports().prop_map(Input::Venue),
        1 => (0..12u64).prop_map(|order| Input::AckTimeout { order: OrderNo(order) }),
        1 => (2..9u64).prop_map(|epoch| Input::Started { epoch }),
        2 => controls().prop_map(Input::Command),
        1 => sessions().prop_map(|session_id| Input::LeaseExpired { session_id }),
        1 => limits().prop_map(|limits| {
            let risk = RiskConfiguration { limits, ..RiskConfiguration::default() };
            Input::Configured(Configuration { risk, ..small_configuration() })
        }),
    ];
    let step = prop_oneof![
        4 => (sessions(), inputs).prop_map(|(session_id, input)| Step::Input(session_id, Box::new(input))),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..120)
}

/// A short history, and room for two leases.
fn small_configuration() -> Configuration {
    Configuration { update_history: 7, max_leases: 2, ..configuration() }
}

fn run(steps: &[Step]) -> Desk {
    let mut desk = Desk::open_with(small_configuration());
    for step in steps {
        match step {
            Step::Input(session_id, input) => {
                desk.now += 100 * MS;
                desk.apply_for(session_id, input);
            }
            Step::Settle => desk.reports(&[]),
        }
    }
    desk
}

fn all_ids() -> impl Iterator<Item = String> {
    ORDER_IDS.iter().flat_map(|id| ["", "·SL", "·TP"].map(|suffix| format!("{id}{suffix}")))
}

/// How many orders, by account and id, the venue was told to open.
fn opened_ids(events: &[Event]) -> Vec<&str> {
    let opened = events.iter().filter_map(|event| match event {
        Event::OrderOpened(opened) => Some(opened.order_id.as_str()),
        _ => None,
    });
    opened.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn folding_the_events_gives_the_same_state(steps in steps()) {
        let mut desk = run(&steps);
        let mut recovered = desk.recovered();
        prop_assert_eq!(recovered.state_hash(), desk.core.state_hash());
        prop_assert_eq!(desk.core.recompute_state_hash(), desk.core.state_hash());
        prop_assert!(desk.core.derived_state_is_true() && recovered.derived_state_is_true());
        for id in all_ids() {
            prop_assert_eq!(recovered.get("default", &id), desk.core.get("default", &id), "{}", id);
        }
        prop_assert_eq!(recovered.unreported_intents(), desk.core.unreported_intents());
        prop_assert_eq!(recovered.counters(), desk.core.counters());
        for after in 0..=desk.core.last_sequence("default") + 1 {
            prop_assert_eq!(recovered.updates_since("default", after), desk.core.updates_since("default", after));
        }
        let all = UpdateRange { account: "default".into(), first: 1, last: desk.core.last_sequence("default") };
        prop_assert!(recovered.updates(&all).eq(desk.core.updates(&all)));
    }

    #[test]
    fn the_same_inputs_give_the_same_events(steps in steps()) {
        let (once, twice) = (run(&steps), run(&steps));
        prop_assert_eq!(&once.events, &twice.events);
        prop_assert_eq!(&once.effects, &twice.effects);
    }

    #[test]
    fn a_recovered_core_decides_as_the_one_that_lived(steps in steps(), more in steps()) {
        let mut desk = run(&steps);
        desk.reports(&[]);
        let mut recovered = desk.recovered();
        let (mut events, mut effects) = (Vec::new(), Vec::new());
        let (known, sent) = (desk.events.len(), desk.effects.len());
        for step in &more {
            match step {
                Step::Input(session_id, input) => {
                    let expected = desk.apply_for(session_id, input);
                    let again = recovered.apply_for(session_id, &**input, desk.now, &mut events, &mut effects);
                    prop_assert_eq!(again, expected);
                }
                Step::Settle => {
                    desk.reports(&[]);
                    recovered.settle(desk.now, &mut events);
                }
            }
        }
        prop_assert_eq!(&desk.events[known..], &events);
        prop_assert_eq!(&desk.effects[sent..], &effects);
    }

    #[test]
    fn sequences_have_no_holes(steps in steps()) {
        let desk = run(&steps);
        for (index, update) in desk.updates.iter().enumerate() {
            prop_assert_eq!(update.sequence, index as u64 + 1);
            prop_assert_eq!(update.order.sequence, update.sequence);
        }
        prop_assert_eq!(desk.core.last_sequence("default"), desk.updates.len() as u64);
    }

    #[test]
    fn an_order_id_is_opened_at_most_once(steps in steps()) {
        let desk = run(&steps);
        let opened = opened_ids(&desk.events);
        let distinct: BTreeSet<_> = opened.iter().collect();
        prop_assert_eq!(distinct.len(), opened.len());
        let sent = desk.effects.iter().filter(|effect| matches!(effect, Effect::Venue(VenueCommand::New(_))));
        prop_assert_eq!(sent.count(), opened.len());
    }

    #[test]
    fn a_stored_reply_never_changes(steps in steps()) {
        let mut desk = Desk::open();
        let mut stored = std::collections::BTreeMap::new();
        for step in &steps {
            match step {
                Step::Input(session_id, input) => { desk.apply_for(session_id, input); }
                Step::Settle => desk.reports(&[]),
            }
            for id in ORDER_IDS {
                if let Some(reply) = desk.core.get("default", id).reply {
                    prop_assert_eq!(stored.entry(id).or_insert_with(|| reply.clone()), &reply);
                }
            }
        }
    }
}
