//! Makes a thread that waits at a socket look up, from any thread; and the clock that waits go by.

use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::{read, write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// An instant, and what Python's clock said of it.
static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();

/// Ties [`now_ns`] to Python's clock; when the module is made. Both go by the system's monotonic clock.
///
/// # Errors
/// Where Python's clock has none.
pub fn set_clock(py: Python<'_>) -> PyResult<()> {
    let said_ns = py.import("time")?.call_method0("monotonic_ns")?.extract()?;
    ANCHOR.get_or_init(|| (Instant::now(), said_ns));
    Ok(())
}

/// Python's `time.monotonic_ns()`.
pub fn now_ns() -> u64 {
    let (instant, said_ns) = ANCHOR.get_or_init(|| (Instant::now(), 0));
    said_ns.saturating_add(instant.elapsed().as_nanos() as u64)
}

/// Rings until somebody has heard it.
pub struct Bell {
    descriptor: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    /// A silent one.
    ///
    /// # Errors
    /// Where the process may have no more descriptors.
    pub fn new() -> std::io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { descriptor, rung: AtomicBool::new(false) })
    }

    /// Readable while the bell rings.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// Ends the present wait, or the next one.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It can only be full, and then it is readable.
            let _ = write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }

    /// Whether it rang; silences it.
    pub fn was_rung(&self) -> bool {
        let rang = self.rung.load(Ordering::Acquire);
        if rang {
            self.silence();
        }
        rang
    }

    /// Silences it, also where who rang was held up between saying so and writing.
    pub fn silence(&self) {
        // First: who rings from here on writes anew.
        self.rung.store(false, Ordering::Release);
        let _ = read(&self.descriptor, &mut [0_u8; 8]);
    }
}
