//! Logs go to standard error; what strangers can provoke is logged at a bounded rate.

use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` selects what is logged; `info` without it.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that cannot be written (its disk is full) must not end the engine, which reporting it there would.
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).log_internal_errors(false);
    // Fails only if a logger is set already, which is then used.
    let _ = log.with_env_filter(filter).try_init();
}

/// How many lines per [`WINDOW`] bad input may cost: enough to see what is wrong, not enough to fill a disk.
const LINES_PER_WINDOW: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// Lets a few lines per second pass and counts the rest.
pub struct BoundedLog {
    window_start: Instant,
    lines: u32,
    suppressed: u64,
}

impl BoundedLog {
    /// A log with a whole window ahead of it.
    pub fn new() -> Self {
        Self { window_start: Instant::now(), lines: 0, suppressed: 0 }
    }

    /// Logs what bad input did, unless this second has had its lines.
    pub fn bad_input(&mut self, from: &str, what: &str) {
        let now = Instant::now();
        if now.duration_since(self.window_start) >= WINDOW {
            if self.suppressed > 0 {
                tracing::warn!(lines = self.suppressed, "further bad input was not logged");
            }
            *self = Self { window_start: now, lines: 0, suppressed: 0 };
        }
        if self.lines < LINES_PER_WINDOW {
            self.lines += 1;
            tracing::warn!(from, "bad input: {what}");
        } else {
            self.suppressed += 1;
        }
    }
}
