//! `Turnstile`: the lock of a blocking client, and the way of the lone caller through it.
//!
//! While nobody else uses the client, one order takes one call of native code: the lock, encoding, sending, waiting and
//! decoding. The lock stays taken meanwhile; who else wants it rings the bell of the wait, which then ends as an
//! *orphan*: a request that was sent and has no reply yet. The next to take the lock enters it among the requests in
//! flight, and everything goes on as it does without this way.

use crate::bell::{Bell, now_ns};
use crate::dealer::{Dealer, Patience, Waited};
use crate::encode::with_order_bytes;
use crate::replies::flag;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Requests of this way are numbered from here on, so that no other request of the client has their number.
const FIRST_CORRELATION: u64 = 1 << 62;
/// A thread that waits for the lock looks again at least this often, and rings again.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Where a lone caller's orders go.
struct Lane {
    dealer: Py<Dealer>,
    journal_id: Arc<str>,
    max_message_bytes: usize,
    spin_ns: u64,
}

/// A request that was sent, and that no core knows of yet.
#[derive(Clone, Copy)]
struct Orphan {
    correlation: u64,
    deadline_ns: u64,
    /// Its caller comes back for it; it does not where a signal's handler raised.
    awaited: bool,
}

#[derive(Default)]
struct State {
    /// Who holds the lock.
    owner: Option<ThreadId>,
    /// How many wait for it: waking nobody costs a system call.
    waiting: usize,
    lane: Option<Arc<Lane>>,
    /// Nobody else waits for a reply, and the path is open, as of the last release.
    lone: bool,
    orphan: Option<Orphan>,
    /// Of the lone caller that holds the lock now.
    bell: Option<Arc<Bell>>,
}

/// See `transport/_native.pyi`.
#[pyclass(module = "transport._native", frozen, weakref)]
pub struct Turnstile {
    state: Mutex<State>,
    freed: Condvar,
    correlation: AtomicU64,
    last_sequence: AtomicU64,
    /// What the last look from outside has seen of `last_sequence`.
    told_sequence: AtomicU64,
    shut: AtomicBool,
    adopt: Py<PyAny>,
}

/// What came of a lone caller's order.
enum Outcome<'py> {
    Replied(Bound<'py, PyAny>, bool, u64),
    /// Sent, and now an orphan with this number.
    Pending(u64),
    NotSent,
}

#[pymethods]
impl Turnstile {
    #[new]
    fn new(adopt: Py<PyAny>) -> Self {
        Self {
            state: Mutex::default(),
            freed: Condvar::new(),
            correlation: AtomicU64::new(FIRST_CORRELATION),
            last_sequence: AtomicU64::new(0),
            told_sequence: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            adopt,
        }
    }

    fn acquire(&self, py: Python<'_>) -> PyResult<()> {
        let me = thread::current().id();
        while !self.take(me) {
            if self.state().owner == Some(me) {
                let message = "this thread is within a call of this client already (from a destructor, or a property \
                               of an order?); use another client there";
                return Err(PyRuntimeError::new_err(message));
            }
            py.detach(|| self.await_freed());
            py.check_signals()?;
        }
        let adopted = self.tell(py);
        if adopted.is_err() {
            self.release();
        }
        adopted
    }

    fn release(&self) {
        let mut state = self.state();
        // A handler of signals may raise between the lock and its block: what is not held is not given back.
        if state.owner == Some(thread::current().id()) {
            state.owner = None;
            self.wake_one(state);
        }
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        self.acquire(py)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, PyTuple>) {
        self.release();
    }

    fn set_lane(&self, dealer: Py<Dealer>, journal_id: &str, max_message_bytes: usize, spin_ns: u64) {
        let lane = Lane { dealer, journal_id: journal_id.into(), max_message_bytes, spin_ns };
        // What it replaces is dropped without the lock.
        let replaced = self.state().lane.replace(Arc::new(lane));
        drop(replaced);
    }

    fn let_pass(&self) {
        self.state().lone = true;
    }

    fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    fn execute<'py>(&self, order: &Bound<'py, PyAny>, timeout_ns: u64) -> PyResult<Bound<'py, PyAny>> {
        match self.pass(order, timeout_ns)? {
            Outcome::Replied(reply, _, _) => Ok(reply),
            other => other.unfinished(order.py()),
        }
    }

    fn deliver<'py>(&self, order: &Bound<'py, PyAny>, timeout_ns: u64) -> PyResult<Bound<'py, PyAny>> {
        match self.pass(order, timeout_ns)? {
            Outcome::Replied(reply, duplicate, correlation) => {
                Ok((reply, duplicate, correlation).into_pyobject(order.py())?.into_any())
            }
            other => other.unfinished(order.py()),
        }
    }
}

