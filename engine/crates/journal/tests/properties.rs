//! What must hold whatever happens: an acknowledged record survives, whole and in order, and
//! nothing appears that was never appended. Random turns, syncs, faults, crashes and kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;

use bridge_journal::fake::FakeDisk;
use bridge_journal::{Disk, Durability, Error, Journal, Options, SyncJob};
use given::{Opened, try_open, try_read};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Append { bytes: usize },
    Write,
    StartSync,
    FinishSync,
    FailSync { nth: u64 },
    FailWrite { nth: u64 },
    FillDisk,
    EmptyDisk,
    Restart(Ending, InterruptedStart),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The machine loses its power.
    Crash,
    /// The process dies.
    Kill,
    /// The engine stops in order.
    Close,
}

/// Whether the first attempt to start meets a fault too, and ends the same way.
#[derive(Clone, Copy, Debug)]
enum InterruptedStart {
    No,
    AtSync(u64),
    AtWrite(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![3 => Just(Ending::Crash), 2 => Just(Ending::Kill), 1 => Just(Ending::Close)];
    let start = prop_oneof![
        3 => Just(InterruptedStart::No),
        1 => (1_u64..5).prop_map(InterruptedStart::AtSync),
        1 => (1_u64..4).prop_map(InterruptedStart::AtWrite),
    ];
    prop_oneof![
        20 => (0_usize..900).prop_map(|bytes| Step::Append { bytes }),
        10 => Just(Step::Append { bytes: 400 }),
        1 => (3000_usize..6000).prop_map(|bytes| Step::Append { bytes }),
        12 => Just(Step::Write),
        10 => Just(Step::StartSync),
        10 => Just(Step::FinishSync),
        1 => (1_u64..4).prop_map(|nth| Step::FailSync { nth }),
        1 => (1_u64..4).prop_map(|nth| Step::FailWrite { nth }),
        1 => Just(Step::FillDisk),
        1 => Just(Step::EmptyDisk),
        6 => (ending, start).prop_map(|(ending, start)| Step::Restart(ending, start)),
    ]
}

/// A journal on a fake disk, and beside it what must be true of it.
struct World {
    disk: FakeDisk,
    options: Options,
    journal: Option<Journal<FakeDisk>>,
    job: Option<SyncJob<FakeDisk>>,
    /// All that was appended since the beginning and not lost in a restart.
    appended: Vec<Vec<u8>>,
    /// Records that were acknowledged, and must survive a kill.
    acknowledged: u64,
    /// Records that must survive a power loss: in mode `Os` fewer.
    safe: u64,
    counter: u8,
}

impl World {
    fn new(seed: u64, durability: Durability) -> Self {
        let disk = FakeDisk::new(seed);
        let options = Options { durability, segment_bytes: 2048 };
        let journal = Some(try_open(disk.clone(), options).unwrap().journal);
        Self { disk, options, journal, job: None, appended: Vec::new(), acknowledged: 0, safe: 0, counter: 0 }
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for (index, step) in steps.iter().enumerate() {
            self.step(step).map_err(|what| format!("step {index} {step:?}: {what}"))?;
        }
        self.restart(Ending::Crash, InterruptedStart::No)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Append { bytes } => self.append(*bytes),
            Step::Write => {
                let _ = self.live().write();
            }
            Step::StartSync => {
                if self.job.is_none() {
                    self.job = self.live().sync_job();
                }
            }
            Step::FinishSync => self.finish_sync(),
            Step::FailSync { nth } => self.disk.fail_sync(*nth),
            Step::FailWrite { nth } => self.disk.fail_write(*nth),
            Step::FillDisk => self.disk.set_capacity(1),
            Step::EmptyDisk => self.disk.set_capacity(u64::MAX),
            Step::Restart(ending, start) => self.restart(*ending, *start)?,
        }
        let durable_seq = self.live().durable_seq();
        if durable_seq < self.acknowledged {
            return Err(format!("durable_seq went back from {} to {durable_seq}", self.acknowledged));
        }
        self.acknowledged = durable_seq;
        if self.options.durability == Durability::Always {
            self.safe = durable_seq;
        }
        Ok(())
    }

    fn live(&mut self) -> &mut Journal<FakeDisk> {
        self.journal.as_mut().unwrap()
    }

    fn append(&mut self, bytes: usize) {
        if self.live().reserve(bytes).is_err() {
            return; // a full disk or a failed journal: the engine refuses the request
        }
        self.counter = self.counter.wrapping_add(1);
        let payload: Vec<u8> = (0..bytes).map(|at| self.counter.wrapping_add(at as u8)).collect();
        if let Ok(seq) = self.live().append(&payload) {
            assert_eq!(seq, self.appended.len() as u64 + 1);
            self.appended.push(payload);
        }
    }

    fn finish_sync(&mut self) {
        if let Some(job) = self.job.take() {
            let through_seq = job.through_seq();
            let result = job.run();
            let succeeded = result.error().is_none();
            if self.live().synced(result).is_ok() && succeeded {
                self.safe = self.safe.max(through_seq);
            }
        }
    }

