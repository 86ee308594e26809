//! Executions, averages, cancels, replaces and legs, with a venue that answers at once or later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

#[test]
fn a_call_ends_with_all_that_happened_in_its_turn() {
    let mut desk = Desk::open();
    desk.send(Command::Execute(limit("a")));
    let key = VenueKey::entry(OrderNo(1));
    let fills = [desk.filled(key, 4_000, 9_999), desk.filled(key, 6_000, 10_000)];
    desk.reports(&[accepted(key), fills[0].clone(), fills[1].clone()]);
    let (call, CommandOutcome::Execute(reply)) = desk.concluded() else { panic!("no order") };
    assert_eq!(call, Call::Execute(OrderNo(1)));
    assert_eq!((reply.status, reply.order_version, reply.sequence), (ExecutionStatus::Filled, 1, 3));
    assert_eq!((reply.executed_quantity, reply.remaining_quantity), (decimal("1e1"), Decimal::ZERO));
    assert_eq!(reply.executed_price, Some(decimal("99.996")));
    assert_eq!((reply.execution_time_ns, reply.exchange_order_id.as_str()), (Some(START_NS), "V4"));
    let fill = &desk.updates[1];
    assert_eq!((fill.kind, fill.execution_id), (UpdateKind::Fill, 1));
    assert_eq!((fill.last_quantity, fill.last_price), (Some(decimal("4")), Some(decimal("99.99"))));
    assert_eq!(fill.order.status, ExecutionStatus::PartiallyFilled);
}

#[test]
fn an_average_is_rounded_half_to_even_at_six_digits_below_the_tick() {
    // 2^-n of a tick has its last digit at the n-th place: 1/128 is 0.0078125, the half at the seventh.
    for (fills, expected) in [
        ([(127, 10_000), (1, 10_001)], "100.00007812"),
        ([(125, 10_000), (3, 10_001)], "100.00023438"),
        ([(2, 10_000), (1, 10_001)], "100.00333333"),
        ([(1, 10_000), (2, 10_001)], "100.00666667"),
    ] {
        let mut desk = Desk::open();
        let key = desk.work(limit("a"));
        for (steps, ticks) in fills {
            desk.fill(key, steps, ticks);
        }
        assert_eq!(desk.state("a").executed_price, Some(decimal(expected)), "{fills:?}");
    }
}

#[test]
fn an_average_of_huge_prices_keeps_as_many_digits_as_fit() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.fill(key, 2, 1_000_000_000_000_000);
    desk.fill(key, 1, 999_999_999_999_999);
    assert_eq!(desk.state("a").executed_price, Some(decimal("9999999999999.99667")));
}

#[test]
fn an_execution_that_is_reported_again_counts_once() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    let fill = desk.filled(key, 4_000, 10_000);
    desk.reports(&[fill.clone(), fill]);
    assert_eq!(desk.state("a").executed_quantity, decimal("4"));
}

#[test]
fn an_execution_that_crossed_the_cancel_still_counts() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    desk.fill(key, 4_000, 10_000);
    let state = desk.state("a");
    assert_eq!((state.status, state.executed_quantity), (ExecutionStatus::Cancelled, decimal("4")));
    assert_eq!(state.remaining_quantity, decimal("6"));
}

#[test]
fn what_ends_with_something_left_says_why() {
    let mut desk = Desk::open();
    let key = desk.work(Order { order_type: Some(OrderType::Market), ..limit("a") });
    desk.reports(&[closed(key, ReasonCode::NoLiquidity)]);
    let state = desk.state("a");
    assert_eq!((state.status, state.code), (ExecutionStatus::Cancelled, ReasonCode::NoLiquidity));
    assert!(!state.error_message.is_empty());
}

#[test]
fn a_venue_that_will_not_have_the_order_rejects_it() {
    let mut desk = Desk::open();
    desk.send(Command::Execute(limit("a")));
    let key = VenueKey::entry(OrderNo(1));
    desk.reports(&[VenueReport::Rejected { key, code: ReasonCode::VenueRejected, message: "closed today".into() }]);
    let (_, CommandOutcome::Execute(reply)) = desk.concluded() else { panic!("no order") };
    assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, ReasonCode::VenueRejected));
    assert_eq!((reply.error_message.as_str(), reply.order_version), ("closed today", 0));
    assert!(desk.core.unreported_intents().is_empty());
}

