//! Nobody waits longer than [`wait::ASK_EVERY`] and a turn for a connection that is busy all the time.

use super::*;
use bridge_sequencer::Request;
use tokio::sync::oneshot;

#[test]
fn others_are_served_within_a_bound_while_one_connection_is_busy_all_the_time() {
    let mut rig = Rig::new("os", Duration::from_millis(10));
    let (mut busy, mut other) = (rig.client(), rig.client());
    rig.publish_quote(&mut busy);
    let mut number = 10;
    for round in 0..200 {
        // It is read without asking epoll from here on.
        busy.send_order(number);
        rig.turn_until_heard(&mut busy);
        rig.reactor.hot = Hot::default();
        rig.reactor.hot.sent(rig.reactor.peers.keys()[0]);
        other.send_order(number + 1);
        number += 2;
        // Whatever the clock says between two turns: after the bound is over, the first turn asks.
        let sent = Instant::now();
        let mut asked_in_time = false;
        while !other.hears() {
            assert!(!asked_in_time, "round {round}: a turn that began after the bound did not serve it");
            asked_in_time = sent.elapsed() > wait::ASK_EVERY;
            busy.send_order(number);
            number += 1;
            rig.reactor.turn().unwrap();
        }
        other.message();
        while busy.hears() {
            busy.message();
        }
    }
}

#[test]
fn what_another_thread_hands_over_is_seen_in_the_next_turn_while_a_connection_is_busy() {
    let mut rig = Rig::new("os", Duration::from_millis(10));
    let (calls, orders) = mpsc::channel(8);
    rig.reactor.parts.orders = orders;
    let mut busy = rig.client();
    rig.publish_quote(&mut busy);
    for number in 10..200 {
        busy.send_order(number);
        let mut answered = ask_for_health(&rig, &calls);
        rig.reactor.turn().unwrap();
        assert!(answered.try_recv().is_ok());
        while busy.hears() {
            busy.message();
        }
    }
}

#[test]
fn what_another_thread_hands_over_is_seen_in_a_turn_that_does_not_wait() {
    let mut rig = Rig::new("os", Duration::ZERO);
    let (calls, orders) = mpsc::channel(8);
    rig.reactor.parts.orders = orders;
    for _ in 0..10 {
        // As behind a turn that left something to do: the next one asks epoll and goes on.
        rig.reactor.submitted = true;
        let mut answered = ask_for_health(&rig, &calls);
        rig.reactor.turn().unwrap();
        assert!(answered.try_recv().is_ok());
    }
}

/// What gRPC does with a call, on this thread.
fn ask_for_health(rig: &Rig, calls: &mpsc::Sender<grpc::Order>) -> oneshot::Receiver<bridge_sequencer::Reply> {
    let (answer, answered) = oneshot::channel();
    let answer = grpc::Answer::Once(answer);
    assert!(calls.try_send(grpc::Order::Call { session_id: "".into(), request: Request::Health, answer }).is_ok());
    rig.reactor.parts.waker.wake();
    answered
}
