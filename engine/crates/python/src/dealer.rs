//! `Dealer`: a ZMTP DEALER for threads, without a thread of its own. Who calls does the I/O, without the GIL.

use crate::bell::{Bell, now_ns};
use crate::connection::options;
use crate::decode::{decode_bytes, order_reply_to};
use crate::encode::with_order_message;
use crate::link::{Link, LinkOptions};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A thread that waits looks this often whether Python has a signal for it.
const SIGNAL_PAUSE_NS: u64 = 100_000_000;

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// There is a message or a change.
    News,
    /// The bell, or time was over.
    Nothing,
    /// Python may have a signal: look, and wait on.
    Signal,
}

/// Until when to wait, and until when to look again and again meanwhile; both of [`now_ns`].
#[derive(Clone, Copy)]
pub struct Patience {
    pub until_ns: u64,
    pub spin_until_ns: u64,
}

impl Patience {
    /// From this instant on.
    pub fn from(now_ns: u64, timeout_ns: u64, spin_ns: u64) -> Self {
        Self { until_ns: now_ns.saturating_add(timeout_ns), spin_until_ns: now_ns.saturating_add(spin_ns) }
    }
}

/// See `transport/_native.pyi`.
#[pyclass(module = "transport._native", frozen)]
pub struct Dealer {
    link: Mutex<Link>,
    bell: Arc<Bell>,
}

#[pymethods]
impl Dealer {
    #[new]
    #[pyo3(signature = (endpoint, *, heartbeat_interval_ms, heartbeat_timeout_ms, handshake_timeout_ms, output_bytes, max_message_bytes))]
    fn new(
        py: Python<'_>,
        endpoint: &str,
        heartbeat_interval_ms: u64,
        heartbeat_timeout_ms: u64,
        handshake_timeout_ms: u64,
        output_bytes: usize,
        max_message_bytes: usize,
    ) -> PyResult<Self> {
        let wire = options(heartbeat_interval_ms, heartbeat_timeout_ms, max_message_bytes);
        let options = LinkOptions { wire, handshake_ms: handshake_timeout_ms, output_bytes };
        let refused = |error: std::io::Error| {
            PyOSError::new_err((error.raw_os_error().unwrap_or(0), format!("{endpoint}: {error}")))
        };
        let bell = Bell::new().map_err(refused)?;
        // A host's name may take a while to look up.
        let link = py.detach(|| Link::new(endpoint, &options, now_ns())).map_err(refused)?;
        Ok(Self { link: Mutex::new(link), bell: Arc::new(bell) })
    }

    fn send(&self, py: Python<'_>, data: &[u8]) -> bool {
        py.detach(|| self.link().send(data, now_ns()))
    }

    /// Sends orders one by one, in one write, each under its number; how many. It stops before an order that has no
    /// form on the wire, or is above `max_bytes`: sent by itself, that one says why.
    fn send_orders(
        &self,
        py: Python<'_>,
        correlations: &Bound<'_, PyList>,
        journal_id: &Bound<'_, PyAny>,
        orders: &Bound<'_, PyList>,
        max_bytes: usize,
    ) -> usize {
        // Reading an order may run anything: the link's lock is not held meanwhile.
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (correlation, order) in correlations.iter().zip(orders.iter()) {
            let written = with_order_message(correlation, journal_id.clone(), &order, |message| {
                let fits = message.len() <= max_bytes;
                if fits {
                    bytes.extend_from_slice(message);
                }
                Ok(fits)
            });
            if !matches!(written, Ok(true)) {
                break;
            }
            ends.push(bytes.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let bodies = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]);
        py.detach(|| self.link().send_all(bodies, now_ns()))
    }

