//! The list of open orders, and how its pages are turned while orders come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

fn ids(page: &OpenOrders) -> Vec<&str> {
    assert_eq!(page.code, ReasonCode::None);
    page.orders.iter().map(|order| order.order_id.as_str()).collect()
}

#[test]
fn pages_hold_every_open_order_once_oldest_first() {
    let mut desk = Desk::open();
    let names: Vec<String> = (0..25).map(|n| format!("order-{n}")).collect();
    for name in &names {
        desk.work(limit(name));
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.core.open_orders("", &after, 10);
        assert!(page.orders.len() <= 10);
        seen.extend(page.orders.iter().map(|order| order.order_id.to_string()));
        if !page.more {
            break;
        }
        after = seen.last().unwrap().clone();
    }
    assert_eq!(seen, names);
}

#[test]
fn a_page_goes_on_behind_an_order_that_has_ended_since() {
    let mut desk = Desk::open();
    let keys: Vec<VenueKey> = ["a", "b", "c"].into_iter().map(|name| desk.work(limit(name))).collect();
    let first = desk.core.open_orders("default", "", 2);
    assert_eq!((ids(&first), first.more), (vec!["a", "b"], true));
    desk.reports(&[closed(keys[1], ReasonCode::CancelledByClient)]);
    let rest = desk.core.open_orders("default", "b", 2);
    assert_eq!((ids(&rest), rest.more), (vec!["c"], false));
    assert_eq!(rest.last_sequence, desk.core.last_sequence("default"));
    assert!(rest.last_sequence > first.last_sequence);
}

#[test]
fn what_the_venue_has_not_answered_may_work_and_is_listed() {
    let mut desk = Desk::open();
    desk.send(Command::Execute(limit("sent")));
    let page = desk.core.open_orders("default", "", 10);
    assert_eq!((ids(&page), page.orders[0].status), (vec!["sent"], ExecutionStatus::Pending));
}

#[test]
fn a_place_that_is_none_and_an_account_that_is_anothers_are_named() {
    let mut desk = Desk::open();
    desk.work(limit("a"));
    let named = |account: &str, after: &str| {
        let page = desk.core.open_orders(account, after, 10);
        assert!(page.orders.is_empty() && !page.more && !page.message.is_empty());
        (page.code, page.field.to_string())
    };
    assert_eq!(named("", "nobody"), (ReasonCode::UnknownOrder, "after_order_id".to_owned()));
    assert_eq!(named("", "a·SL"), (ReasonCode::UnknownOrder, "after_order_id".to_owned()));
    assert_eq!(named("", "\u{7f}"), (ReasonCode::InvalidField, "after_order_id".to_owned()));
    assert_eq!(named("other", ""), (ReasonCode::AccountNotAllowed, "account".to_owned()));
}
