//! How a handler waits for the reactor's reply: awake for a moment if it is the only one, asleep otherwise.
//!
//! Waking a thread on another core takes tens of microseconds, as long as the reactor takes for an order. A handler
//! that waits awake gives way after each look ([`yield_now`]): the runtime then polls its sockets and all other tasks,
//! so that nothing waits for it, and what it costs is bounded by its patience. Where it does not pay, because other
//! threads want the cores, it soon stops ([`Worth`]).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot::{Receiver, error::TryRecvError},
    task::yield_now,
};

/// Longer than the reactor takes to wake up, execute an order and write it to the page cache.
const PATIENCE: Duration = Duration::from_micros(100);

/// What waits for the reactor: calls, and streams of orders for as long as they last.
#[derive(Clone)]
pub struct Traffic {
    waiting: Arc<AtomicUsize>,
    patience: Duration,
    worth: Arc<Worth>,
}

/// One that waits; until it is dropped.
pub struct Waiting(Traffic);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Nothing waits yet. `replies_at_once`: a reply waits neither for a disk nor for an external venue.
    pub fn new(replies_at_once: bool) -> Self {
        // With one core, waiting awake would keep the reactor from running.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let patience = if replies_at_once && cores > 1 { PATIENCE } else { Duration::ZERO };
        Self { waiting: Arc::default(), patience, worth: Arc::default() }
    }

    /// Counts one more.
    pub fn one_more(&self) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// Whether nothing waits.
    pub fn is_quiet(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Waits for a reply; None: its sender is gone.
    pub async fn reply<T>(&self, mut reply: Receiver<T>) -> Option<T> {
        let waiting = self.one_more();
        if self.patience > Duration::ZERO && waiting.is_alone() && self.worth.is_given() {
            let until = Instant::now() + self.patience;
            while waiting.is_alone() && Instant::now() < until {
                match reply.try_recv() {
                    Ok(reply) => {
                        self.worth.paid();
                        return Some(reply);
                    }
                    Err(TryRecvError::Closed) => return None,
                    Err(TryRecvError::Empty) => {
                        // The reactor may have been put on this core's queue.
                        thread::yield_now();
                        yield_now().await;
                    }
                }
            }
            self.worth.was_in_vain();
        }
        reply.await.ok()
    }
}

impl Waiting {
    fn is_alone(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) == 1
    }
}

/// Whether waiting awake has paid lately. Each time in a row that it has not doubles how often it is left out.
#[derive(Default)]
pub struct Worth {
    in_vain: AtomicU32,
    left_out: AtomicU32,
}

/// At most two to this power are left out in a row.
const MOST_DOUBLINGS: u32 = 6;

impl Worth {
    /// Whether to wait awake this time.
    pub fn is_given(&self) -> bool {
        let one_less = |left_out: u32| left_out.checked_sub(1);
        self.left_out.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
    }

    /// What was waited for came in time.
    pub fn paid(&self) {
        self.in_vain.store(0, Ordering::Relaxed);
    }

    /// It did not.
    pub fn was_in_vain(&self) {
        let doublings = self.in_vain.fetch_add(1, Ordering::Relaxed).min(MOST_DOUBLINGS);
        self.left_out.store((1 << doublings) - 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use tokio::{runtime::Builder, sync::oneshot};

    fn traffic(patience: Duration) -> Traffic {
        Traffic { waiting: Arc::default(), patience, worth: Arc::default() }
    }

    fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    }

    #[test]
    fn a_handler_that_waits_awake_lets_the_task_run_that_it_waits_for() {
        let long = Duration::from_secs(20);
        let begun = Instant::now();
        let reply = on_one_thread(async {
            let (sender, receiver) = oneshot::channel();
            tokio::spawn(async move {
                // Timers and sockets are the runtime's too.
                tokio::time::sleep(Duration::from_millis(5)).await;
                sender.send(7)
            });
            traffic(long).reply(receiver).await
        });
        assert_eq!(reply, Some(7));
        assert!(begun.elapsed() < long, "the handler kept the thread for itself until its patience was over");
    }

    #[test]
    fn a_reply_that_takes_longer_is_waited_for_asleep_and_one_that_never_comes_is_noticed() {
        on_one_thread(async {
            for patience in [Duration::ZERO, Duration::from_micros(10), Duration::from_secs(20)] {
                let (sender, receiver) = oneshot::channel();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    sender.send(7)
                });
                assert_eq!(traffic(patience).reply(receiver).await, Some(7));
                let (sender, receiver) = oneshot::channel::<u8>();
                drop(sender);
                assert_eq!(traffic(patience).reply(receiver).await, None);
            }
        });
    }

    #[test]
    fn whoever_waits_is_counted_until_it_is_answered_or_given_up() {
        let traffic = traffic(Duration::ZERO);
        let (_sender, receiver) = oneshot::channel::<u8>();
        on_one_thread(async {
            let late = tokio::time::timeout(Duration::from_millis(1), traffic.reply(receiver));
            assert!(late.await.is_err());
        });
        assert!(traffic.is_quiet());
        let one = traffic.one_more();
        assert!(!traffic.is_quiet());
        drop(one);
        assert!(traffic.is_quiet());
    }

    #[test]
    fn what_is_in_vain_is_tried_less_and_less_until_it_pays_again() {
        let worth = Worth::default();
        let tried = |calls: u32| (0..calls).filter(|_| worth.is_given()).map(|_| worth.was_in_vain()).count();
        let (first, later) = (tried(100), tried(10_000));
        assert!((6..=8).contains(&first), "{first} of 100");
        assert!((150..=160).contains(&later), "{later} of the next 10000");
        while !worth.is_given() {}
        worth.paid();
        assert!((0..100).all(|_| worth.is_given()));
    }
}
