//! Room for new ids: what is refused at the limits, and what never is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

fn fence(order_id: &str) -> Command {
    Command::Fence(FenceOrder { account: String::new(), order_id: order_id.into() })
}

fn cancel_all(command_id: &str) -> Command {
    Command::CancelAll(CancelAllOrders { command_id: command_id.into(), ..Default::default() })
}

fn halt(command_id: &str) -> Command {
    let (command_id, state) = (command_id.into(), Some(TradingState::Halted));
    Command::SetTradingState(SetTradingState { command_id, state, ..Default::default() })
}

fn quotes(command_id: &str) -> Command {
    Command::PublishQuotes(PublishQuotes { command_id: command_id.into(), ..Default::default() })
}

fn counter(desk: &Desk, name: &str) -> u64 {
    desk.core.counters().iter().find(|(counter, _)| *counter == name).unwrap().1
}

#[test]
fn ids_that_are_no_uuid7_count_against_a_quota_with_an_alarm_before_it() {
    let mut desk = Desk::open_with(Configuration { foreign_id_quota: 5, ..configuration() });
    for number in 0..3 {
        desk.work(limit(&format!("foreign-{number}")));
    }
    assert_eq!(desk.core.quota("default"), Quota { used: 3, limit: 5, alarm: false });
    desk.send(quotes("feed-1"));
    assert!(desk.core.quota("default").alarm);
    desk.work(limit("foreign-4"));

    let refusal = desk.core.admit(&Command::Execute(limit("foreign-5")), desk.now).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_str()), (ReasonCode::IdQuotaExceeded, "order_id"));
    let refusal = desk.core.admit(&quotes("feed-2"), desk.now).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_str()), (ReasonCode::IdQuotaExceeded, "command_id"));
    assert!(desk.core.admit(&Command::Execute(limit("foreign-4")), desk.now).is_ok(), "a copy of a known order passes");
    assert!(desk.core.admit(&Command::Execute(limit(&uuid7(START_NS / MS))), desk.now).is_ok(), "a UUIDv7 passes");
}

#[test]
fn what_closes_an_account_down_neither_takes_from_the_quota_nor_is_refused_for_it() {
    let mut desk = Desk::open_with(Configuration { foreign_id_quota: 1, ..configuration() });
    desk.work(limit("a"));
    let replace = desk.replace("a", 1, Some("5"), None);
    let cancel = desk.cancel("a");
    let fencing_cancel = desk.cancel("unknown");
    for command in [replace, cancel, fencing_cancel, cancel_all("all"), halt("halt"), fence("never")] {
        desk.send(command);
    }
    assert_eq!(desk.core.quota("default").used, 1);
    assert_eq!(desk.recovered().quota("default").used, 1);
}

#[test]
fn a_full_memory_of_ids_refuses_what_is_new_and_answers_what_is_known() {
    let mut desk = Desk::open_with(Configuration { max_remembered_ids: 20, ..configuration() });
    let now_ms = START_NS / MS;
    for age_ms in 0..17 {
        desk.work(limit(&uuid7(now_ms - age_ms)));
    }
    assert_eq!((counter(&desk, "remembered_ids"), counter(&desk, "remembered_id_alarms")), (17, 0));
    desk.send(fence("never"));
    assert_eq!((counter(&desk, "remembered_ids"), counter(&desk, "remembered_id_alarms")), (18, 1));
    desk.send(quotes("feed"));
    desk.work(limit("last"));

    let replace = desk.replace("last", 1, Some("5"), None);
    for refused in [Command::Execute(limit(&uuid7(now_ms - 99))), quotes("another"), replace] {
        let refusal = desk.core.admit(&refused, desk.now).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::Busy);
        assert!(refusal.message.contains("max_remembered_ids is 20"), "{}", refusal.message);
    }
    let again = desk.send(Command::Execute(limit("last")));
    assert!(again.duplicate, "a copy of a known order is answered");
    assert_eq!(desk.recovered().remembered_ids(), desk.core.remembered_ids());
}

#[test]
fn a_reserve_beyond_the_full_memory_closes_the_account_down() {
    let mut desk = Desk::open_with(Configuration { max_remembered_ids: 50, ..configuration() });
    for number in 0..50 {
        desk.work(limit(&format!("order-{number}")));
    }
    let cancel = desk.cancel("order-1");
    for command in [cancel, cancel_all("all"), halt("halt"), fence("never-1"), fence("never-2")] {
        desk.send(command);
    }
    assert_eq!(
        desk.core.admit(&fence("never-3"), desk.now).unwrap_err().code,
        ReasonCode::Busy,
        "the reserve ends too"
    );
    assert!(desk.core.admit(&fence("never-2"), desk.now).is_ok(), "what is fenced already needs no room");
}
