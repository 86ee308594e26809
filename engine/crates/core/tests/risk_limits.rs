//! Each limit: at the limit passes, one step above fails; replaces obey the same; where limits come from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod desk;

use bridge_core::*;
use desk::*;

fn limited(limits: RiskLimits) -> Desk {
    let risk = RiskConfiguration { limits, ..RiskConfiguration::default() };
    Desk::open_with(Configuration { risk, ..configuration() })
}

fn number(text: &str) -> Option<Decimal> {
    Some(decimal(text))
}

fn set_limits(desk: &mut Desk, symbol: &str, limits: RiskLimits) -> CommandReply {
    let command_id = desk.command_id();
    let set = SetRiskLimits { command_id, symbol: symbol.into(), limits, ..SetRiskLimits::default() };
    match desk.send(Command::SetRiskLimits(set)).reply {
        Some(CommandOutcome::Command(reply)) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

fn quote(desk: &mut Desk, bid: &str, ask: &str, last_price: Option<&str>) {
    let quote = Quote {
        symbol: "NASDAQ".into(),
        bid: number(bid),
        ask: number(ask),
        bid_size: number("1"),
        ask_size: number("1"),
        last_price: last_price.map(decimal),
        ..Quote::default()
    };
    let command_id = desk.command_id();
    desk.send(Command::PublishQuotes(PublishQuotes { command_id, quotes: vec![quote], ..PublishQuotes::default() }));
}

fn buy(order_id: &str, quantity: &str, price: &str) -> Order {
    Order { quantity: number(quantity), price: number(price), ..limit(order_id) }
}

fn market(order_id: &str, quantity: &str) -> Order {
    Order { order_type: Some(OrderType::Market), price: None, quantity: number(quantity), ..limit(order_id) }
}

/// The code that an order is rejected with; NONE where it goes to the venue, which accepts it.
fn verdict(desk: &mut Desk, order: Order) -> ReasonCode {
    let id = order.order_id.clone();
    let outcome = desk.send(Command::Execute(order));
    match outcome.waits_for {
        Some(Call::Execute(no)) => {
            desk.reports(&[accepted(VenueKey::entry(no))]);
            ReasonCode::None
        }
        _ => {
            let reply = order_reply(outcome);
            assert_eq!(reply.status, ExecutionStatus::Rejected);
            assert_eq!(desk.core.get("default", &id).reply, Some(reply.clone()), "stored under the id");
            reply.code
        }
    }
}

/// The code of a replace; NONE where it goes to the venue.
fn replaced(desk: &mut Desk, id: &str, quantity: Option<&str>, price: Option<&str>) -> ReasonCode {
    let version = desk.state(id).order_version;
    let command = desk.replace(id, version, quantity, price);
    let outcome = desk.send(command);
    if outcome.waits_for.is_some() { ReasonCode::None } else { order_command_reply(outcome).code }
}

/// Recovery comes to the same, and what is kept beside the state is true.
fn is_sound(desk: &mut Desk) {
    let hash = desk.core.state_hash();
    assert_eq!(desk.recovered().state_hash(), hash);
    assert_eq!(desk.core.recompute_state_hash(), hash);
    assert!(desk.core.derived_state_is_true() && desk.recovered().derived_state_is_true());
}

#[test]
fn an_order_of_the_largest_quantity_passes_and_one_step_more_does_not() {
    let mut desk = limited(RiskLimits { max_order_quantity: number("10"), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, buy("a", "10", "100")), ReasonCode::None);
    assert_eq!(verdict(&mut desk, buy("b", "10.001", "100")), ReasonCode::OrderQuantityLimit);
    assert_eq!(verdict(&mut desk, market("c", "10.001")), ReasonCode::OrderQuantityLimit);
    assert_eq!(replaced(&mut desk, "a", Some("10.001"), None), ReasonCode::OrderQuantityLimit);
    assert_eq!(replaced(&mut desk, "a", Some("9"), None), ReasonCode::None);
    is_sound(&mut desk);
}

#[test]
fn the_notional_of_an_order_with_a_price_is_reckoned_with_that() {
    let mut desk = limited(RiskLimits { max_order_notional: number("1000"), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, buy("a", "10", "100")), ReasonCode::None);
    assert_eq!(verdict(&mut desk, buy("b", "10.001", "100")), ReasonCode::OrderNotionalLimit);
    assert_eq!(verdict(&mut desk, buy("c", "10", "100.01")), ReasonCode::OrderNotionalLimit);
    assert_eq!(replaced(&mut desk, "a", None, Some("100.01")), ReasonCode::OrderNotionalLimit);
    assert_eq!(replaced(&mut desk, "a", Some("10.001"), None), ReasonCode::OrderNotionalLimit);
    assert_eq!(replaced(&mut desk, "a", Some("9"), Some("111.11")), ReasonCode::None, "999.99");
    is_sound(&mut desk);
}

#[test]
fn the_notional_of_an_order_without_a_price_is_reckoned_with_the_last_one() {
    let mut desk = limited(RiskLimits { max_order_notional: number("1000"), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, market("a", "1")), ReasonCode::NoReferencePrice);
    quote(&mut desk, "99", "101", None);
    assert_eq!(verdict(&mut desk, market("b", "10")), ReasonCode::None, "the middle is 100");
    assert_eq!(verdict(&mut desk, market("c", "10.001")), ReasonCode::OrderNotionalLimit);
    // What could be had for more than it asks is reckoned with what it could be had for.
    assert_eq!(verdict(&mut desk, Order { price: number("1"), ..sell("d", "10.001") }), ReasonCode::OrderNotionalLimit);
    let triggered_at_once = Order { order_type: Some(OrderType::StopLoss), ..buy("e", "11", "1") };
    assert_eq!(verdict(&mut desk, triggered_at_once), ReasonCode::OrderNotionalLimit);
    is_sound(&mut desk);
}

#[test]
fn a_limit_price_lies_within_the_collar_around_the_last_price() {
    let mut desk = limited(RiskLimits { price_collar: number("0.05"), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, buy("a", "1", "100")), ReasonCode::NoReferencePrice);
    assert_eq!(verdict(&mut desk, market("b", "1")), ReasonCode::None, "has no price to judge");
    quote(&mut desk, "90", "91", Some("100"));
    assert_eq!(verdict(&mut desk, buy("c", "1", "105.00")), ReasonCode::None);
    assert_eq!(verdict(&mut desk, buy("d", "1", "105.01")), ReasonCode::PriceCollar);
    assert_eq!(verdict(&mut desk, Order { price: number("95.00"), ..sell("e", "1") }), ReasonCode::None);
    assert_eq!(verdict(&mut desk, Order { price: number("94.99"), ..sell("f", "1") }), ReasonCode::PriceCollar);
    let stop = Order { order_type: Some(OrderType::StopLoss), ..buy("g", "1", "150") };
    assert_eq!(verdict(&mut desk, stop), ReasonCode::None, "a trigger says when, not at what price");
    assert_eq!(replaced(&mut desk, "c", None, Some("105.01")), ReasonCode::PriceCollar);
    assert_eq!(replaced(&mut desk, "c", None, Some("104")), ReasonCode::None);
    is_sound(&mut desk);
}

#[test]
fn the_last_price_is_that_of_the_newest_execution_or_quote() {
    let mut desk = limited(RiskLimits { price_collar: number("0.01"), ..RiskLimits::NONE });
    quote(&mut desk, "90", "91", Some("100"));
    let key = desk.work(buy("a", "1", "100"));
    desk.fill(key, 1_000, 20_000);
    assert_eq!(verdict(&mut desk, buy("b", "1", "100")), ReasonCode::PriceCollar);
    assert_eq!(verdict(&mut desk, buy("c", "1", "202.00")), ReasonCode::None);
    // Out of the collar since, a resting order may still shrink, and not grow.
    quote(&mut desk, "99", "100", None);
    assert_eq!(replaced(&mut desk, "c", Some("2"), None), ReasonCode::PriceCollar);
    assert_eq!(replaced(&mut desk, "c", Some("0.5"), None), ReasonCode::None);
    is_sound(&mut desk);
}

#[test]
fn a_symbol_has_so_many_open_orders_and_what_cannot_rest_adds_none() {
    let mut desk = limited(RiskLimits { max_open_orders: Some(2), ..RiskLimits::NONE });
    let first = desk.work(limit("a"));
    assert_eq!(verdict(&mut desk, limit("b")), ReasonCode::None);
    assert_eq!(verdict(&mut desk, limit("c")), ReasonCode::OpenOrdersLimit);
    assert_eq!(verdict(&mut desk, Order { symbol: "SP500".into(), ..limit("d") }), ReasonCode::None);
    assert_eq!(verdict(&mut desk, Order { time_in_force: TimeInForce::Ioc, ..limit("e") }), ReasonCode::None);
    assert_eq!(replaced(&mut desk, "a", Some("11"), None), ReasonCode::None);
    desk.reports(&[closed(first, ReasonCode::CancelledByClient)]);
    assert_eq!(verdict(&mut desk, limit("f")), ReasonCode::OpenOrdersLimit, "b and e are open");
    let with_leg = Order { time_in_force: TimeInForce::Ioc, stop_loss: number("90"), ..limit("g") };
    assert_eq!(verdict(&mut desk, with_leg), ReasonCode::OpenOrdersLimit, "its leg would rest");
    is_sound(&mut desk);
}

#[test]
fn the_position_counts_as_if_all_open_orders_of_the_side_were_filled() {
    let mut desk = limited(RiskLimits { max_position: number("20"), ..RiskLimits::NONE });
    desk.hold(5_000);
    let open = desk.work(limit("a"));
    assert_eq!(verdict(&mut desk, buy("b", "5.001", "100")), ReasonCode::PositionLimit);
    assert_eq!(verdict(&mut desk, sell("c", "25")), ReasonCode::None, "to 20 short");
    assert_eq!(verdict(&mut desk, sell("d", "0.001")), ReasonCode::PositionLimit);
    assert_eq!(replaced(&mut desk, "a", Some("15.001"), None), ReasonCode::PositionLimit);
    assert_eq!(replaced(&mut desk, "a", Some("15"), None), ReasonCode::None);
    assert_eq!(verdict(&mut desk, buy("e", "0.001", "100")), ReasonCode::PositionLimit, "what is asked for counts");
    let refused = VenueReport::CommandRefused { key: open, code: ReasonCode::VenueRejected, message: "no".into() };
    desk.reports(&[refused]);
    assert_eq!(verdict(&mut desk, buy("f", "5", "100")), ReasonCode::None);
    is_sound(&mut desk);
}

#[test]
fn what_legs_may_still_do_counts_in_the_position_and_legs_themselves_always_open() {
    let mut desk = limited(RiskLimits { max_position: number("10"), ..RiskLimits::NONE });
    let entry = desk.work(Order { stop_loss: number("90"), take_profit: number("110"), ..limit("a") });
    let (stop, target) = (VenueKey::new(entry.order(), Part::Stop), VenueKey::new(entry.order(), Part::Target));
    desk.fill(entry, 10_000, 10_000);
    let opened = |key, trigger_ticks| VenueReport::LegOpened { key, trigger_ticks, quantity_steps: 10_000 };
    desk.reports(&[opened(stop, 9_000), opened(target, 11_000)]);
    assert_eq!(verdict(&mut desk, sell("b", "10")), ReasonCode::None, "of two legs one executes");
    assert_eq!(verdict(&mut desk, sell("c", "0.001")), ReasonCode::PositionLimit);
    is_sound(&mut desk);
}

#[test]
fn a_position_above_a_limit_that_was_lowered_can_be_reduced() {
    let mut desk = Desk::open();
    desk.hold(10_000);
    set_limits(&mut desk, "", RiskLimits { max_position: number("2"), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, buy("a", "0.001", "100")), ReasonCode::PositionLimit);
    assert_eq!(verdict(&mut desk, sell("b", "12")), ReasonCode::None);
}

#[test]
fn an_account_sends_so_many_orders_a_second_on_engine_time() {
    let limits = RiskLimits { orders_per_second: Some(2), order_burst: Some(3), ..RiskLimits::NONE };
    let mut desk = limited(limits);
    let send = |desk: &mut Desk, id: &str| verdict(desk, limit(id));
    for id in ["a", "b", "c"] {
        assert_eq!(send(&mut desk, id), ReasonCode::None);
    }
    assert_eq!(send(&mut desk, "d"), ReasonCode::RateLimit);
    assert_eq!(send(&mut desk, "d"), ReasonCode::RateLimit, "a copy gets the stored reply");
    assert!(desk.send(Command::Execute(limit("a"))).duplicate, "copies are not counted");
    desk.now += 500 * MS - 1;
    assert_eq!(send(&mut desk, "e"), ReasonCode::RateLimit);
    desk.now += 1;
    assert_eq!(replaced(&mut desk, "a", Some("11"), None), ReasonCode::None, "a replace is counted");
    assert_eq!(send(&mut desk, "f"), ReasonCode::RateLimit);
    assert_eq!(replaced(&mut desk, "b", Some("11"), None), ReasonCode::RateLimit);
    assert_eq!(replaced(&mut desk, "b", Some("9"), None), ReasonCode::None, "but for one that shrinks");
    is_sound(&mut desk);
}

#[test]
fn the_first_order_of_an_account_is_judged_too() {
    let mut desk = limited(RiskLimits { max_open_orders: Some(0), ..RiskLimits::NONE });
    assert_eq!(verdict(&mut desk, limit("a")), ReasonCode::OpenOrdersLimit);
}

#[test]
fn each_limit_is_that_of_the_nearest_level_that_gives_it() {
    let quantity = |text| RiskLimits { max_order_quantity: number(text), ..RiskLimits::NONE };
    let risk = RiskConfiguration {
        limits: RiskLimits { max_open_orders: Some(1), ..quantity("1") },
        symbols: vec![SymbolLimits { symbol: "SP500".into(), limits: quantity("3") }],
        accounts: vec![AccountLimits { account: "default".into(), limits: quantity("2"), symbols: Vec::new() }],
    };
    let configuration = Configuration { risk, ..configuration() };
    let mut desk = Desk::open_with(configuration.clone());
    let mut number = 0;
    let mut largest = |desk: &mut Desk, symbol: &str| {
        let mut passes = |quantity: i64| {
            number += 1;
            let ioc = Order { time_in_force: TimeInForce::Ioc, symbol: symbol.into(), ..limit(&number.to_string()) };
            verdict(desk, Order { quantity: Some(Decimal::new(quantity, 0)), ..ioc }) == ReasonCode::None
        };
        (1..10).take_while(|quantity| passes(*quantity)).last().unwrap_or(0)
    };
    assert_eq!((largest(&mut desk, "NASDAQ"), largest(&mut desk, "SP500")), (2, 3));
    assert_eq!(set_limits(&mut desk, "", quantity("4")).code, ReasonCode::None);
    assert_eq!((largest(&mut desk, "NASDAQ"), largest(&mut desk, "SP500")), (4, 3));
    set_limits(&mut desk, "SP500", quantity("5"));
    assert_eq!((largest(&mut desk, "NASDAQ"), largest(&mut desk, "SP500")), (4, 5));
    // A configuration does not take back what was set at run time.
    desk.apply(&Input::Configured(Configuration { update_history: 9, ..configuration }));
    assert_eq!((largest(&mut desk, "NASDAQ"), largest(&mut desk, "SP500")), (4, 5));
    set_limits(&mut desk, "", RiskLimits::NONE);
    set_limits(&mut desk, "SP500", RiskLimits::NONE);
    assert_eq!((largest(&mut desk, "NASDAQ"), largest(&mut desk, "SP500")), (2, 3));
    is_sound(&mut desk);
}

#[test]
fn limits_that_make_no_sense_are_refused_by_name_and_leave_the_old_ones() {
    let mut desk = Desk::open();
    let mut refused = |symbol: &str, limits: RiskLimits| {
        let reply = set_limits(&mut desk, symbol, limits);
        (reply.code, reply.field.to_string())
    };
    let invalid = |field: &str| (ReasonCode::InvalidField, field.to_owned());
    let none = RiskLimits::NONE;
    let zero = number("0");
    assert_eq!(refused("", RiskLimits { max_order_quantity: zero, ..none }), invalid("limits.max_order_quantity"));
    assert_eq!(refused("", RiskLimits { price_collar: number("-0.1"), ..none }), invalid("limits.price_collar"));
    assert_eq!(refused("", RiskLimits { max_position: number("-1"), ..none }), invalid("limits.max_position"));
    assert_eq!(refused("", RiskLimits { order_burst: Some(0), ..none }), invalid("limits.order_burst"));
    let rate = RiskLimits { orders_per_second: Some(1), ..none };
    assert_eq!(refused("NASDAQ", rate), invalid("limits.orders_per_second"));
    assert_eq!(refused("DAX", none), (ReasonCode::UnknownSymbol, "symbol".to_owned()));
    assert_eq!(verdict(&mut desk, limit("a")), ReasonCode::None);
}

#[test]
fn setting_limits_is_idempotent_and_another_content_is_not_the_same_command() {
    let mut desk = Desk::open();
    let set = |quantity| {
        let limits = RiskLimits { max_order_quantity: number(quantity), ..RiskLimits::NONE };
        Command::SetRiskLimits(SetRiskLimits { command_id: "c".into(), limits, ..SetRiskLimits::default() })
    };
    desk.send(set("1"));
    assert!(desk.send(set("1.0")).duplicate);
    let Some(CommandOutcome::Command(reply)) = desk.send(set("2")).reply else { panic!() };
    assert_eq!(reply.code, ReasonCode::DuplicateCommandId);
    assert_eq!(verdict(&mut desk, buy("a", "2", "100")), ReasonCode::OrderQuantityLimit);
}

#[test]
fn a_configuration_with_a_bad_limit_is_refused_with_its_path() {
    let refused = |risk: RiskConfiguration| {
        Core::new().check_configuration(&Configuration { risk, ..configuration() }).unwrap_err().field
    };
    let zero = RiskLimits { max_order_quantity: number("0"), ..RiskLimits::NONE };
    let of = |symbol: &str, limits| vec![SymbolLimits { symbol: symbol.into(), limits }];
    assert_eq!(refused(RiskConfiguration { limits: zero, ..Default::default() }), "risk.max_order_quantity");
    let risk = RiskConfiguration { symbols: of("SP500", zero), ..Default::default() };
    assert_eq!(refused(risk), "risk.symbols.SP500.max_order_quantity");
    let risk = RiskConfiguration { symbols: of("DAX", RiskLimits::NONE), ..Default::default() };
    assert_eq!(refused(risk), "risk.symbols.DAX");
    let account = AccountLimits { account: "x".into(), symbols: of("SP500", zero), ..Default::default() };
    let risk = RiskConfiguration { accounts: vec![account], ..Default::default() };
    assert_eq!(refused(risk), "risk.accounts.x.symbols.SP500.max_order_quantity");
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let huge = Some(Decimal::new(i64::MAX, 127));
    let tiny = Some(Decimal::new(1, -128));
    let limits = |number| RiskLimits {
        max_order_quantity: number,
        max_order_notional: number,
        price_collar: number,
        max_position: number,
        ..RiskLimits::NONE
    };
    let largest = Order { quantity: number("1000000000000"), price: number("9999999999999"), ..limit("a") };
    let mut desk = limited(limits(huge));
    quote(&mut desk, "0.01", "9999999999999.99", None);
    assert_eq!(verdict(&mut desk, largest.clone()), ReasonCode::None);
    let mut desk = limited(limits(tiny));
    assert_eq!(verdict(&mut desk, largest), ReasonCode::OrderQuantityLimit);
}
