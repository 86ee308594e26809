//! Once: the same id never executes twice, whatever comes (invariants 1 and 6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

#[test]
fn the_same_order_again_gets_the_stored_reply_and_changes_nothing() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    let (_, CommandOutcome::Execute(stored)) = desk.concluded() else { panic!("no order") };
    desk.fill(key, 10_000, 10_000);
    let (events, effects) = (desk.events.len(), desk.effects.len());

    let respelled = Order { quantity: Some(decimal("10.000")), trace_context: "t".into(), ..limit("a") };
    let again = desk.send(Command::Execute(respelled));
    assert!(again.duplicate);
    assert_eq!(order_reply(again), stored, "as it was when the call ended: PENDING");
    assert_eq!(stored.status, ExecutionStatus::Pending);
    assert_eq!(desk.state("a").status, ExecutionStatus::Filled);
    assert_eq!((desk.events.len(), desk.effects.len()), (events, effects));
}

#[test]
fn a_copy_that_comes_before_the_conclusion_waits_for_the_same_reply() {
    let mut desk = Desk::open();
    let first = desk.send(Command::Execute(limit("a")));
    let second = desk.send(Command::Execute(limit("a")));
    assert_eq!((first.reply, first.duplicate), (None, false));
    assert_eq!((second.reply, second.duplicate), (None, true));
    assert_eq!(first.waits_for, second.waits_for);
    let get = desk.core.get("default", "a");
    assert!(get.found && get.order.is_some() && get.reply.is_none());
    desk.reports(&[accepted(VenueKey::entry(OrderNo(1)))]);
    assert_eq!(Some(desk.concluded().0), first.waits_for);
}

#[test]
fn the_same_id_with_other_content_is_rejected_and_the_first_order_stands() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let before = (desk.events.len(), desk.effects.len(), desk.core.state_hash());
    let reply = desk.reply_to(Order { quantity: Some(decimal("11")), ..limit("a") });
    assert_eq!((reply.status, reply.code), (ExecutionStatus::Rejected, ReasonCode::DuplicateOrderId));
    assert_eq!((desk.events.len(), desk.effects.len(), desk.core.state_hash()), before);
    assert_eq!(desk.state("a").quantity, Some(decimal("10")));
}

#[test]
fn the_id_is_looked_up_before_expiry_and_age() {
    let mut desk = Desk::open();
    let order = Order { expires_at_ns: Some(START_NS + MS), ..limit(&uuid7(START_NS / MS)) };
    desk.work(order.clone());
    desk.now += 3_600_000 * MS;
    let again = desk.send(Command::Execute(order));
    assert!(again.duplicate);
    assert_eq!(order_reply(again).status, ExecutionStatus::Pending);
}

#[test]
fn a_fenced_id_never_executes_and_the_fence_stays_after_recovery() {
    let mut desk = Desk::open();
    let fence = Command::Fence(FenceOrder { account: "default".into(), order_id: "a".into() });
    let Some(CommandOutcome::Get(reply)) = desk.send(fence.clone()).reply else { panic!("no answer") };
    assert!(!reply.found && reply.fenced);
    let events = desk.events.len();
    desk.send(fence);
    assert_eq!(desk.events.len(), events, "one tombstone");

    let late = desk.reply_to(limit("a"));
    assert_eq!((late.status, late.code), (ExecutionStatus::Rejected, ReasonCode::Fenced));
    desk.core = desk.recovered();
    assert_eq!(desk.reply_to(limit("a")).code, ReasonCode::Fenced);
    assert!(desk.effects.is_empty());
    assert!(desk.core.get("default", "a").fenced);
}

#[test]
fn a_fence_of_a_known_id_finds_the_order() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let fence = Command::Fence(FenceOrder { account: "default".into(), order_id: "a".into() });
    let Some(CommandOutcome::Get(reply)) = desk.send(fence).reply else { panic!("no answer") };
    assert!(reply.found && !reply.fenced);
    assert_eq!(reply.order, Some(desk.state("a")));
}

#[test]
fn cancelling_an_unknown_id_fences_it_too() {
    let mut desk = Desk::open();
    let cancel = desk.cancel("a");
    let reply = order_command_reply(desk.send(cancel));
    assert_eq!((reply.code, reply.fenced), (ReasonCode::UnknownOrder, true));
    assert_eq!(desk.reply_to(limit("a")).code, ReasonCode::Fenced);
}

#[test]
fn a_leg_that_there_is_not_cannot_be_fenced() {
    let mut desk = Desk::open();
    desk.work(Order { stop_loss: Some(decimal("90")), ..limit("a") });
    let cancel = desk.cancel("a·SL");
    let reply = order_command_reply(desk.send(cancel));
    assert_eq!((reply.code, reply.fenced), (ReasonCode::UnknownOrder, false));
}

#[test]
fn a_command_id_is_idempotent_and_bound_to_its_content() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let cancel = desk.cancel("a");
    let first = desk.send(cancel.clone());
    let joined = desk.send(cancel.clone());
    assert_eq!((joined.reply.is_none(), joined.duplicate, joined.waits_for), (true, true, first.waits_for));
    assert_eq!(
        desk.effects.iter().filter(|effect| matches!(effect, Effect::Venue(VenueCommand::Cancel { .. }))).count(),
        1
    );
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    let reply = desk.concluded_order_command();
    assert_eq!((reply.code, reply.duplicate), (ReasonCode::None, false));

    let events = desk.events.len();
    let again = desk.send(cancel.clone());
    assert!(again.duplicate);
    assert_eq!(order_command_reply(again), OrderCommandReply { duplicate: true, ..reply });
    let Command::Cancel(cancel) = cancel else { unreachable!() };
    let other = desk.send(Command::Cancel(CancelOrder { order_id: "b".into(), ..cancel.clone() }));
    assert_eq!(order_command_reply(other).code, ReasonCode::DuplicateCommandId);
    let other_kind =
        desk.send(Command::CancelAll(CancelAllOrders { command_id: cancel.command_id, ..Default::default() }));
    let Some(CommandOutcome::Command(reply)) = other_kind.reply else { panic!("no answer") };
    assert_eq!(reply.code, ReasonCode::DuplicateCommandId);
    assert_eq!(desk.events.len(), events);
}

#[test]
fn a_command_without_a_good_id_is_refused_and_not_stored() {
    let mut desk = Desk::open();
    let events = desk.events.len();
    for (id, code) in [("", ReasonCode::MissingField), ("é", ReasonCode::InvalidField)] {
        let reply = order_command_reply(desk.send(Command::Cancel(CancelOrder {
            command_id: id.into(),
            order_id: "a".into(),
            ..Default::default()
        })));
        assert_eq!((reply.code, reply.field.as_str()), (code, "command_id"));
    }
    assert_eq!(desk.events.len(), events);
}
