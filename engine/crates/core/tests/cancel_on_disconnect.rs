//! Leases: whose orders end when a session is gone, and whose do not. And the state of trading for every account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

fn lease(desk: &mut Desk, session_id: &str, grace_ms: Option<u64>) -> Result<CommandReply, Rejection> {
    let command_id = desk.command_id();
    let session_id = session_id.into();
    let set = SetCancelOnDisconnect { command_id, session_id, grace_ms, ..SetCancelOnDisconnect::default() };
    let command = Command::SetCancelOnDisconnect(set);
    desk.core.admit(&command, desk.now)?;
    match desk.apply(&Input::Command(command)).reply {
        Some(CommandOutcome::Command(reply)) => Ok(reply),
        other => panic!("not answered: {other:?}"),
    }
}

/// An order of this session that the venue accepts.
fn work(desk: &mut Desk, session_id: &str, order: Order) -> VenueKey {
    let outcome = desk.apply_for(session_id, &Input::Command(Command::Execute(order)));
    let Some(Call::Execute(no)) = outcome.waits_for else { panic!("rejected: {outcome:?}") };
    let key = VenueKey::entry(no);
    desk.reports(&[accepted(key)]);
    key
}

/// What the venue is asked to cancel when this session's lease expires.
fn expire(desk: &mut Desk, session_id: &str) -> Vec<VenueKey> {
    let known = desk.effects.len();
    desk.apply(&Input::LeaseExpired { session_id: session_id.into() });
    let cancels = desk.effects[known..].iter().map(|effect| match effect {
        Effect::Venue(VenueCommand::Cancel { key }) => *key,
        other => panic!("no cancel: {other:?}"),
    });
    cancels.collect()
}

fn is_sound(desk: &mut Desk) {
    let hash = desk.core.state_hash();
    assert_eq!(desk.recovered().state_hash(), hash);
    assert_eq!(desk.core.recompute_state_hash(), hash);
}

#[test]
fn an_expired_lease_cancels_what_its_session_entered_and_nothing_else() {
    let mut desk = Desk::open();
    let before = work(&mut desk, "a", limit("before the lease"));
    lease(&mut desk, "a", Some(100)).unwrap();
    lease(&mut desk, "b", Some(100)).unwrap();
    let (mine, other) = (work(&mut desk, "a", limit("mine")), work(&mut desk, "b", limit("of another session")));
    let nobodys = work(&mut desk, "", limit("of nobody"));
    assert_eq!(expire(&mut desk, "a"), [mine]);
    desk.reports(&[closed(mine, ReasonCode::CancelledByClient)]);
    let ended = desk.state("mine");
    assert_eq!((ended.status, ended.code), (ExecutionStatus::Cancelled, ReasonCode::CancelledOnDisconnect));
    for key in [before, other, nobodys] {
        assert_eq!(desk.core.state_of(key).unwrap().status, ExecutionStatus::Pending);
    }
    assert_eq!(expire(&mut desk, "a"), [], "once is enough");
    assert_eq!(expire(&mut desk, "nobody"), []);
    is_sound(&mut desk);
}

#[test]
fn legs_end_with_their_session() {
    let mut desk = Desk::open();
    lease(&mut desk, "a", Some(0)).unwrap();
    let entry = work(&mut desk, "a", Order { stop_loss: Some(decimal("90")), ..limit("x") });
    let stop = VenueKey::new(entry.order(), Part::Stop);
    let opened = VenueReport::LegOpened { key: stop, trigger_ticks: 9_000, quantity_steps: 10_000 };
    let filled = desk.filled(entry, 10_000, 10_000);
    desk.reports(&[filled, opened]);
    assert_eq!(expire(&mut desk, "a"), [stop]);
}

#[test]
fn a_session_that_comes_back_is_protected_without_asking_again() {
    let mut desk = Desk::open();
    lease(&mut desk, "a", Some(100)).unwrap();
    let first = work(&mut desk, "a", limit("1"));
    expire(&mut desk, "a");
    desk.reports(&[closed(first, ReasonCode::CancelledByClient)]);
    let second = work(&mut desk, "a", limit("2"));
    assert_eq!(expire(&mut desk, "a"), [second]);
    is_sound(&mut desk);
}

#[test]
fn a_venue_that_has_not_answered_is_not_asked_twice_and_one_that_refused_is_asked_again() {
    let mut desk = Desk::open();
    lease(&mut desk, "a", Some(100)).unwrap();
    let key = work(&mut desk, "a", limit("x"));
    assert_eq!(expire(&mut desk, "a"), [key]);
    assert_eq!(desk.core.unreported_intents(), [VenueCommand::Cancel { key }]);
    assert!(desk.core.has_orders_to_cancel("a"));
    assert_eq!(expire(&mut desk, "a"), []);
    let code = ReasonCode::VenueUnavailable;
    desk.reports(&[VenueReport::CommandRefused { key, code, message: "no trace of it".into() }]);
    assert_eq!(expire(&mut desk, "a"), [key]);
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    assert!(!desk.core.has_orders_to_cancel("a"));
    is_sound(&mut desk);
}