    /// All messages that were read, decoded; reads once where there was none. Raises `WireDecodeError` where the first
    /// is no message.
    fn receive_all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let messages = PyList::empty(py);
        if self.link().message().is_none() {
            self.link().proceed(PollFlags::IN, now_ns());
        }
        loop {
            let Some(lent) = self.link().lend_buffer() else { return Ok(messages) };
            let decoded = decode_bytes(py, &lent.0[lent.1..lent.2]);
            let mut link = self.link();
            link.return_buffer(lent);
            if decoded.is_err() && !messages.is_empty() {
                return Ok(messages);
            }
            link.taken(now_ns());
            drop(link);
            messages.append(decoded?)?;
        }
    }

    fn receive<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut link = self.link();
        let now_ns = now_ns();
        if link.message().is_none() {
            link.proceed(PollFlags::IN, now_ns);
        }
        let message = PyBytes::new(py, link.message()?);
        link.taken(now_ns);
        Some(message)
    }

    fn events(&self) -> Vec<(u8, String)> {
        let mut link = self.link();
        if link.message().is_none() {
            // So that a connection comes to stand, and its end is found out, without anybody who waits.
            let flags = what_is_there(&link);
            link.proceed(flags, now_ns());
        }
        link.take_changes().into_iter().map(|(change, reason)| (change as u8, reason)).collect()
    }

    fn wait(&self, py: Python<'_>, timeout_ns: u64, spin_ns: u64) -> PyResult<bool> {
        self.wait_until(py, Patience::from(now_ns(), timeout_ns, spin_ns))?;
        Ok(self.link().has_changed())
    }

    fn wake(&self) {
        self.bell.ring();
    }

    fn close(&self) {
        self.link().close();
        self.bell.ring();
    }
}

impl Dealer {
    /// What wakes a thread that waits here.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Sends where nothing waits to be taken before the reply.
    pub fn send_if_quiet(&self, bytes: &[u8], now_ns: u64) -> bool {
        let mut link = self.link();
        link.is_quiet() && link.send(bytes, now_ns)
    }

    /// The reply, taken, if the message that waits is the one to this request; see [`order_reply_to`].
    pub fn reply_to<'py>(&self, py: Python<'py>, correlation: u64) -> PyResult<Option<(Bound<'py, PyAny>, u64, bool)>> {
        // Making objects may collect garbage and so run anything: the lock is not held meanwhile.
        let Some(lent) = self.link().lend_buffer() else { return Ok(None) };
        let reply = order_reply_to(py, &lent.0[lent.1..lent.2], correlation);
        let mut link = self.link();
        link.return_buffer(lent);
        if matches!(reply, Ok(Some(_))) {
            link.taken(now_ns());
        }
        reply
    }

    /// Waits; runs Python's handlers of signals meanwhile.
    pub fn wait_until(&self, py: Python<'_>, patience: Patience) -> PyResult<Waited> {
        loop {
            match py.detach(|| self.wait_a_while(patience)) {
                Waited::Signal => py.check_signals()?,
                ended => return Ok(ended),
            }
        }
    }

    /// Waits for news, at most until Python is to be asked for signals.
    pub fn wait_a_while(&self, patience: Patience) -> Waited {
        let (mut signal_ns, mut rang) = (None, false);
        loop {
            let now_ns = now_ns();
            let mut spins = now_ns < patience.spin_until_ns;
            let interest = {
                let mut link = self.link();
                // Only poll says when a connection stands.
                spins &= link.is_connected();
                if spins && !link.has_news() {
                    link.proceed(PollFlags::IN, now_ns);
                }
                if link.has_news() {
                    return Waited::News;
                }
                if spins { None } else { link.interest() }
            };
            if rang || self.bell.was_rung() || now_ns >= patience.until_ns {
                return Waited::Nothing;
            }
            let signal_ns = *signal_ns.get_or_insert(now_ns.saturating_add(SIGNAL_PAUSE_NS));
            if now_ns >= signal_ns {
                return Waited::Signal;
            }
            if spins {
                std::hint::spin_loop();
                continue;
            }
            let Some(interest) = interest else { return Waited::News };
            let wake_ns = interest.deadline_ns.unwrap_or(u64::MAX).min(patience.until_ns).min(signal_ns);
            let left = timespec(wake_ns.saturating_sub(now_ns));
            let mut descriptors =
                [PollFd::new(&*interest.socket, interest.flags), PollFd::new(self.bell.descriptor(), PollFlags::IN)];
            match poll(&mut descriptors, Some(&left)) {
                Ok(_) => {
                    rang = !descriptors[1].revents().is_empty();
                    if rang {
                        self.bell.silence();
                    }
                    self.link().proceed(descriptors[0].revents(), crate::bell::now_ns());
                }
                Err(Errno::INTR) => return Waited::Signal,
                // Out of memory: look at the socket without having been told to.
                Err(_) => self.link().proceed(PollFlags::IN, now_ns),
            }
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What poll says of a link's socket just now.
fn what_is_there(link: &Link) -> PollFlags {
    let Some(interest) = link.interest() else { return PollFlags::empty() };
    let mut descriptors = [PollFd::new(&*interest.socket, interest.flags)];
    match poll(&mut descriptors, Some(&timespec(0))) {
        Ok(_) => descriptors[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}