#[test]
fn a_venue_that_does_not_answer_in_time_leaves_a_pending_reply_that_stays() {
    let mut desk = Desk::open();
    desk.send(Command::Execute(limit("a")));
    assert_eq!(desk.core.unreported_intents().len(), 1);
    desk.apply(&Input::AckTimeout { order: OrderNo(1) });
    let (_, CommandOutcome::Execute(pending)) = desk.concluded() else { panic!("no order") };
    assert_eq!((pending.status, pending.sequence), (ExecutionStatus::Pending, 0));
    assert_eq!(desk.recovered().unreported_intents(), desk.core.unreported_intents());

    let key = VenueKey::entry(OrderNo(1));
    let fill = desk.filled(key, 10_000, 10_000);
    desk.reports(&[accepted(key), fill]);
    assert!(desk.core.take_concluded().is_empty(), "the call ended before");
    let again = desk.send(Command::Execute(limit("a")));
    assert_eq!(order_reply(again), pending);
    assert_eq!(desk.state("a").status, ExecutionStatus::Filled);
    let events = desk.events.len();
    desk.apply(&Input::AckTimeout { order: OrderNo(1) });
    assert_eq!(desk.events.len(), events);
}

#[test]
fn a_cancel_waits_for_the_venue_and_says_that_the_order_filled_instead() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let cancel = desk.cancel("a");
    assert!(desk.send(cancel).reply.is_none());
    desk.fill(key, 10_000, 10_000);
    let reply = desk.concluded_order_command();
    assert_eq!((reply.code, reply.fenced), (ReasonCode::OrderClosed, false));
    assert_eq!(reply.order.unwrap().status, ExecutionStatus::Filled);
    desk.reports(&[VenueReport::CommandRefused { key, code: ReasonCode::OrderClosed, message: "late".into() }]);
    assert!(desk.core.take_concluded().is_empty());
}

#[test]
fn a_partial_fill_does_not_end_a_cancel_that_waits() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let cancel = desk.cancel("a");
    desk.send(cancel);
    desk.fill(key, 4_000, 10_000);
    assert!(desk.core.take_concluded().is_empty());
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    let reply = desk.concluded_order_command();
    assert_eq!(reply.code, ReasonCode::None);
    assert_eq!(reply.order.unwrap().executed_quantity, decimal("4"));
}

#[test]
fn what_has_ended_cannot_be_cancelled_or_replaced() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    let (cancel, replace) = (desk.cancel("a"), desk.replace("a", 1, Some("5"), None));
    for command in [cancel, replace] {
        let reply = order_command_reply(desk.send(command));
        assert_eq!(reply.code, ReasonCode::OrderClosed);
        assert_eq!(reply.order, Some(desk.state("a")));
    }
}

#[test]
fn a_replace_needs_the_version_that_it_was_decided_on() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let replace = desk.replace("a", 1, Some("5"), Some("99"));
    assert!(desk.send(replace).reply.is_none());
    let told = VenueCommand::Replace { key, quantity_steps: Some(5_000), price_ticks: Some(9_900) };
    assert_eq!(desk.effects.last(), Some(&Effect::Venue(told)));

    let second = desk.replace("a", 1, Some("6"), None);
    assert_eq!(order_command_reply(desk.send(second)).code, ReasonCode::OrderVersionMismatch, "one is under way");

    desk.reports(&[VenueReport::Replaced { key, quantity_steps: 5_000, price_ticks: Some(9_900) }]);
    let reply = desk.concluded_order_command();
    let order = reply.order.unwrap();
    assert_eq!((reply.code, order.order_version), (ReasonCode::None, 2));
    assert_eq!((order.quantity, order.price), (Some(decimal("5")), Some(decimal("99").normalised())));
    assert_eq!(desk.updates.last().unwrap().kind, UpdateKind::Replaced);

    let stale = desk.replace("a", 1, Some("7"), None);
    let reply = order_command_reply(desk.send(stale));
    assert_eq!((reply.code, reply.field.as_str()), (ReasonCode::OrderVersionMismatch, "expected_version"));
}

