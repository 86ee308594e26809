//! Invariant 1 across crashes: whatever is lost, what was acknowledged stands, and resending executes nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bridge_core::{ExecuteReply, Side};
use bridge_journal::fake::FakeDisk;
use bridge_sequencer::{Durability, Options, Output, Reply, Request, Sequencer, Token, dump, verify};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

/// What a run does; orders are made of their number, so that the same number is the same order.
#[derive(Clone, Debug)]
enum Step {
    Order(u8),
    Batch(Vec<u8>),
    Cancel(u8),
    Quote(u8),
    Fence(u8),
    EndTurn,
    /// Makes a snapshot of what is closed; the start after the next death goes on from there.
    Snapshot,
    /// Ends a turn and loses power before its sync ends.
    DieBeforeTheSync,
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..24_u8;
    let step = prop_oneof![
        8 => number.clone().prop_map(Step::Order),
        1 => prop::collection::vec(number.clone(), 1..6).prop_map(Step::Batch),
        2 => number.clone().prop_map(Step::Cancel),
        3 => (0..40_u8).prop_map(Step::Quote),
        1 => number.prop_map(Step::Fence),
        6 => Just(Step::EndTurn),
        1 => Just(Step::DieBeforeTheSync),
        1 => Just(Step::Die),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 1..60)
}

fn order(number: u8) -> bridge_core::Order {
    let id = format!("order-{number}");
    let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let size = (1 + number % 5).to_string();
    match number % 6 {
        0 | 1 => market(&id, side, &size),
        2 | 3 => {
            let (stop, target) = if side == Side::Buy { ("98.00", "102.00") } else { ("102.00", "98.00") };
            let (stop_loss, take_profit) = (Some(decimal(stop)), Some(decimal(target)));
            bridge_core::Order { stop_loss, take_profit, ..market(&id, side, &size) }
        }
        _ => limit(&id, side, &size, &format!("{}.50", 97 + number % 6)),
    }
}

fn request(step: &Step) -> Option<Request> {
    Some(match step {
        Step::Order(number) => execute(order(*number)),
        Step::Batch(numbers) => Request::ExecuteBatch(numbers.iter().map(|number| order(*number)).collect()),
        Step::Cancel(number) => cancel(&format!("cancel-{number}"), &format!("order-{number}")),
        Step::Quote(number) => {
            let middle = 96 + i32::from(number % 8);
            let quote = quote(&format!("{middle}.00"), &format!("{middle}.10"), "7");
            publish(&format!("quote-{number}"), vec![quote])
        }
        Step::Fence(number) => get(&format!("order-{number}"), true),
        Step::EndTurn | Step::DieBeforeTheSync | Step::Die | Step::Snapshot => return None,
    })
}

/// A run with what its clients know.
struct Run {
    rig: Rig,
    options: Options,
    /// Orders in flight of this process.
    asked: BTreeMap<Token, Vec<u8>>,
    /// The reply that each order's client has in hand.
    acknowledged: BTreeMap<u8, ExecuteReply>,
    last_update: u64,
}

impl Run {
    fn new(options: Options) -> Self {
        let rig = Rig::new(options.clone());
        Self { rig, options, asked: BTreeMap::new(), acknowledged: BTreeMap::new(), last_update: 0 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::EndTurn => {
                let outputs = self.rig.turn();
                self.read(outputs);
            }
            Step::DieBeforeTheSync => {
                let _job = self.rig.sequencer.end_turn();
                let outputs = self.rig.outputs();
                self.read(outputs);
                self.die();
            }
            Step::Die => self.die(),
            Step::Snapshot => {
                if let Some(job) = self.rig.sequencer.snapshot_job(0) {
                    let made = job.run();
                    self.rig.sequencer.snapshot_made(&made);
                    made.expect("the disk is well");
                }
            }
            step => {
                let token = self.rig.submit(request(step).unwrap());
                let numbers = match step {
                    Step::Order(number) => vec![*number],
                    Step::Batch(numbers) => numbers.clone(),
                    _ => return,
                };
                self.asked.insert(token, numbers);
            }
        }
    }

