//! A thread that goes one operation of its disk at a time, when it is told to: how a snapshot is made beside an engine
//! that goes on, at moments that the schedule chooses. Only one of the two runs at any time.

use std::cell::RefCell;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

thread_local! {
    /// Of a thread that goes step by step.
    static PASSAGE: RefCell<Option<Passage>> = const { RefCell::new(None) };
}

struct Passage {
    arrived: Sender<()>,
    go: Receiver<()>,
}

/// Nobody turns it any more: the process has ended.
#[derive(Debug)]
pub struct Deserted;

/// Called before each operation. A thread that goes step by step waits here until it may; others go on.
///
/// # Errors
/// The process of the thread has ended.
pub fn pass() -> Result<(), Deserted> {
    PASSAGE.with_borrow(|passage| {
        let Some(passage) = passage else { return Ok(()) };
        passage.arrived.send(()).map_err(|_| Deserted)?;
        passage.go.recv().map_err(|_| Deserted)
    })
}

/// Work that goes step by step.
pub struct Stepwise<T> {
    /// `None` once it is given up.
    go: Option<Sender<()>>,
    /// Ends when the work does.
    arrived: Receiver<()>,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Stepwise<T> {
    /// Begins, and stops before the first operation.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let ((tell, arrived), (go, wait)) = (channel(), channel());
        let thread = thread::Builder::new().name("stepwise".into()).spawn(move || {
            PASSAGE.set(Some(Passage { arrived: tell, go: wait }));
            let done = work();
            PASSAGE.set(None); // whoever waits for the next operation hears that there is none
            done
        })?;
        let begun = Self { go: Some(go), arrived, thread: Some(thread) };
        let _ = begun.arrived.recv();
        Ok(begun)
    }

    /// One operation further; what came of the work, once it is over.
    pub fn step(&mut self) -> Option<T> {
        if let Some(go) = &self.go {
            let _ = go.send(());
        }
        match self.arrived.recv() {
            Ok(()) => None,
            Err(_) => self.thread.take().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))),
        }
    }
}

impl<T> Drop for Stepwise<T> {
    /// The process ends: every further operation fails, and the thread with it.
    fn drop(&mut self) {
        self.go = None;
        while self.arrived.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
    }
}
