//! epoll, level-triggered, and the eventfd by which other threads wake the reactor.

use super::slab::Key;
use crate::grpc::Worth;
use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    fd::{AsFd, OwnedFd},
    io::Errno,
};
use std::{
    io,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Whose readiness an event reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Another thread has something for the reactor.
    Waker,
    /// A listener, by its index.
    Listener(u32),
    /// The link to an external venue.
    Venue,
    /// A connection.
    Peer(Key),
}

/// Generations of slab keys start at 1, so the upper half 0 is free for the sources that are no peers.
const WAKER: u64 = 0;
const VENUE: u64 = 1;
const FIRST_LISTENER: u64 = 2;

impl Source {
    fn to_u64(self) -> u64 {
        match self {
            Self::Waker => WAKER,
            Self::Venue => VENUE,
            Self::Listener(index) => FIRST_LISTENER + u64::from(index),
            Self::Peer(key) => key.to_u64(),
        }
    }

    fn from_u64(value: u64) -> Self {
        match value {
            WAKER => Self::Waker,
            VENUE => Self::Venue,
            value if value >> 32 == 0 => Self::Listener((value - FIRST_LISTENER) as u32),
            value => Self::Peer(Key::from_u64(value)),
        }
    }
}

/// What a source is ready for. Errors and hang-ups count as both: the read or write that follows names them.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Who.
    pub source: Source,
    /// Something can be read, or the end has come.
    pub readable: bool,
    /// Something can be written, or the end has come.
    pub writable: bool,
}

impl Ready {
    /// Another thread has something, and did not have to ring for it.
    pub const WAKER: Self = Self { source: Source::Waker, readable: false, writable: false };
}

/// What to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// Tell when it can be read.
    pub read: bool,
    /// Tell when it can be written.
    pub write: bool,
}

impl Interest {
    /// Reading only.
    pub const READ: Self = Self { read: true, write: false };

    fn flags(self) -> epoll::EventFlags {
        let read =
            if self.read { epoll::EventFlags::IN | epoll::EventFlags::RDHUP } else { epoll::EventFlags::empty() };
        let write = if self.write { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        read | write
    }
}

/// At most this many events are taken per turn; the rest stay ready.
const EVENTS_PER_TURN: usize = 256;

/// The reactor's epoll.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// A poller that watches the waker.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let poller = Self { epoll, events: Vec::with_capacity(EVENTS_PER_TURN) };
        poller.add(&waker.event, Source::Waker, Interest::READ)?;
        Ok(poller)
    }

    /// Watches a descriptor.
    ///
    /// # Errors
    /// The system refuses.
    pub fn add(&self, fd: impl AsFd, source: Source, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(source.to_u64()), interest.flags())?)
    }

    /// Changes what is watched for.
    ///
    /// # Errors
    /// The system refuses.
    pub fn modify(&self, fd: impl AsFd, source: Source, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(source.to_u64()), interest.flags())?)
    }

    /// Watches no longer. A descriptor that is closed need not be removed.
    pub fn remove(&self, fd: impl AsFd) {
        // Fails only where it was not watched.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or the time is over, and appends what is ready to `ready`.
    ///
    /// # Errors
    /// epoll itself failed.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in &self.events {
            let (flags, data) = (event.flags, event.data);
            let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            ready.push(Ready {
                source: Source::from_u64(data.u64()),
                readable: broken || flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP),
                writable: broken || flags.intersects(epoll::EventFlags::OUT),
            });
        }
        Ok(())
    }
}

/// Wakes the reactor from another thread. It costs a system call where the reactor sleeps, and then only the first time.
#[derive(Clone)]
pub struct Waker {
    event: Arc<OwnedFd>,
    pending: Arc<AtomicBool>,
    expected: Arc<AtomicBool>,
    /// Whether what was expected came in time, lately.
    pub expecting: Arc<Worth>,
    /// The reactor sleeps, or is about to: it has to be rung for.
    asleep: Arc<AtomicBool>,
}

impl Waker {
    /// A waker of its own eventfd.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            event: Arc::new(event),
            pending: Arc::default(),
            asleep: Arc::default(),
            expected: Arc::default(),
            expecting: Arc::default(),
        })
    }

    /// Makes the reactor look at its queues.
    pub fn wake(&self) {
        // Both flags are set before the other is read, here and in `fall_asleep`: one of the two sees the other's.
        if !self.pending.swap(true, Ordering::SeqCst) && self.asleep.load(Ordering::SeqCst) {
            // Fails only when the counter is full, and then the reactor is awake anyway.
            let _ = rustix::io::write(&*self.event, &1u64.to_ne_bytes());
        }
    }

    /// Wakes the reactor for what is about to come, if it is worth it.
    pub fn expect(&self) {
        if self.expecting.is_given() {
            self.expected.store(true, Ordering::Release);
            self.wake();
        }
    }

    /// Called by the reactor before it looks: whoever wakes it from now on is seen in the next turn.
    /// `rung`: epoll has said so. Whether
    /// something is expected.
    pub fn acknowledge(&self, rung: bool) -> bool {
        if rung {
            let mut count = [0u8; 8];
            // Nothing to read is fine: it was read in an earlier turn.
            let _ = rustix::io::read(&*self.event, &mut count);
        }
        // A swap, not a store: it must see what was queued before the flag was set.
        self.pending.swap(false, Ordering::SeqCst);
        self.expected.swap(false, Ordering::AcqRel)
    }

    /// Whether somebody has called since the last [`Waker::acknowledge`].
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whether the reactor may sleep: from now on it is rung for. False: somebody has called before, and did not ring.
    pub fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.pending.load(Ordering::SeqCst)
    }

    /// The reactor is awake.
    pub fn wake_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
