//! When ids are forgotten: a pass over all that is remembered now and then, a few at a time, so that no turn takes
//! long because of it.

use crate::{Disk, Path, Sequencer};
use bridge_core::{Input, RememberedKind, UtcNanos};

/// Looked at in one turn: some 20 us.
const AT_ONCE: usize = 256;
/// Between two of these turns: a pass takes one fiftieth of the reactor's time, and forgets as fast as orders come.
const PAUSE_NS: UtcNanos = 1_000_000;
/// From a start to its first pass, and after the disk was full.
const LATER_NS: UtcNanos = 10_000_000_000;

/// Where the pass is. Not state: a start begins anew.
pub(crate) struct Forgetting {
    due: UtcNanos,
    /// Position in [`RememberedKind::ALL`], and the number behind which to go on.
    at: (usize, u64),
}

impl Forgetting {
    /// A pass will begin.
    pub(crate) fn after_start(now: UtcNanos) -> Self {
        Self { due: now.saturating_add(LATER_NS), at: (0, 0) }
    }

    /// When to go on.
    pub(crate) const fn due(&self) -> UtcNanos {
        self.due
    }
}

impl<D: Disk> Sequencer<D> {
    /// The next few, if it is time.
    pub(crate) fn forget_some(&mut self) {
        if self.now < self.forgetting.due {
            return;
        }
        let (position, after) = self.forgetting.at;
        let Some(kind) = RememberedKind::ALL.get(position) else {
            self.forgetting.at = (0, 0);
            self.forgetting.due = self.now.saturating_add(self.state.core.forgetting_interval_ns());
            return;
        };
        let Some(sweep) = self.state.core.next_sweep(*kind, after, AT_ONCE) else {
            self.forgetting.at = (position + 1, 0);
            return;
        };
        let pause_ns = match self.run_internal(Input::Forget(sweep), Path::Internal) {
            Ok(()) => {
                self.forgetting.at = (position, sweep.last);
                PAUSE_NS
            }
            Err(_) => LATER_NS,
        };
        self.forgetting.due = self.now.saturating_add(pause_ns);
    }
}
