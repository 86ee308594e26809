//! The sync thread: a slow disk delays replies and nothing else.

use super::poller::Waker;
use crate::failure::Failure;
use bridge_sequencer::{Disk, SyncJob, SyncResult};
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// Runs sync jobs, one at a time, and wakes the reactor after each.
pub struct SyncThread<D: Disk> {
    jobs: Sender<SyncJob<D>>,
    results: Receiver<SyncResult<D>>,
}

impl<D: Disk> SyncThread<D> {
    /// Starts the thread; it ends with this value.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(waker: Waker) -> Result<Self, Failure> {
        let (jobs, queue) = channel::<SyncJob<D>>();
        let (finished, results) = channel();
        let run = move || {
            for job in queue {
                if finished.send(job.run()).is_err() {
                    return;
                }
                waker.wake();
            }
        };
        // A panic here would leave every reply waiting: the panic hook ends the process (serve.rs).
        let thread = thread::Builder::new().name("journal-sync".into()).spawn(run);
        thread.map_err(|e| Failure::broken(format!("cannot start the sync thread: {e}")))?;
        Ok(Self { jobs, results })
    }

    /// Hands a job over. The sequencer has at most one out.
    pub fn submit(&self, job: SyncJob<D>) {
        // The thread lives as long as this value; if it died, the process is ending.
        let _ = self.jobs.send(job);
    }

    /// The result of a job that is done.
    pub fn finished(&self) -> Option<SyncResult<D>> {
        self.results.try_recv().ok()
    }

    /// Ends the thread, and gives the results that were not taken yet.
    pub fn finish(self) -> Vec<SyncResult<D>> {
        drop(self.jobs);
        // Ends when the thread does.
        self.results.iter().collect()
    }
}