#[test]
fn a_replace_is_judged_like_an_order() {
    let mut desk = Desk::open();
    let key = desk.work(Order { stop_loss: Some(decimal("90")), ..limit("a") });
    desk.fill(key, 4_000, 10_000);
    let without_version = match desk.replace("a", 0, Some("5"), None) {
        Command::Replace(replace) => Command::Replace(ReplaceOrder { expected_version: None, ..replace }),
        _ => unreachable!(),
    };
    let reply = order_command_reply(desk.send(without_version));
    assert_eq!((reply.code, reply.field.as_str()), (ReasonCode::MissingField, "expected_version"));
    for (quantity, price, code, field) in [
        (None, None, ReasonCode::MissingField, "quantity"),
        (Some("4"), None, ReasonCode::InvalidField, "quantity"),
        (Some("5.0001"), None, ReasonCode::QuantityOffStep, "quantity"),
        (None, Some("99.001"), ReasonCode::PriceOffTick, "price"),
        (None, Some("89"), ReasonCode::InvalidField, "price"),
    ] {
        let replace = desk.replace("a", 1, quantity, price);
        let reply = order_command_reply(desk.send(replace));
        assert_eq!((reply.code, reply.field.as_str()), (code, field), "{quantity:?} {price:?}");
    }
    let unknown = desk.replace("nobody", 1, Some("5"), None);
    let reply = order_command_reply(desk.send(unknown));
    assert_eq!((reply.code, reply.fenced), (ReasonCode::UnknownOrder, false), "a replace fences nothing");
}

#[test]
fn a_replace_that_the_venue_refuses_leaves_the_order_as_it_was() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let replace = desk.replace("a", 1, None, Some("99"));
    desk.send(replace);
    desk.reports(&[VenueReport::CommandRefused { key, code: ReasonCode::VenueRejected, message: "not now".into() }]);
    let reply = desk.concluded_order_command();
    assert_eq!((reply.code, reply.message.as_str()), (ReasonCode::VenueRejected, "not now"));
    assert_eq!(reply.order.unwrap().order_version, 1);
}

fn with_legs(desk: &mut Desk) -> [VenueKey; 3] {
    let order = Order { stop_loss: Some(decimal("90")), take_profit: Some(decimal("110")), ..limit("a") };
    let key = desk.work(order);
    [key, VenueKey::new(key.order(), Part::Stop), VenueKey::new(key.order(), Part::Target)]
}

#[test]
fn legs_are_orders_of_their_own() {
    let mut desk = Desk::open();
    let [entry, stop, target] = with_legs(&mut desk);
    let first = desk.filled(entry, 4_000, 10_000);
    desk.reports(&[
        first,
        VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 4_000 },
        VenueReport::LegOpened { key: target, trigger_ticks: 11_000, quantity_steps: 4_000 },
    ]);
    let leg = desk.state("a·SL");
    assert_eq!((leg.order_id.as_str(), leg.parent_order_id.as_str()), ("a·SL", "a"));
    assert_eq!((leg.side, leg.order_type), (Some(Side::Sell), Some(OrderType::StopLoss)));
    assert_eq!((leg.status, leg.order_version), (ExecutionStatus::Pending, 1));
    assert_eq!((leg.price, leg.quantity), (Some(decimal("9e1")), Some(decimal("4"))));
    assert_eq!(desk.state("a·TP").order_type, Some(OrderType::TakeProfit));
    assert_eq!(desk.core.get("default", "a·TP").reply, None, "no call of its own");

    let second = desk.filled(entry, 6_000, 10_000);
    let profit = desk.filled(target, 3_000, 11_000);
    desk.reports(&[
        second,
        VenueReport::LegResized { key: stop, quantity_steps: 10_000 },
        VenueReport::LegResized { key: target, quantity_steps: 10_000 },
        VenueReport::Triggered { key: target },
        profit,
        VenueReport::LegResized { key: stop, quantity_steps: 7_000 },
    ]);
    assert_eq!(desk.state("a·SL").quantity, Some(decimal("7")));
    assert_eq!(desk.state("a·TP").status, ExecutionStatus::PartiallyFilled);
    let rest = desk.filled(target, 7_000, 11_000);
    desk.reports(&[rest, VenueReport::LegResized { key: stop, quantity_steps: 0 }, closed(stop, ReasonCode::LegDone)]);
    assert_eq!(desk.state("a·TP").status, ExecutionStatus::Filled);
    let stop = desk.state("a·SL");
    assert_eq!((stop.status, stop.code), (ExecutionStatus::Cancelled, ReasonCode::LegDone));
    assert_eq!(desk.core.counters().iter().find(|(name, _)| *name == "open_orders").unwrap().1, 0);
    let sequences: Vec<u64> = desk.updates.iter().map(|update| update.sequence).collect();
    assert_eq!(sequences, (1..=desk.updates.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_leg_that_is_done_stays_open_while_its_entry_can_fill() {
    let mut desk = Desk::open();
    let [entry, stop, _] = with_legs(&mut desk);
    let (opening, stopped) = (desk.filled(entry, 4_000, 10_000), desk.filled(stop, 4_000, 8_900));
    desk.reports(&[
        opening,
        VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 4_000 },
        stopped,
    ]);
    assert_eq!(desk.state("a·SL").status, ExecutionStatus::PartiallyFilled);
    desk.reports(&[closed(entry, ReasonCode::CancelledByClient), closed(stop, ReasonCode::None)]);
    let leg = desk.state("a·SL");
    assert_eq!((leg.status, leg.code), (ExecutionStatus::Filled, ReasonCode::None));
}

#[test]
fn a_leg_that_a_later_fill_of_its_entry_arms_again_is_triggered_again() {
    let mut desk = Desk::open();
    let [entry, stop, _] = with_legs(&mut desk);
    let opened = VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 4_000 };
    let (opening, stopped) = (desk.filled(entry, 4_000, 10_000), desk.filled(stop, 4_000, 8_900));
    desk.reports(&[opening, opened, VenueReport::Triggered { key: stop }, stopped]);
    let later = desk.filled(entry, 6_000, 10_000);
    desk.reports(&[later, VenueReport::LegResized { key: stop, quantity_steps: 10_000 }]);
    desk.reports(&[VenueReport::Triggered { key: stop }, VenueReport::Triggered { key: stop }]);
    let triggers = desk.updates.iter().filter(|update| update.kind == UpdateKind::Triggered);
    assert_eq!(triggers.count(), 2, "once each time it was armed");
    assert_eq!(desk.recovered().state_hash(), desk.core.state_hash());
}

