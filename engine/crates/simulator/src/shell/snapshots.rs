//! Snapshots, made beside the engine by a thread that goes as far as the schedule says (`reactor/snapshots`).

use super::Shell;
use crate::turnstile::Stepwise;
use bridge_sequencer::Snapshot;

/// One that is being made.
pub type Making = Stepwise<Result<Snapshot, String>>;

impl Shell {
    /// Begins a snapshot of what is in closed segments. False: one is being made, or there is nothing new to put in.
    pub fn begin_snapshot(&mut self) -> bool {
        let Some(job) = self.sequencer.snapshot_job(0) else { return false };
        match Stepwise::begin(move || job.run()) {
            Ok(making) => self.making = Some(making),
            Err(error) => self.sequencer.snapshot_made(&Err(format!("no thread for it: {error}"))),
        }
        self.making.is_some()
    }

    /// One disk operation of it further. `None`: there is more to do.
    pub fn step_snapshot(&mut self) -> Option<Result<Snapshot, String>> {
        let Some(making) = &mut self.making else { return Some(Err("none is being made".to_owned())) };
        let made = making.step()?;
        self.making = None;
        self.sequencer.snapshot_made(&made);
        Some(made)
    }
}
