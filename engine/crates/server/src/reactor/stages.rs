//! `--stage-times FILE`: when each ExecuteOrder of the fast path passed which stage, for benchmarks of where the time
//! goes (docs/benchmarks.md). Without the option it costs a branch per stage.

use super::slab::Key;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// Orders that are remembered; older ones are overwritten. 10 MiB.
const RING: usize = 1 << 17;

/// An order's place in the ring; part of its waiter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(usize);

/// One order's times: CLOCK_MONOTONIC nanoseconds, Python's `time.monotonic_ns`. 0: it never came so far.
#[derive(Clone, Copy, Default)]
struct Times {
    correlation: u64,
    readable: u64,
    read: u64,
    decoded: u64,
    applied: u64,
    journaled: u64,
    encoded: u64,
    sent: u64,
}

/// The recorder, or nothing.
#[derive(Default)]
pub struct Stages(Option<Box<Recorder>>);

struct Recorder {
    path: PathBuf,
    ring: Vec<Times>,
    recorded: usize,
    /// Of what is being read and decoded.
    current: Times,
    /// When records last became durable.
    journaled: u64,
    /// Replies that are encoded and not written.
    unsent: Vec<(Key, Slot)>,
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither is negative: the clock counts from the start of the machine.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Stages {
    /// Records where a path is given; the file is made now, so that a bad path is told at the start.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        File::create(path)?;
        Ok(Self(Some(Box::new(Recorder {
            path: path.to_owned(),
            ring: vec![Times::default(); RING],
            recorded: 0,
            current: Times::default(),
            journaled: 0,
            unsent: Vec::with_capacity(RING),
        }))))
    }

    /// Something can be read, or is about to be looked for.
    #[inline]
    pub fn readable(&mut self) {
        if let Self(Some(recorder)) = self {
            recorder.current.readable = now_ns();
        }
    }

    /// It was read.
    #[inline]
    pub fn read(&mut self) {
        if let Self(Some(recorder)) = self {
            recorder.current.read = now_ns();
        }
    }

    /// A message of it was decoded.
    #[inline]
    pub fn decoded(&mut self) {
        if let Self(Some(recorder)) = self {
            recorder.current.decoded = now_ns();
        }
    }

    /// An order gets its place, before it is applied.
    #[inline]
    pub fn begin(&mut self, correlation: u64) -> Option<Slot> {
        let recorder = self.0.as_deref_mut()?;
        let slot = Slot(recorder.recorded % RING);
        recorder.recorded += 1;
        recorder.ring[slot.0] = Times { correlation, ..recorder.current };
        Some(slot)
    }

    /// It was applied.
    #[inline]
    pub fn applied(&mut self, slot: Option<Slot>) {
        if let (Self(Some(recorder)), Some(Slot(index))) = (self, slot) {
            recorder.ring[index].applied = now_ns();
        }
    }

    /// Records have become durable.
    #[inline]
    pub fn journaled(&mut self) {
        if let Self(Some(recorder)) = self {
            recorder.journaled = now_ns();
        }
    }

    /// The reply to it lies in the output of `peer`.
    #[inline]
    pub fn encoded(&mut self, slot: Option<Slot>, peer: Key) {
        if let (Self(Some(recorder)), Some(Slot(index))) = (self, slot) {
            recorder.ring[index].journaled = recorder.journaled;
            recorder.ring[index].encoded = now_ns();
            if recorder.unsent.len() < RING {
                recorder.unsent.push((peer, Slot(index)));
            }
        }
    }

    /// The output of `peer` was written.
    #[inline]
    pub fn sent(&mut self, peer: Key) {
        if let Self(Some(recorder)) = self
            && !recorder.unsent.is_empty()
        {
            let (now, ring) = (now_ns(), &mut recorder.ring);
            recorder.unsent.retain(|(to, Slot(index))| {
                if *to == peer {
                    ring[*index].sent = now;
                }
                *to != peer
            });
        }
    }

    /// Writes what was recorded, the oldest first: one JSON line per order.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&self) -> io::Result<()> {
        let Self(Some(recorder)) = self else { return Ok(()) };
        let mut file = BufWriter::new(File::create(&recorder.path)?);
        let first = recorder.recorded.saturating_sub(RING);
        for times in (first..recorder.recorded).map(|number| &recorder.ring[number % RING]) {
            let line = json!({
                "correlation": times.correlation,
                "t_readable": times.readable,
                "t_read": times.read,
                "t_decoded": times.decoded,
                "t_applied": times.applied,
                "t_journaled": times.journaled,
                "t_encoded": times.encoded,
                "t_sent": times.sent,
            });
            writeln!(file, "{line}")?;
        }
        file.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reactor::slab::Slab;

    #[test]
    fn the_stages_of_an_order_are_written_in_their_order_and_replies_of_others_stay_unsent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stages.jsonl");
        let mut stages = Stages::new(Some(&path)).unwrap();
        let mut peers = Slab::new();
        let (one, other) = (peers.insert(()), peers.insert(()));
        for (correlation, peer) in [(7, one), (8, other)] {
            stages.readable();
            stages.read();
            stages.decoded();
            let slot = stages.begin(correlation);
            stages.applied(slot);
            stages.journaled();
            stages.encoded(slot, peer);
        }
        stages.sent(one);
        stages.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let time = |line: usize, name: &str| lines[line][name].as_u64().unwrap();
        assert_eq!((time(0, "correlation"), time(1, "correlation"), time(1, "t_sent")), (7, 8, 0));
        let names = ["t_readable", "t_read", "t_decoded", "t_applied", "t_journaled", "t_encoded", "t_sent"];
        assert!(names.windows(2).all(|pair| 0 < time(0, pair[0]) && time(0, pair[0]) <= time(0, pair[1])));
    }

    #[test]
    fn a_path_that_cannot_be_written_is_told_at_once_and_no_path_records_nothing() {
        assert!(Stages::new(Some(Path::new("/nowhere/at/all"))).is_err());
        let mut none = Stages::default();
        assert_eq!(none.begin(1), None);
        none.finish().unwrap();
    }
}