#[test]
fn a_cancel_of_the_client_that_was_first_is_the_reason() {
    let mut desk = Desk::open();
    lease(&mut desk, "a", Some(100)).unwrap();
    let key = work(&mut desk, "a", limit("x"));
    let cancel = desk.cancel("x");
    desk.send(cancel);
    expire(&mut desk, "a");
    desk.core.take_concluded();
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    assert_eq!(desk.state("x").code, ReasonCode::CancelledByClient);
    let concluded = desk.core.take_concluded();
    assert_eq!(concluded.len(), 2, "{concluded:?}");
}

#[test]
fn a_lease_is_changed_and_ended_by_its_session() {
    let mut desk = Desk::open();
    lease(&mut desk, "a", Some(100)).unwrap();
    let key = work(&mut desk, "a", limit("x"));
    lease(&mut desk, "a", Some(7)).unwrap();
    assert_eq!(desk.core.grace_ms("a"), Some(7));
    assert_eq!(desk.core.leased_sessions(), ["a"]);
    assert_eq!(expire(&mut desk, "a"), [key], "the same lease");
    lease(&mut desk, "a", None).unwrap();
    assert_eq!((desk.core.grace_ms("a"), desk.core.has_leases()), (None, false));
    let reply = lease(&mut desk, "", Some(1)).unwrap();
    assert_eq!((reply.code, &*reply.field), (ReasonCode::MissingField, "session_id"));
    is_sound(&mut desk);
}

#[test]
fn leases_are_bounded_and_only_a_session_that_is_gone_makes_room() {
    let mut desk = Desk::open_with(Configuration { max_leases: 2, ..configuration() });
    lease(&mut desk, "a", Some(1)).unwrap();
    lease(&mut desk, "b", Some(1)).unwrap();
    assert_eq!(lease(&mut desk, "c", Some(1)).unwrap_err().code, ReasonCode::Busy);
    lease(&mut desk, "b", Some(2)).unwrap();
    expire(&mut desk, "b");
    lease(&mut desk, "c", Some(1)).unwrap();
    assert_eq!(desk.core.leased_sessions(), ["a", "c"]);
    is_sound(&mut desk);
}

#[test]
fn a_session_that_is_gone_keeps_its_lease_until_its_orders_have_ended() {
    let mut desk = Desk::open_with(Configuration { max_leases: 1, ..configuration() });
    lease(&mut desk, "a", Some(1)).unwrap();
    let open = work(&mut desk, "a", limit("a"));
    assert_eq!(expire(&mut desk, "a"), [open]);
    assert_eq!(lease(&mut desk, "b", Some(1)).unwrap_err().code, ReasonCode::Busy, "the venue has not answered");
    assert!(desk.core.has_orders_to_cancel("a"));
    desk.reports(&[closed(open, ReasonCode::CancelledByClient)]);
    lease(&mut desk, "b", Some(1)).unwrap();
    assert_eq!(desk.core.leased_sessions(), ["b"]);
    is_sound(&mut desk);
}

#[test]
fn the_stricter_of_the_accounts_state_and_that_for_all_holds() {
    let mut desk = Desk::open();
    let set = |desk: &mut Desk, state, all_accounts| {
        let command_id = desk.command_id();
        let set = SetTradingState { command_id, state: Some(state), all_accounts, ..SetTradingState::default() };
        desk.send(Command::SetTradingState(set));
    };
    set(&mut desk, TradingState::Halted, true);
    set(&mut desk, TradingState::Active, false);
    let refused = desk.reply_to(limit("a"));
    assert_eq!(refused.code, ReasonCode::TradingHalted);
    assert!(refused.error_message.contains("every account"), "{}", refused.error_message);
    set(&mut desk, TradingState::Reducing, true);
    assert_eq!(desk.reply_to(limit("b")).code, ReasonCode::ReduceOnly);
    set(&mut desk, TradingState::Halted, false);
    assert_eq!(desk.reply_to(limit("c")).code, ReasonCode::TradingHalted);
    set(&mut desk, TradingState::Active, true);
    assert_eq!(desk.reply_to(limit("d")).code, ReasonCode::TradingHalted);
    set(&mut desk, TradingState::Active, false);
    desk.work(limit("e"));
    is_sound(&mut desk);
}

#[test]
fn a_halt_for_all_cancels_what_is_open_if_asked() {
    let mut desk = Desk::open();
    let key = desk.work(limit("a"));
    desk.core.take_concluded();
    let halt = SetTradingState {
        command_id: "halt".into(),
        state: Some(TradingState::Halted),
        cancel_open_orders: true,
        all_accounts: true,
        ..SetTradingState::default()
    };
    desk.send(Command::SetTradingState(halt));
    desk.reports(&[closed(key, ReasonCode::CancelledByClient)]);
    assert_eq!(desk.concluded_command().affected, 1);
}
