//! What is forgotten, what never is, and that no id executes again because it was (invariants 1 and 10).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Retention and skew of the desk's configuration, and a little.
const WHOLE_WINDOW: i64 = 61_001 * MS;

/// One pass over everything.
fn sweep(desk: &mut Desk) {
    for kind in RememberedKind::ALL {
        let mut after = 0;
        while let Some(sweep) = desk.core.next_sweep(kind, after, 3) {
            desk.apply(&Input::Forget(sweep));
            after = sweep.last;
        }
    }
}

fn remembered(desk: &Desk) -> u64 {
    desk.core.remembered_ids().used
}

/// A UUIDv7 of the desk's clock, which no other order has.
fn id_now(desk: &Desk, number: u32) -> String {
    let id = uuid7(desk.now / MS);
    format!("{}{number:08x}", &id[..28])
}

/// An order that was filled and whose updates nobody can ask for any more.
fn over(desk: &mut Desk) -> Order {
    let order = limit(&id_now(desk, 1));
    let key = desk.work(order.clone());
    desk.fill(key, 10_000, 10_000);
    desk.core.take_concluded();
    for number in 0..50 {
        let key = desk.work(limit(&format!("later-{number}")));
        desk.fill(key, 10_000, 10_000);
    }
    desk.core.take_concluded();
    order
}

#[test]
fn an_order_that_is_over_is_forgotten_after_the_window_and_a_late_copy_is_too_old() {
    let mut desk = Desk::open();
    let order = over(&mut desk);
    desk.now += WHOLE_WINDOW - 1_000 * MS;
    sweep(&mut desk);
    assert!(desk.core.get("default", &order.order_id).found, "the skew is part of the window");
    desk.now += 1_000 * MS;
    let before = remembered(&desk);
    sweep(&mut desk);
    assert_eq!(remembered(&desk), before - 1, "the others' ids have no age");

    let asked = desk.core.get("default", &order.order_id);
    assert_eq!((asked.found, asked.code, asked.fenced), (false, Some(ReasonCode::IdTooOld), true));
    let events = desk.events.len();
    let reply = desk.reply_to(order);
    assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, ReasonCode::IdTooOld));
    assert_eq!(desk.events.len(), events, "stored nowhere");
    assert_eq!(desk.core.recompute_state_hash(), desk.core.state_hash());
    assert_eq!(desk.recovered().state_hash(), desk.core.state_hash());
}

#[test]
fn neither_a_clock_that_steps_back_nor_a_longer_retention_brings_an_id_back() {
    let mut desk = Desk::open();
    let order = over(&mut desk);
    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    let mut restarted = Desk::open();
    restarted.core = desk.recovered();
    restarted.now = START_NS;
    restarted.apply(&Input::Configured(Configuration { retention_ms: 1 << 40, ..configuration() }));
    let reply = restarted.reply_to(order);
    assert_eq!(reply.code, ReasonCode::IdTooOld);
}

#[test]
fn an_order_that_was_too_old_once_stays_so_after_the_clock_stepped_back() {
    let mut desk = Desk::open();
    let order = limit(&uuid7(START_NS / MS));
    desk.now += 60_001 * MS;
    assert_eq!(desk.reply_to(order.clone()).code, ReasonCode::IdTooOld);
    desk.now = START_NS;
    assert_eq!(desk.reply_to(order).code, ReasonCode::IdTooOld);
    assert_eq!(desk.recovered().state_hash(), desk.core.state_hash());
}

#[test]
fn what_still_works_or_was_told_lately_or_has_no_age_is_kept() {
    let mut desk = Desk::open();
    let resting = limit(&id_now(&desk, 1));
    desk.work(resting.clone());
    let unreported = limit(&id_now(&desk, 2));
    desk.send(Command::Execute(unreported.clone()));
    let foreign = limit("no-uuid");
    let key = desk.work(foreign.clone());
    desk.fill(key, 10_000, 10_000);
    let told = limit(&id_now(&desk, 3));
    let key = desk.work(told.clone());
    desk.fill(key, 10_000, 10_000);
    desk.core.take_concluded();

    desk.now += 100 * WHOLE_WINDOW;
    sweep(&mut desk);
    for order in [&resting, &unreported, &foreign, &told] {
        assert!(desk.core.get("default", &order.order_id).found, "{}", order.order_id);
        assert!(desk.send(Command::Execute(order.clone())).duplicate);
    }
    assert_eq!(desk.core.updates_since("default", 0), Replay::Whole { after: 0 });
    let last = desk.core.last_sequence("default");
    let range = UpdateRange { account: "default".into(), first: 1, last };
    assert_eq!(desk.core.updates(&range).count() as u64, last, "the history has no holes");
}

