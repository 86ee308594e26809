//! A subscriber that was away for long, or that does not read: nobody waits for it, and it costs no memory.

use super::*;
use crate::grpc::SubscriptionItem;
use bridge_core::{CancelAllOrders, Command, Order, OrderType, Side};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{Origin, Output, Reply, Request, Token};
use bridge_wire::codec::Subscribe;
use updates::{Sent, Sink, Subscription};

#[test]
fn others_are_answered_in_every_turn_while_a_long_absence_is_made_up_for() {
    const ORDERS: u64 = 1_500;
    let mut rig = Rig::new("os", Duration::ZERO);
    let (mut trader, mut away) = (rig.client(), rig.client());
    rig.publish_quote(&mut trader);
    for number in 10..10 + ORDERS {
        trader.send_order(number);
        rig.turn_until_heard(&mut trader);
    }
    let account = "default".to_owned();
    let subscribe = Subscribe { account, resume_from: Some(0), accept_gaps: false };
    away.send(|encoder, journal| encoder.subscribe(5, journal, &subscribe).to_vec());
    let mut sequences: Vec<u64> = Vec::new();
    let mut answered_meanwhile = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while (sequences.len() as u64) < 2 * ORDERS {
        assert!(Instant::now() < deadline, "{} updates came", sequences.len());
        trader.send_order(1_000_000 + answered_meanwhile);
        rig.reactor.turn().unwrap();
        assert!(rig.reactor.items.capacity() <= 256, "put in words that nobody has asked for");
        while trader.hears() {
            trader.message();
            answered_meanwhile += 1;
        }
        while away.hears() {
            if let Some(update) = away.message().body_as_order_update() {
                sequences.push(update.sequence());
            }
        }
    }
    assert!(sequences.iter().copied().eq(1..=sequences.len() as u64), "each once and in order");
    // 256 items a turn at most: so many turns, in each of which an order was answered (the first one's perhaps later).
    assert!(answered_meanwhile >= 2 * ORDERS / 256, "{answered_meanwhile} orders were answered meanwhile");
}

/// A sequencer on a disk in memory whose syncs are made by hand.
struct Desk {
    sequencer: Sequencer<FakeDisk>,
    last_token: u64,
}

impl Desk {
    fn open(update_history: u32, update_lag: usize) -> Self {
        let mut configuration = settings_of(std::path::Path::new("nowhere"), "always").configuration;
        configuration.update_history = update_history;
        let options = Options { update_lag, segment_bytes: 256 << 10, ..Options::default() };
        let (sequencer, _) = Sequencer::open(FakeDisk::new(1), options, configuration, utc_now()).unwrap();
        let mut desk = Self { sequencer, last_token: 0 };
        desk.turn();
        desk
    }

    fn submit(&mut self, request: &Request) {
        self.last_token += 1;
        let origin = Origin { principal: "local".into(), path: bridge_sequencer::Path::Zmq, session_id: "".into() };
        self.sequencer.submit(Token(self.last_token), &origin, request, utc_now());
    }

    /// A bid that rests far below the market.
    fn bid(&mut self, id: &str) {
        self.submit(&Request::Command(Command::Execute(Order {
            order_id: id.into(),
            symbol: "NASDAQ".into(),
            order_type: Some(OrderType::Limit),
            side: Some(Side::Buy),
            quantity: Some(Decimal { mantissa: 1, exponent: 0 }),
            price: Some(Decimal { mantissa: 1, exponent: 0 }),
            contract_version: 1,
            ..Order::default()
        })));
    }

    fn turn(&mut self) -> Vec<Output> {
        if let Some(job) = self.sequencer.end_turn() {
            self.sequencer.synced(job.run());
        }
        std::iter::from_fn(|| self.sequencer.next_output()).collect()
    }

    fn subscribe(&mut self, resume_from: u64, lag_allowed: usize) -> Subscription {
        let (account, resume_from) = (String::new(), Some(resume_from));
        self.submit(&Request::Subscribe { account, resume_from, accept_gaps: true });
        let outputs = self.turn();
        let Some(Output::Reply { reply: Reply::Subscribed { account, last_sequence, replay }, .. }) =
            outputs.into_iter().next()
        else {
            panic!("not subscribed")
        };
        let (items, end) = (mpsc::channel(1).0, Default::default());
        Subscription::new(account, Sink::Stream { items, end }, replay, last_sequence, lag_allowed)
    }

