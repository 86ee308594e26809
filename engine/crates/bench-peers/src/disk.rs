//! What durability costs on this disk, each part alone: write into preallocated space, fdatasync after it, and one
//! hand-over to a thread and back with the primitives of the engine's sync thread (a channel there; a channel, a flag
//! and an eventfd back).

use crate::Failure;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    fd::OwnedFd,
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// On the disk in question; a file is made there and removed again.
    #[arg(long)]
    dir: PathBuf,
    /// Bytes of a record.
    #[arg(long, default_value_t = 512)]
    record_bytes: usize,
    /// How many times each part is measured.
    #[arg(long, default_value_t = 2000)]
    rounds: usize,
    /// How long the receiving side looks for the result without sleeping, as the reactor's `--spin-us`.
    #[arg(long, default_value_t = 200)]
    spin_us: u64,
    /// Print every duration as well, in the order of measuring, in nanoseconds.
    #[arg(long)]
    samples: bool,
}

const WARM_UP_ROUNDS: usize = 100;
const FILE_NAME: &str = "bench-peers.disk";

/// Measures, and prints one JSON object: medians and 99th percentiles in microseconds.
///
/// # Errors
/// The disk refuses, or the system gives no thread.
pub fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.dir.join(FILE_NAME);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let measured = write_and_sync(&file, arguments);
    // Without the space it cannot be measured, and the next run truncates what was left.
    std::fs::remove_file(&path)?;
    let (mut write, mut sync, mut both) = measured?;
    let spin = Duration::from_micros(arguments.spin_us);
    let mut spinning = hand_overs(spin, arguments.rounds)?;
    let mut sleeping = hand_overs(Duration::ZERO, arguments.rounds)?;
    let samples = arguments
        .samples
        .then(|| serde_json::json!({"write": in_ns(&write), "fdatasync": in_ns(&sync), "hand_over": in_ns(&spinning)}));
    println!(
        "{}",
        serde_json::json!({
            "samples_ns": samples,
            "record_bytes": arguments.record_bytes,
            "rounds": arguments.rounds,
            "spin_us": arguments.spin_us,
            "write_us": summary(&mut write),
            "fdatasync_us": summary(&mut sync),
            "write_and_fdatasync_us": summary(&mut both),
            "hand_over_us": summary(&mut spinning),
            "hand_over_sleeping_us": summary(&mut sleeping),
        })
    );
    Ok(())
}

fn in_ns(durations: &[Duration]) -> Vec<u128> {
    durations.iter().map(Duration::as_nanos).collect()
}

fn summary(durations: &mut [Duration]) -> serde_json::Value {
    durations.sort_unstable();
    serde_json::json!({"p50": percentile_us(durations, 50), "p99": percentile_us(durations, 99)})
}

/// Nearest rank, of what is sorted; 0 of nothing.
fn percentile_us(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |found| found.as_nanos() as f64 / 1e3)
}

type Durations = Vec<Duration>;

fn write_and_sync(file: &File, arguments: &Arguments) -> Result<(Durations, Durations, Durations), Failure> {
    let rounds = arguments.rounds + WARM_UP_ROUNDS;
    let record = vec![0x5A; arguments.record_bytes];
    reserve(file, (rounds * record.len()) as u64)?;
    let (mut writes, mut syncs, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let began = Instant::now();
        file.write_all_at(&record, (round * record.len()) as u64)?;
        let written = Instant::now();
        file.sync_data()?;
        let synced = Instant::now();
        if round >= WARM_UP_ROUNDS {
            writes.push(written - began);
            syncs.push(synced - written);
            both.push(synced - began);
        }
    }
    Ok((writes, syncs, both))
}

/// As a new segment of the journal: allocated, and its size durable before the first record.
fn reserve(file: &File, bytes: u64) -> Result<(), Failure> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP) => file.set_len(bytes)?,
        Err(errno) => return Err(errno.into()),
    }
    Ok(file.sync_all()?)
}

/// The way of a sync job without its sync: by a channel to a thread, and its result back by another, with a wake-up
/// through an eventfd.
fn hand_overs(spin: Duration, rounds: usize) -> Result<Durations, Failure> {
    let (jobs, queue) = channel::<Instant>();
    let (finished, results) = channel();
    let bell = Bell::new()?;
    let ringing = bell.clone();
    let worker = thread::Builder::new().name("journal-sync".into()).spawn(move || work(&queue, &finished, &ringing))?;
    let mut durations = Vec::with_capacity(rounds);
    for round in 0..rounds + WARM_UP_ROUNDS {
        let began = Instant::now();
        jobs.send(began)?;
        wait_for(&results, &bell, spin)?;
        if round >= WARM_UP_ROUNDS {
            durations.push(began.elapsed());
        }
        pause(spin);
    }
    drop(jobs);
    worker.join().map_err(|_| "the thread that was handed the jobs failed")?;
    Ok(durations)
}

/// Between two jobs the engine's sync thread falls asleep, while the reactor stays awake where it spins; so here.
fn pause(spin: Duration) {
    const PAUSE: Duration = Duration::from_micros(50);
    if spin.is_zero() {
        return thread::sleep(PAUSE);
    }
    let began = Instant::now();
    while began.elapsed() < PAUSE {
        std::hint::spin_loop();
    }
}

fn work(queue: &Receiver<Instant>, finished: &Sender<Instant>, bell: &Bell) {
    for job in queue {
        if finished.send(job).is_err() {
            return;
        }
        bell.ring();
    }
}

/// Looks at the descriptor as the reactor does (a poll of no time while it spins), then at the queue.
fn wait_for(results: &Receiver<Instant>, bell: &Bell, spin: Duration) -> Result<(), Failure> {
    let awake_until = Instant::now() + spin;
    loop {
        let asleep = spin.is_zero() || Instant::now() >= awake_until;
        bell.wait(if asleep { None } else { Some(Duration::ZERO) })?;
        if results.try_recv().is_ok() {
            return Ok(());
        }
    }
}

/// As the reactor's waker: a flag, so that many rings cost one system call, and an eventfd.
#[derive(Clone)]
struct Bell {
    event: Arc<OwnedFd>,
    pending: Arc<AtomicBool>,
}

impl Bell {
    fn new() -> Result<Self, Failure> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event: Arc::new(event), pending: Arc::new(AtomicBool::new(false)) })
    }

    fn ring(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the other side is awake anyway.
            let _ = rustix::io::write(&*self.event, &1u64.to_ne_bytes());
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), Failure> {
        let timeout = timeout.map(|_| rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&*self.event, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let _ = rustix::io::read(&*self.event, &mut [0u8; 8]);
        self.pending.swap(false, Ordering::AcqRel);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::percentile_us;
    use std::time::Duration;

    #[test]
    fn a_percentile_is_the_value_of_its_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!((percentile_us(&sorted, 50), percentile_us(&sorted, 99)), (100.0, 198.0));
        assert_eq!((percentile_us(&sorted[..1], 99), percentile_us(&[], 50)), (1.0, 0.0));
    }
}
