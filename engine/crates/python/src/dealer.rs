//! `Dealer`: a ZMTP DEALER for threads, without a thread of its own. Who calls does the I/O, without the GIL.

use crate::connection::options;
use crate::decode::order_reply_to;
use crate::encode::with_order_message;
use crate::link::{Link, LinkOptions};
use crate::replies::flag;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A thread that waits looks this often whether Python has a signal for it.
const SIGNAL_PAUSE_NS: u64 = 100_000_000;

/// Makes a waiting thread look up.
struct Bell {
    descriptor: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It can only be full, and then it rings.
            let _ = write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }

    fn was_rung(&self) -> bool {
        if !self.rung.load(Ordering::Acquire) {
            return false;
        }
        let _ = read(&self.descriptor, &mut [0_u8; 8]);
        self.rung.store(false, Ordering::Release);
        true
    }
}

/// How a wait ended.
#[derive(PartialEq, Eq)]
enum Waited {
    /// There is a message or a change.
    News,
    /// The bell, or time was over.
    Nothing,
    /// Python may have a signal: look, and wait on.
    Signal,
}

/// See `transport/_native.pyi`.
#[pyclass(module = "transport._native", frozen)]
pub struct Dealer {
    link: Mutex<Link>,
    bell: Bell,
    origin: Instant,
    sent: AtomicBool,
    duplicate: AtomicBool,
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
        // A host's name may take a while to look up.
        let link = py.detach(|| Link::new(endpoint, &options, 0)).map_err(refused)?;
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let descriptor = eventfd(0, flags).map_err(|error| refused(error.into()))?;
        let bell = Bell { descriptor, rung: AtomicBool::new(false) };
        Ok(Self {
            link: Mutex::new(link),
            bell,
            origin: Instant::now(),
            sent: AtomicBool::new(false),
            duplicate: AtomicBool::new(false),
        })
    }

    fn send(&self, py: Python<'_>, data: &[u8]) -> bool {
        py.detach(|| self.link().send(data, self.now_ns()))
    }

    fn receive<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut link = self.link();
        let now_ns = self.now_ns();
        if link.message().is_none() {
            link.proceed(PollFlags::IN, now_ns);
        }
        let message = PyBytes::new(py, link.message()?);
        link.taken(now_ns);
        Some(message)
    }

    fn events(&self) -> Vec<(u8, String)> {
        self.link().take_changes().into_iter().map(|(change, reason)| (change as u8, reason)).collect()
    }

    fn wait(&self, py: Python<'_>, timeout_ns: u64, spin_ns: u64) -> PyResult<()> {
        let now_ns = self.now_ns();
        self.wait_until(py, now_ns.saturating_add(timeout_ns), now_ns.saturating_add(spin_ns)).map(drop)
    }

    fn wake(&self) {
        self.bell.ring();
    }

    fn close(&self) {
        self.link().close();
        self.bell.ring();
    }

    /// The lone caller's way: see `transport/_native.pyi`.
    #[allow(clippy::too_many_arguments)]
    fn execute<'py>(
        &self,
        correlation: Bound<'py, PyAny>,
        journal_id: Bound<'py, PyAny>,
        order: &Bound<'py, PyAny>,
        max_bytes: usize,
        timeout_ns: u64,
        spin_ns: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = order.py();
        let number: u64 = correlation.extract()?;
        let now_ns = self.now_ns();
        let (until_ns, spin_until_ns) = (now_ns.saturating_add(timeout_ns), now_ns.saturating_add(spin_ns));
        self.sent.store(false, Ordering::Relaxed);
        // Encoding, sending and waiting with the GIL let go once.
        let waited = with_order_message(correlation, journal_id, order, |bytes| {
            Ok(py.detach(|| {
                let sent = bytes.len() <= max_bytes && self.send_if_quiet(bytes, now_ns);
                sent.then(|| self.wait_a_while(until_ns, spin_until_ns))
            }))
        })?;
        let Some(mut waited) = waited else { return Ok(flag(py, false)) };
        self.sent.store(true, Ordering::Relaxed);
        if waited == Waited::Signal {
            py.check_signals()?;
            waited = self.wait_until(py, until_ns, spin_until_ns)?;
        }
        if waited == Waited::News
            && let Some(reply) = self.reply_to(py, number)?
        {
            return Ok(reply);
        }
        Ok(flag(py, true))
    }

    fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    fn was_duplicate(&self) -> bool {
        self.duplicate.load(Ordering::Relaxed)
    }
}

impl Dealer {
    /// Sends where nothing waits to be taken before the reply.
    fn send_if_quiet(&self, bytes: &[u8], now_ns: u64) -> bool {
        let mut link = self.link();
        link.is_quiet() && link.send(bytes, now_ns)
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply, taken, if the message that waits is the one to this request.
    fn reply_to<'py>(&self, py: Python<'py>, correlation: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Making objects may collect garbage and so run anything: the lock is not held meanwhile.
        let Some((buffer, from, to)) = self.link().lend_buffer() else { return Ok(None) };
        let reply = order_reply_to(py, &buffer[from..to], correlation);
        let mut link = self.link();
        link.return_buffer(buffer);
        let Some((reply, duplicate)) = reply? else { return Ok(None) };
        link.taken(self.now_ns());
        self.duplicate.store(duplicate, Ordering::Relaxed);
        Ok(Some(reply))
    }

    fn wait_until(&self, py: Python<'_>, until_ns: u64, spin_until_ns: u64) -> PyResult<Waited> {
        loop {
            match py.detach(|| self.wait_a_while(until_ns, spin_until_ns)) {
                Waited::Signal => py.check_signals()?,
                ended => return Ok(ended),
            }
        }
    }

    /// Waits for news, at most until Python is to be asked for signals.
    fn wait_a_while(&self, until_ns: u64, spin_until_ns: u64) -> Waited {
        let signal_ns = self.now_ns().saturating_add(SIGNAL_PAUSE_NS);
        loop {
            let now_ns = self.now_ns();
            let spins = now_ns < spin_until_ns;
            let interest = {
                let mut link = self.link();
                if !link.has_news() && spins {
                    link.proceed(PollFlags::IN | PollFlags::OUT, now_ns);
                }
                if link.has_news() {
                    return Waited::News;
                }
                link.interest()
            };
            if self.bell.was_rung() || now_ns >= until_ns {
                return Waited::Nothing;
            }
            if now_ns >= signal_ns {
                return Waited::Signal;
            }
            if spins {
                std::hint::spin_loop();
                continue;
            }
            let Some(interest) = interest else { return Waited::News };
            let wake_ns = interest.deadline_ns.unwrap_or(u64::MAX).min(until_ns).min(signal_ns);
            let mut descriptors =
                [PollFd::new(&*interest.socket, interest.flags), PollFd::new(&self.bell.descriptor, PollFlags::IN)];
            let left_ns = wake_ns.saturating_sub(now_ns);
            let left = Timespec { tv_sec: (left_ns / 1_000_000_000) as i64, tv_nsec: (left_ns % 1_000_000_000) as _ };
            match poll(&mut descriptors, Some(&left)) {
                Ok(_) => self.link().proceed(descriptors[0].revents(), self.now_ns()),
                Err(Errno::INTR) => return Waited::Signal,
                // Out of memory: look at the socket the other way.
                Err(_) => self.link().proceed(PollFlags::IN | PollFlags::OUT, self.now_ns()),
            }
        }
    }
}