    /// What the subscription is owed next, handed over.
    fn hand_over(&self, subscription: &mut Subscription, most: usize) -> Vec<(bool, u64)> {
        let mut items = VecDeque::new();
        assert!(subscription.fill(&self.sequencer, most, &mut items), "forgotten");
        let told = |item: SubscriptionItem| {
            subscription.sent(&Sent::from(&item));
            match item {
                SubscriptionItem::Update(update) => (update.snapshot, update.sequence),
                SubscriptionItem::Gap { last, .. } => (false, last),
            }
        };
        items.into_iter().map(told).collect()
    }
}

#[test]
fn a_snapshot_waits_for_the_disk_that_its_orders_depend_on() {
    let mut desk = Desk::open(1, 100);
    ["a", "b", "c"].iter().for_each(|id| desk.bid(id));
    desk.turn();
    let mut subscription = desk.subscribe(0, 100);
    assert_eq!(desk.hand_over(&mut subscription, 10), [(false, 2)], "the gap");
    desk.bid("d");
    let job = desk.sequencer.end_turn().expect("a sync is due");
    assert_eq!(desk.hand_over(&mut subscription, 10), [], "the state is ahead of the disk");
    assert!(subscription.is_owed());
    desk.sequencer.synced(job.run());
    assert_eq!(desk.hand_over(&mut subscription, 10), [(true, 1), (true, 2), (true, 3)]);
    assert_eq!(desk.hand_over(&mut subscription, 10), [(false, 3)], "what can be replayed, and nothing unreleased");
}

#[test]
fn a_subscriber_at_the_edge_of_the_history_still_gets_everything_within_the_lag_that_is_allowed() {
    const LAG: usize = 5;
    let mut desk = Desk::open(3, LAG);
    ["a", "b", "c"].iter().for_each(|id| desk.bid(id));
    desk.turn();
    let mut subscriptions = updates::UpdateSubscriptions::new();
    let subscription = desk.subscribe(0, LAG);
    assert!(matches!(subscription.sink, Sink::Stream { .. }));
    let key = subscriptions.insert(subscription);
    for number in 0..LAG {
        desk.bid(&format!("more-{number}"));
        let ranges: Vec<_> = desk.turn().into_iter().filter_map(range_of).collect();
        assert!(ranges.iter().all(|range| subscriptions.release(range).is_empty()), "as far behind as it may be");
    }
    let told = desk.hand_over(subscriptions.get_mut(key).unwrap(), 2);
    assert_eq!(told, [(false, 1), (false, 2)], "none was forgotten meanwhile");
    for number in 0..4 {
        desk.bid(&format!("too-many-{number}"));
        let ranges: Vec<_> = desk.turn().into_iter().filter_map(range_of).collect();
        let lagging: Vec<_> = ranges.iter().flat_map(|range| subscriptions.release(range)).collect();
        assert_eq!(lagging, if number < 3 { vec![] } else { vec![key] });
    }
}

#[test]
fn one_large_cancel_is_no_lag_of_who_reads() {
    let mut desk = Desk::open(3, 5);
    (0..20).for_each(|number| desk.bid(&format!("bid-{number}")));
    desk.turn();
    let mut subscriptions = updates::UpdateSubscriptions::new();
    let key = subscriptions.insert(desk.subscribe(20, 5));
    let (command_id, account) = ("all".into(), "default".into());
    let cancel = CancelAllOrders { command_id, account, ..CancelAllOrders::default() };
    desk.submit(&Request::Command(Command::CancelAll(cancel)));
    let ranges: Vec<_> = desk.turn().into_iter().filter_map(range_of).collect();
    assert_eq!(ranges.iter().map(|range| range.last).max(), Some(40));
    assert!(ranges.iter().all(|range| subscriptions.release(range).is_empty()));
    assert_eq!(desk.hand_over(subscriptions.get_mut(key).unwrap(), 100).len(), 20);
}

#[test]
fn who_resumes_from_the_last_number_is_owed_nothing() {
    let mut desk = Desk::open(3, 5);
    desk.bid("a");
    desk.turn();
    assert!(desk.subscribe(0, 5).is_owed());
    assert!(!desk.subscribe(1, 5).is_owed());
}

fn range_of(output: Output) -> Option<bridge_core::UpdateRange> {
    match output {
        Output::Updates(range) => Some(range),
        _ => None,
    }
}