#[test]
fn an_order_that_ended_lately_is_kept_however_old_its_id_is() {
    let mut desk = Desk::open();
    let order = limit(&id_now(&desk, 1));
    let key = desk.work(order.clone());
    desk.core.take_concluded();
    desk.now += WHOLE_WINDOW;
    desk.fill(key, 10_000, 10_000);
    for number in 0..60 {
        let key = desk.work(limit(&format!("later-{number}")));
        desk.fill(key, 10_000, 10_000);
    }
    desk.core.take_concluded();
    sweep(&mut desk);
    assert!(desk.core.get("default", &order.order_id).found);
    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    assert!(!desk.core.get("default", &order.order_id).found);
}

#[test]
fn fences_are_forgotten_and_stay_fences() {
    let mut desk = Desk::open();
    let order = limit(&id_now(&desk, 9));
    let fence = FenceOrder { account: "default".into(), order_id: order.order_id.clone() };
    desk.send(Command::Fence(fence.clone()));
    assert_eq!(remembered(&desk), 1);
    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    assert_eq!(remembered(&desk), 0);
    let events = desk.events.len();
    let Some(CommandOutcome::Get(reply)) = desk.send(Command::Fence(fence)).reply else { panic!("no answer") };
    assert_eq!((reply.found, reply.fenced, reply.code), (false, true, Some(ReasonCode::IdTooOld)));
    assert_eq!(desk.reply_to(order).code, ReasonCode::IdTooOld);
    assert_eq!(desk.events.len(), events);
    assert_eq!(desk.core.recompute_state_hash(), desk.core.state_hash());
}

fn publish(command_id: String) -> Command {
    let quote = Quote {
        symbol: "NASDAQ".into(),
        bid: Some(decimal("99.00")),
        bid_size: Some(decimal("1")),
        ..Quote::default()
    };
    Command::PublishQuotes(PublishQuotes { command_id, quotes: vec![quote], ..PublishQuotes::default() })
}

#[test]
fn published_quotes_are_forgotten_first_and_never_published_again() {
    let mut desk = Desk::open();
    let (quotes, halt) = (id_now(&desk, 1), id_now(&desk, 2));
    desk.send(publish(quotes.clone()));
    let halted = SetTradingState { command_id: halt, state: Some(TradingState::Halted), ..SetTradingState::default() };
    desk.send(Command::SetTradingState(halted.clone()));
    desk.now += 11_001 * MS;
    sweep(&mut desk);
    assert_eq!(remembered(&desk), 1);

    let effects = desk.effects.len();
    let again = desk.send(publish(quotes)).reply;
    assert!(matches!(&again, Some(CommandOutcome::Command(reply)) if reply.code == ReasonCode::IdTooOld), "{again:?}");
    assert_eq!(desk.effects.len(), effects);
    assert!(desk.send(Command::SetTradingState(halted.clone())).duplicate);

    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    assert_eq!(remembered(&desk), 0);
    let again = desk.send(Command::SetTradingState(halted)).reply;
    assert!(matches!(&again, Some(CommandOutcome::Command(reply)) if reply.code == ReasonCode::IdTooOld), "{again:?}");
}

fn quota_used(desk: &Desk) -> u64 {
    desk.core.quota("default").used
}

/// A UUIDv7 whose time lies so far ahead of the desk's.
fn id_ahead(desk: &Desk, ahead_ms: i64, number: u32) -> String {
    format!("{}{number:08x}", &uuid7(desk.now / MS + ahead_ms)[..28])
}

fn code_of(outcome: Outcome) -> ReasonCode {
    match outcome.reply {
        Some(CommandOutcome::Command(reply)) => reply.code,
        Some(CommandOutcome::Execute(reply)) => reply.code,
        other => panic!("not answered: {other:?}"),
    }
}

#[test]
fn ids_from_the_future_take_from_the_quota_until_their_own_time_has_passed() {
    const HOUR_MS: i64 = 3_600_000;
    let mut desk = Desk::open_with(Configuration { foreign_id_quota: 3, update_history: 3, ..configuration() });
    let order = limit(&id_ahead(&desk, HOUR_MS, 1));
    let quotes = publish(id_ahead(&desk, HOUR_MS, 2));
    let effects = desk.effects.len();
    for command in [Command::Execute(order.clone()), quotes.clone(), publish(id_ahead(&desk, HOUR_MS, 3))] {
        assert_eq!(code_of(desk.send(command)), ReasonCode::IdFromFuture);
    }
    assert_eq!((desk.effects.len(), quota_used(&desk)), (effects, 3), "nothing was done, and it is remembered");
    for refused in [Command::Execute(limit(&id_ahead(&desk, HOUR_MS, 4))), publish(id_ahead(&desk, HOUR_MS, 5))] {
        assert_eq!(desk.core.admit(&refused, desk.now).unwrap_err().code, ReasonCode::IdQuotaExceeded);
    }
    assert!(desk.send(quotes.clone()).duplicate && desk.send(Command::Execute(order.clone())).duplicate);
    assert_eq!(desk.recovered().quota("default").used, 3);

    // The clocks that made them were wrong by an hour: by then their time has come, and nothing new came of them.
    desk.now += HOUR_MS * MS;
    assert_eq!(code_of(desk.send(quotes.clone())), ReasonCode::IdFromFuture, "the stored answer");
    for number in 0..5 {
        let key = desk.work(limit(&id_now(&desk, 10 + number)));
        desk.fill(key, 10_000, 10_000);
    }
    desk.core.take_concluded();
    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    assert_eq!(quota_used(&desk), 0);
    assert_eq!(code_of(desk.send(quotes)), ReasonCode::IdTooOld);
    assert_eq!(code_of(desk.send(Command::Execute(order))), ReasonCode::IdTooOld);
    assert_eq!(desk.recovered().quota("default"), desk.core.quota("default"));
    assert_eq!(desk.core.recompute_state_hash(), desk.core.state_hash());
}