    /// The clients take their replies: no two of one order may differ.
    fn read(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Reply { token, reply: Reply::Execute(reply) } => {
                    let number = self.asked.remove(&token).unwrap()[0];
                    self.acknowledge(number, reply);
                }
                Output::Reply { token, reply: Reply::Batch(replies) } => {
                    for (number, reply) in self.asked.remove(&token).unwrap().into_iter().zip(replies) {
                        self.acknowledge(number, reply);
                    }
                }
                Output::Updates(range) => {
                    assert_eq!(range.first, self.last_update + 1, "updates have no holes");
                    self.last_update = range.last;
                }
                _ => {}
            }
        }
    }

    fn acknowledge(&mut self, number: u8, reply: ExecuteReply) {
        let reply = ExecuteReply { duplicate: false, ..reply };
        let first = self.acknowledged.entry(number).or_insert_with(|| reply.clone());
        assert_eq!(*first, reply, "the stored reply never changes");
    }

    fn die(&mut self) {
        self.rig = self.rig.after_crash(self.options.clone());
        self.asked.clear();
        // The client resumes from the last number that it saw, and gets what it missed.
        let resume_from = Some(self.last_update);
        match self.rig.ask(Request::Subscribe { account: String::new(), resume_from, accept_gaps: false }) {
            Reply::Subscribed { last_sequence, .. } => self.last_update = last_sequence,
            other => panic!("an update that was sent is forgotten: {other:?}"),
        }
    }

    /// Every client sends its order again: each is answered, and what was acknowledged before is what is said now.
    fn resend_all(&mut self) {
        for number in 0..24 {
            self.step(&Step::Order(number));
            self.step(&Step::EndTurn);
        }
    }

    /// How often each order was opened at the exchange.
    fn executions(&self) -> BTreeMap<String, usize> {
        let mut executions = BTreeMap::new();
        dump(&self.rig.disk, |line| {
            for event in line["venue_events"].as_array().unwrap() {
                if event["venue_event"] == "Opened" {
                    *executions.entry(event["order_id"].as_str().unwrap().to_owned()).or_default() += 1;
                }
            }
        })
        .unwrap();
        executions
    }
}

fn check(steps: &[Step], options: Options) {
    let mut run = Run::new(options);
    for step in steps {
        run.step(step);
    }
    run.step(&Step::Die);
    run.resend_all();
    let executions = run.executions();
    assert!(executions.values().all(|count| *count == 1), "{executions:?}");
    let report = verify(&run.rig.disk).expect("verifies");
    assert_eq!(report.state_hash, run.rig.state_hash(), "executing all inputs in one run gives this state");
    let recovered = run.rig.after_crash(run.options.clone());
    assert_eq!(recovered.state_hash(), report.state_hash, "and so does recovery");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_crashes_every_order_executes_once_and_replies_stand(steps in steps()) {
        check(&steps, options());
        // Some orders fill a segment, so that there is something for snapshots.
        check(&steps, Options { segment_bytes: 8 << 10, ..options() });
    }
}

#[test]
fn segments_that_end_in_a_crash_lose_nothing() {
    let mut steps = Vec::new();
    for number in 0..200_u8 {
        steps.extend([Step::Order(number % 24), Step::Quote(number % 40), Step::EndTurn]);
        if number.is_multiple_of(40) {
            steps.push(Step::DieBeforeTheSync);
        }
    }
    check(&steps, Options { segment_bytes: 32 << 10, ..options() });
}

/// Acknowledged orders that a restart after power loss does not know, or all of a journal that does not open.
fn forgotten(syncs_are_ignored: bool, durability: Durability) -> usize {
    let mut forgotten = 0;
    for seed in 0..8 {
        let options = Options { durability, ..options() };
        let mut rig = Rig::on(FakeDisk::new(seed), options.clone(), START_NS);
        rig.disk.ignore_syncs(syncs_are_ignored);
        for number in 0..20 {
            rig.execute(order(number));
        }
        let Ok((sequencer, _)) = Sequencer::open(rig.disk.crash(), options, configuration(), rig.now) else {
            forgotten += 20;
            continue;
        };
        rig.sequencer = sequencer;
        for number in 0..20 {
            let known = rig.ask(get(&format!("order-{number}"), false));
            forgotten += usize::from(!matches!(known, Reply::GetOrder(reply) if reply.found));
        }
    }
    forgotten
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_the_machine() {
    assert_eq!(forgotten(false, Durability::Always), 0);
}

/// The test above rests on the sync alone: with a disk that only pretends, it would fail.
#[test]
fn without_the_sync_acknowledged_orders_are_lost() {
    assert!(forgotten(true, Durability::Always) > 0);
    assert!(forgotten(false, Durability::Os) > 0, "mode os promises no more than that");
}

#[test]
fn in_mode_os_acknowledged_orders_survive_the_process() {
    let options = Options { durability: Durability::Os, ..options() };
    let mut rig = Rig::new(options.clone());
    for number in 0..20 {
        rig.execute(order(number));
    }
    let after = Rig::on(rig.disk.kill(), options, rig.now);
    assert_eq!(after.state_hash(), rig.state_hash());
}
