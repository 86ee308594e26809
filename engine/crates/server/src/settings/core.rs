//! One core of the machine, for a thread to stay on.

use crate::failure::Failure;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;

/// A core that this process may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Core(usize);

impl Core {
    /// The core of this number.
    ///
    /// # Errors
    /// There is none, or this process may not use it; says which there are.
    pub fn among_ours(number: usize) -> Result<Self, Failure> {
        let ours = sched_getaffinity(None)
            .map_err(|e| Failure::setup(format!("pin_core: cannot ask which cores there are: {e}")))?;
        let is_ours = |core: &usize| *core < CpuSet::MAX_CPU && ours.is_set(*core);
        if is_ours(&number) {
            return Ok(Self(number));
        }
        let there: Vec<String> = (0..CpuSet::MAX_CPU).filter(is_ours).map(|core| core.to_string()).collect();
        let there = there.join(", ");
        Err(Failure::setup(format!("pin_core: core {number} is none of those this process may use: {there}")))
    }

    /// Keeps the calling thread on this core. Threads that it starts later inherit that.
    ///
    /// # Errors
    /// The system refuses.
    pub fn keep_this_thread(self) -> io::Result<()> {
        let mut only = CpuSet::new();
        only.set(self.0);
        Ok(sched_setaffinity(None, &only)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_told_with_those_that_are() {
        let told = Core::among_ours(1_000_000).unwrap_err().to_string();
        assert!(told.contains("pin_core: core 1000000 is none of those this process may use: "), "{told}");
        let first: usize = told.rsplit(": ").next().unwrap().split(", ").next().unwrap().parse().unwrap();
        assert_eq!(Core::among_ours(first).unwrap(), Core(first));
    }

    #[test]
    fn a_thread_stays_on_its_core_and_the_others_do_not() {
        let before = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|core| before.is_set(*core)).unwrap();
        std::thread::spawn(move || {
            Core::among_ours(first).unwrap().keep_this_thread().unwrap();
            let kept = sched_getaffinity(None).unwrap();
            assert!(kept.count() == 1 && kept.is_set(first));
        })
        .join()
        .unwrap();
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}
