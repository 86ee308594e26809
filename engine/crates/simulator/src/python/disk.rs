//! `Disk`.

use crate::disk::SimDisk;
use bridge_journal::Disk as _;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use xxhash_rust::xxh3::Xxh3;

/// See `tests/simulation/_native_sim.pyi`.
#[pyclass(module = "_native_sim", frozen)]
pub struct Disk {
    pub disk: SimDisk,
}

#[pymethods]
impl Disk {
    #[new]
    fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(seed) }
    }

    fn kill(&self) -> Self {
        Self { disk: self.disk.kill() }
    }

    fn crash(&self) -> Self {
        Self { disk: self.disk.crash() }
    }

    fn set_capacity(&self, most_bytes: Option<u64>) {
        self.disk.fake().set_capacity(most_bytes.unwrap_or(u64::MAX));
    }

    fn fail_sync(&self, nth: u64) {
        self.disk.fake().fail_sync(nth);
    }

    fn fail_write(&self, nth: u64) {
        self.disk.fake().fail_write(nth);
    }

    fn die_after(&self, operations: u64) {
        self.disk.die_after(operations);
    }

    #[getter]
    fn is_dead(&self) -> bool {
        self.disk.is_dead()
    }

    #[getter]
    fn operations(&self) -> u64 {
        self.disk.operations()
    }

    #[getter]
    fn used_bytes(&self) -> PyResult<u64> {
        self.disk.used_bytes().map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn fingerprint(&self) -> PyResult<String> {
        let fake = self.disk.fake();
        let mut names = fake.list().map_err(|error| PyOSError::new_err(error.to_string()))?;
        names.sort_unstable();
        let mut hash = Xxh3::new();
        for name in names {
            let contents = fake.contents(&name).unwrap_or_default();
            hash.update(name.as_bytes());
            hash.update(&(contents.len() as u64).to_le_bytes());
            hash.update(&contents);
        }
        Ok(format!("{:032x}", hash.digest128()))
    }
}