#[test]
fn a_clock_within_the_skew_takes_nothing_from_the_quota_and_its_quotes_are_published() {
    let mut desk = Desk::open();
    assert_eq!(code_of(desk.send(publish(id_ahead(&desk, 1_000, 1)))), ReasonCode::None);
    desk.work(limit(&id_ahead(&desk, 1_000, 2)));
    assert_eq!(quota_used(&desk), 0);
}

#[test]
fn what_closes_an_account_down_is_done_whatever_clock_its_id_is_from() {
    let mut desk = Desk::open_with(Configuration { foreign_id_quota: 0, ..configuration() });
    desk.work(limit(&id_now(&desk, 1)));
    let (command_id, state) = (id_ahead(&desk, 1 << 40, 2), Some(TradingState::Halted));
    let halt = SetTradingState { command_id, state, ..SetTradingState::default() };
    assert_eq!(code_of(desk.send(Command::SetTradingState(halt))), ReasonCode::None);
    assert_eq!(quota_used(&desk), 0);
}

#[test]
fn cancelling_a_forgotten_order_says_so() {
    let mut desk = Desk::open();
    let order = over(&mut desk);
    desk.now += WHOLE_WINDOW;
    sweep(&mut desk);
    let cancel = desk.cancel(&order.order_id);
    let Some(CommandOutcome::OrderCommand(reply)) = desk.send(cancel).reply else { panic!("no answer") };
    assert_eq!((reply.code, reply.fenced), (ReasonCode::IdTooOld, true));
}

#[derive(Clone, Debug)]
enum Step {
    Order(u32),
    Resend(u32),
    Fence(u32),
    Fill(u32),
    Wait(i64),
    Sweep,
    Restart { clock_back_ms: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..20u32).prop_map(Step::Order),
        4 => (0..20u32).prop_map(Step::Resend),
        1 => (0..20u32).prop_map(Step::Fence),
        3 => (0..20u32).prop_map(Step::Fill),
        3 => (0..40_000i64).prop_map(Step::Wait),
        3 => Just(Step::Sweep),
        1 => (0..100_000i64).prop_map(|clock_back_ms| Step::Restart { clock_back_ms }),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_forgotten_no_id_is_opened_twice_and_recovery_agrees(steps in steps()) {
        let mut desk = Desk::open_with(Configuration { update_history: 3, ..configuration() });
        let mut sent: BTreeMap<u32, Order> = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Order(number) => {
                    let order = sent.entry(*number).or_insert_with(|| limit(&id_now(&desk, *number))).clone();
                    desk.send(Command::Execute(order));
                }
                Step::Resend(number) => {
                    if let Some(order) = sent.get(number) { desk.send(Command::Execute(order.clone())); }
                }
                Step::Fence(number) => {
                    let order = sent.entry(*number).or_insert_with(|| limit(&id_now(&desk, *number)));
                    let order_id = order.order_id.clone();
                    desk.send(Command::Fence(FenceOrder { account: "default".into(), order_id }));
                }
                Step::Fill(number) => desk.fill(VenueKey::entry(OrderNo(u64::from(*number))), 10_000, 10_000),
                Step::Wait(ms) => desk.now += ms * MS,
                Step::Sweep => sweep(&mut desk),
                Step::Restart { clock_back_ms } => {
                    desk.core = desk.recovered();
                    // A machine whose clock is wrong: the sequencer only knows the time of the last record.
                    desk.now -= clock_back_ms * MS;
                }
            }
            desk.core.take_concluded();
        }
        let mut opened: Vec<&str> = desk.events.iter().filter_map(|event| match event {
            Event::OrderOpened(opened) => Some(&*opened.order_id),
            _ => None,
        }).collect();
        opened.sort_unstable();
        let opens = opened.len();
        opened.dedup();
        prop_assert_eq!(opened.len(), opens, "an id was opened twice");
        prop_assert_eq!(desk.core.recompute_state_hash(), desk.core.state_hash());
        let mut recovered = desk.recovered();
        prop_assert_eq!(recovered.state_hash(), desk.core.state_hash());
        prop_assert_eq!(recovered.counters(), desk.core.counters());
        for order in sent.values() {
            prop_assert_eq!(recovered.get("default", &order.order_id), desk.core.get("default", &order.order_id));
        }
    }
}
