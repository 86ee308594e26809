//! The sync thread: a slow disk delays replies and nothing else.

use super::poller::Waker;
use crate::failure::Failure;
use bridge_sequencer::{Disk, SyncJob, SyncResult};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Runs sync jobs, one at a time, and wakes the reactor after each.
pub struct SyncThread<D: Disk> {
    desk: Arc<Desk<D>>,
    thread: JoinHandle<()>,
}

/// Where jobs and results change hands. The sequencer has one job out at a time, so there is place for one of each,
/// and nothing is allocated to hand them over.
struct Desk<D: Disk> {
    job: Mutex<Option<SyncJob<D>>>,
    result: Mutex<Option<SyncResult<D>>>,
    closed: AtomicBool,
}

fn put<T>(place: &Mutex<Option<T>>, value: T) {
    // What a panic left is whole: a value is moved in or out at once.
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<D: Disk> SyncThread<D> {
    /// Starts the thread; it ends with this value.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(waker: Waker) -> Result<Self, Failure> {
        let desk = Arc::new(Desk { job: Mutex::new(None), result: Mutex::new(None), closed: AtomicBool::new(false) });
        let there = Arc::clone(&desk);
        let run = move || {
            loop {
                match take(&there.job) {
                    Some(job) => {
                        put(&there.result, job.run());
                        waker.wake();
                    }
                    None if there.closed.load(Ordering::Acquire) => return,
                    None => thread::park(),
                }
            }
        };
        // A panic here would leave every reply waiting: the panic hook ends the process (serve.rs).
        let thread = thread::Builder::new().name("journal-sync".into()).spawn(run);
        let thread = thread.map_err(|e| Failure::broken(format!("cannot start the sync thread: {e}")))?;
        Ok(Self { desk, thread })
    }

    /// Hands a job over. The sequencer has at most one out.
    pub fn submit(&self, job: SyncJob<D>) {
        put(&self.desk.job, job);
        self.thread.thread().unpark();
    }

    /// The result of a job that is done.
    pub fn finished(&self) -> Option<SyncResult<D>> {
        take(&self.desk.result)
    }

    /// Ends the thread once it has done its job, and gives the result if it was not taken yet.
    pub fn finish(self) -> Option<SyncResult<D>> {
        self.desk.closed.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // It panicked: then the process is ending.
        let _ = self.thread.join();
        take(&self.desk.result)
    }
}