    fn restart(&mut self, ending: Ending, start: InterruptedStart) -> Result<(), String> {
        let journal = self.journal.take().unwrap();
        let survivors = match ending {
            Ending::Crash => self.safe,
            Ending::Kill => self.acknowledged,
            // A close that succeeds has synced everything.
            Ending::Close => journal.close().map_or(self.acknowledged, |()| self.appended.len() as u64),
        };
        self.job = None;
        self.disk = self.next_life(ending);
        self.disk.set_capacity(u64::MAX);
        let opened = self.start(ending, start).map_err(|error| error.to_string())?;
        self.check(&opened, survivors)?;
        self.appended.truncate(opened.records.len());
        (self.acknowledged, self.safe) = (opened.recovered.last_seq, opened.recovered.last_seq);
        self.journal = Some(opened.journal);
        Ok(())
    }

    fn next_life(&self, ending: Ending) -> FakeDisk {
        if ending == Ending::Crash { self.disk.crash() } else { self.disk.kill() }
    }

    fn start(&mut self, ending: Ending, start: InterruptedStart) -> Result<Opened<FakeDisk>, Error> {
        match start {
            InterruptedStart::No => {}
            InterruptedStart::AtSync(nth) => self.disk.fail_sync(nth),
            InterruptedStart::AtWrite(nth) => self.disk.fail_write(nth),
        }
        match try_open(self.disk.clone(), self.options) {
            Err(Error::Io { .. }) => {
                self.disk = self.next_life(ending);
                try_open(self.disk.clone(), self.options)
            }
            result => result,
        }
    }

    fn check(&self, opened: &Opened<FakeDisk>, survivors: u64) -> Result<(), String> {
        let found = opened.records.len() as u64;
        if found < survivors {
            return Err(format!("{survivors} records had to survive, {found} did"));
        }
        if found > self.appended.len() as u64 {
            return Err(format!("{found} records were found, {} appended", self.appended.len()));
        }
        for (record, appended) in opened.records.iter().zip(&self.appended) {
            if record.payload != *appended {
                return Err(format!("record {} is not what was appended", record.seq));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_acknowledged_record_survives_in_order_and_whole(
        seed: u64, os: bool, steps in prop::collection::vec(any_step(), 1..150)
    ) {
        let durability = if os { Durability::Os } else { Durability::Always };
        if let Err(what) = World::new(seed, durability).run(&steps) {
            prop_assert!(false, "{what}");
        }
    }

    #[test]
    fn damage_of_a_record_that_was_durable_is_always_found_where_it_is(
        seed: u64,
        sizes in prop::collection::vec(0_usize..600, 2..40),
        record: prop::sample::Index, byte: prop::sample::Index, bit in 0_u8..8,
    ) {
        let options = Options { durability: Durability::Always, segment_bytes: 2048 };
        let disk = FakeDisk::new(seed);
        let mut journal = try_open(disk.clone(), options).unwrap().journal;
        for bytes in &sizes {
            given::turn(&mut journal, &[&vec![seed as u8; *bytes]]);
        }
        let (_, records) = try_read(&disk).unwrap();
        // Nothing was written after the last record: nothing tells its damage from a torn tail.
        let damaged = &records[record.index(records.len() - 1)];
        let at = byte.index((32 + damaged.payload.len()).next_multiple_of(8)) as u64;
        prop_assert!(disk.corrupt(&damaged.file, damaged.offset + at, 1 << bit));
        match try_open(disk.kill(), options) {
            Err(Error::Damaged { file, offset, .. }) => {
                prop_assert_eq!((&file, offset), (&damaged.file, damaged.offset));
            }
            other => prop_assert!(false, "not found: {:?}", other.err()),
        }
    }

    #[test]
    fn garbage_in_place_of_segments_is_an_error_or_a_tail_and_never_a_panic(
        garbage in prop::collection::vec(any::<u8>(), 0..3000), keeps_header: bool,
    ) {
        let disk = FakeDisk::new(7);
        drop(try_open(disk.clone(), given::small(Durability::Always)).unwrap());
        let file = disk.open(given::FIRST_SEGMENT).unwrap();
        let from = if keeps_header { 64 } else { 0 };
        bridge_journal::DiskFile::write_at(&file, &garbage, from).unwrap();
        if let Ok((summary, records)) = try_read(&disk) {
            prop_assert_eq!((summary.records, records.len()), (0, 0));
        }
    }
}

/// The property must be able to fail: on a disk whose syncs do nothing, acknowledged records get
/// lost, and the very same check says so.
#[test]
fn without_the_sync_an_acknowledged_record_is_lost() {
    let lost = (0..50).filter(|seed| {
        let mut world = World::new(*seed, Durability::Always);
        world.disk.ignore_syncs(true);
        let one_turn = [Step::Append { bytes: 1000 }, Step::Write, Step::StartSync, Step::FinishSync];
        let outcome = world.run(&one_turn.repeat(3));
        outcome.is_err_and(|what| what.contains("had to survive") || what.contains("damaged"))
    });
    assert!(lost.count() > 25);
}