impl<'py> Outcome<'py> {
    /// False where nothing was sent; the number of what waits.
    fn unfinished(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Pending(correlation) => Ok(correlation.into_pyobject(py)?.into_any()),
            _ => Ok(flag(py, false)),
        }
    }
}

impl Turnstile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, me: ThreadId) -> bool {
        let mut state = self.state();
        if state.owner.is_some() {
            return false;
        }
        state.owner = Some(me);
        state.lone = false;
        true
    }

    /// Waits until the lock may be free. Nobody holds it for long: a lone caller is asked to give it up.
    fn await_freed(&self) {
        let mut state = self.state();
        if let Some(bell) = &state.bell {
            bell.ring();
        }
        if state.owner.is_some() {
            state.waiting += 1;
            let woken = self.freed.wait_timeout(state, LONGEST_WAIT).unwrap_or_else(PoisonError::into_inner);
            { woken.0 }.waiting -= 1;
        }
    }

    fn wake_one(&self, state: MutexGuard<'_, State>) {
        let anybody = state.waiting > 0;
        drop(state);
        if anybody {
            self.freed.notify_one();
        }
    }

    /// Tells what lone callers have left, if anything.
    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        let orphan = self.state().orphan;
        let sequence = self.last_sequence.load(Ordering::Relaxed);
        if orphan.is_none() && sequence == self.told_sequence.load(Ordering::Relaxed) {
            return Ok(());
        }
        let told = orphan.map(|orphan| (orphan.correlation, orphan.deadline_ns, orphan.awaited));
        self.adopt.bind(py).call1((sequence, told))?;
        self.told_sequence.store(sequence, Ordering::Relaxed);
        self.state().orphan = None;
        Ok(())
    }

    fn pass<'py>(&self, order: &Bound<'py, PyAny>, timeout_ns: u64) -> PyResult<Outcome<'py>> {
        let Some((lane, passage)) = self.enter() else { return Ok(Outcome::NotSent) };
        let (py, dealer) = (order.py(), lane.dealer.get());
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let now_ns = now_ns();
        let patience = Patience::from(now_ns, timeout_ns, lane.spin_ns);
        // Sending and waiting with the GIL let go once.
        let waited = with_order_bytes(correlation, &lane.journal_id, order, |bytes| {
            py.detach(|| {
                let sent = bytes.len() <= lane.max_message_bytes && dealer.send_if_quiet(bytes, now_ns);
                sent.then(|| dealer.wait_a_while(patience))
            })
        })?;
        let Some(waited) = waited else { return Ok(Outcome::NotSent) };
        let replied = self.reply(py, dealer, correlation, waited);
        match replied {
            Ok(Some((reply, duplicate))) => Ok(Outcome::Replied(reply, duplicate, correlation)),
            // Whatever is raised from here on, the order was sent.
            other => {
                passage.leave(Orphan { correlation, deadline_ns: patience.until_ns, awaited: other.is_ok() });
                other?;
                // Handlers run with the lock free: they may close the client, or cancel with it.
                py.check_signals().inspect_err(|_| self.forsake(correlation))?;
                Ok(Outcome::Pending(correlation))
            }
        }
    }

    fn reply<'py>(
        &self,
        py: Python<'py>,
        dealer: &Dealer,
        correlation: u64,
        waited: Waited,
    ) -> PyResult<Option<(Bound<'py, PyAny>, bool)>> {
        if waited != Waited::News {
            return Ok(None);
        }
        let Some((reply, sequence, duplicate)) = dealer.reply_to(py, correlation)? else { return Ok(None) };
        self.last_sequence.fetch_max(sequence, Ordering::Relaxed);
        Ok(Some((reply, duplicate)))
    }

    /// Nobody waits for this request any more.
    fn forsake(&self, correlation: u64) {
        let mut state = self.state();
        if let Some(orphan) = state.orphan.as_mut().filter(|orphan| orphan.correlation == correlation) {
            orphan.awaited = false;
        }
    }

    /// Takes the lock, if that may be done without asking anybody.
    fn enter(&self) -> Option<(Arc<Lane>, Passage<'_>)> {
        if self.shut.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state();
        if state.owner.is_some() || !state.lone {
            return None;
        }
        let lane = state.lane.clone()?;
        state.owner = Some(thread::current().id());
        state.bell = Some(lane.dealer.get().bell().clone());
        drop(state);
        Some((lane, Passage(self)))
    }
}

/// The lock in the hands of a lone caller; given back when dropped.
struct Passage<'a>(&'a Turnstile);

impl Passage<'_> {
    /// Gives the lock back with a request that somebody has to look after.
    fn leave(self, orphan: Orphan) {
        let mut state = self.0.state();
        state.orphan = Some(orphan);
        state.lone = false;
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.owner = None;
        let bell = state.bell.take();
        self.0.wake_one(state);
        drop(bell);
    }
}