#[test]
fn a_leg_can_be_cancelled_and_its_trigger_moved() {
    let mut desk = Desk::open();
    let [entry, stop, _] = with_legs(&mut desk);
    let fill = desk.filled(entry, 10_000, 10_000);
    desk.reports(&[fill, VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 10_000 }]);
    desk.core.take_concluded();
    let replace = desk.replace("a·SL", 1, None, Some("95"));
    desk.send(replace);
    let told = VenueCommand::Replace { key: stop, quantity_steps: None, price_ticks: Some(9_500) };
    assert_eq!(desk.effects.last(), Some(&Effect::Venue(told)));
    desk.reports(&[VenueReport::Replaced { key: stop, quantity_steps: 10_000, price_ticks: Some(9_500) }]);
    assert_eq!(desk.concluded_order_command().order.unwrap().order_version, 2);

    let resize = desk.replace("a·SL", 2, Some("5"), None);
    assert_eq!(order_command_reply(desk.send(resize)).field, "quantity");
    let beyond = desk.replace("a·SL", 2, None, Some("111"));
    assert_eq!(order_command_reply(desk.send(beyond)).field, "price", "above its target");

    let cancel = desk.cancel("a·SL");
    desk.send(cancel);
    assert_eq!(desk.effects.last(), Some(&Effect::Venue(VenueCommand::Cancel { key: stop })));
    desk.reports(&[closed(stop, ReasonCode::CancelledByClient)]);
    assert_eq!(desk.concluded_order_command().order.unwrap().order_id, "a·SL");
}

#[test]
fn reports_that_make_no_sense_change_nothing() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.reply_to(Order { quantity: None, ..limit("rejected") });
    let (events, hash) = (desk.events.len(), desk.core.state_hash());
    for key in [VenueKey(0), VenueKey(3), VenueKey(u64::MAX), VenueKey::entry(OrderNo(2)), VenueKey::entry(OrderNo(9))]
    {
        let fill = desk.filled(key, 1, 1);
        desk.reports(&[accepted(key), fill, closed(key, ReasonCode::None), VenueReport::Triggered { key }]);
        desk.reports(&[VenueReport::LegOpened { key, trigger_ticks: 1, quantity_steps: 1 }]);
    }
    desk.reports(&[accepted(key), VenueReport::LegResized { key, quantity_steps: 1 }]);
    let nothing = desk.filled(key, 0, 1);
    desk.reports(&[
        nothing,
        VenueReport::CommandRefused { key, code: ReasonCode::OrderClosed, message: Text::default() },
    ]);
    assert_eq!((desk.events.len(), desk.core.state_hash()), (events, hash));
}
