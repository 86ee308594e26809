//! `Engine`.

use super::disk::Disk;
use super::settings::settings_from;
use super::venue::Venue;
use super::{EngineDied, OpenError};
use crate::bugs::Bugs;
use crate::disk::SimDisk;
use crate::shell::{Path, Said, Shell};
use bridge_sequencer::HealthStatus;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Outputs<'py> = Vec<(u64, Option<Bound<'py, PyBytes>>)>;

/// See `tests/simulation/_native_sim.pyi`.
#[pyclass(module = "_native_sim", frozen)]
pub struct Engine {
    disk: SimDisk,
    state: Mutex<State>,
}

/// A process, or what is left of it.
enum State {
    Alive(Box<Shell>),
    /// It ended in order; what its clients hear last.
    Closed(Said),
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (disk, *, now_ns, venue=None, bugs=None, **settings))]
    fn new(
        disk: &Disk,
        now_ns: i64,
        venue: Option<&Bound<'_, Venue>>,
        bugs: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings = settings_from(settings, venue.is_some())?;
        let names = bugs.into_iter().map(PyAnyMethods::try_iter).collect::<PyResult<Vec<_>>>()?;
        let names = names.into_iter().flatten().map(|name| name?.extract()).collect::<PyResult<Vec<String>>>()?;
        let bugs = Bugs::named(&names).map_err(PyValueError::new_err)?;
        let disk = disk.disk.clone();
        match Shell::open(disk.clone(), settings, bugs, now_ns) {
            _ if disk.is_dead() => Err(died()),
            Ok(shell) => Ok(Self { disk, state: Mutex::new(State::Alive(Box::new(shell))) }),
            Err(error) => Err(OpenError::new_err(error.to_string())),
        }
    }

    #[getter]
    fn journal_id(&self) -> PyResult<String> {
        self.ask(|shell| shell.journal_id().to_owned())
    }

    #[getter]
    fn epoch(&self) -> PyResult<u64> {
        self.ask(|shell| shell.epoch())
    }

    #[getter]
    fn recovered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let opened = self.ask(|shell| shell.opened().clone())?;
        let recovered = PyDict::new(py);
        recovered.set_item("records", opened.records)?;
        recovered.set_item("cut_bytes", opened.cut_bytes)?;
        recovered.set_item("last_seq", opened.last_seq)?;
        recovered.set_item("snapshot_seq", opened.snapshot_seq)?;
        recovered.set_item("unusable_snapshots", opened.unusable_snapshots)?;
        Ok(recovered)
    }

    #[getter]
    fn failed(&self) -> PyResult<Option<String>> {
        self.ask(|shell| shell.failed().map(str::to_owned))
    }

    #[getter]
    fn last_seq(&self) -> PyResult<u64> {
        self.ask(|shell| shell.last_seq())
    }

    #[pyo3(signature = (account="default"))]
    fn last_sequence(&self, account: &str) -> PyResult<u64> {
        self.ask(|shell| shell.last_sequence(account))
    }

    fn connect(&self, path: &str, session_id: &str, now_ns: i64) -> PyResult<u64> {
        let _ = now_ns;
        let path = match path {
            "zmq" => Path::Zmq,
            "grpc" => Path::Grpc,
            other => return Err(PyValueError::new_err(format!("path {other:?} is neither \"zmq\" nor \"grpc\""))),
        };
        self.ask(|shell| shell.connect(path, session_id))
    }

    fn disconnect(&self, connection: u64, now_ns: i64) -> PyResult<()> {
        let _ = now_ns;
        self.ask(|shell| shell.disconnect(connection))
    }

    fn receive(&self, connection: u64, message: &[u8], now_ns: i64) -> PyResult<()> {
        self.ask(|shell| shell.receive(connection, message, now_ns))
    }

    fn set_reading(&self, connection: u64, reading: bool) -> PyResult<()> {
        self.ask(|shell| shell.set_reading(connection, reading))
    }

    fn take_outputs<'py>(&self, py: Python<'py>) -> PyResult<Outputs<'py>> {
        let taken = match &mut *self.state() {
            State::Alive(shell) => self.unless_dead(shell.take_outputs())?,
            State::Closed(last) => std::mem::take(last),
        };
        let in_python = |(to, message): (u64, Option<Vec<u8>>)| (to, message.map(|bytes| PyBytes::new(py, &bytes)));
        Ok(taken.into_iter().map(in_python).collect())
    }

    fn end_turn(&self, now_ns: i64) -> PyResult<bool> {
        self.ask(|shell| shell.end_turn(now_ns))
    }

    fn sync_done(&self, now_ns: i64) -> PyResult<bool> {
        self.ask(|shell| shell.sync_done(now_ns))
    }

    fn next_deadline_ns(&self) -> PyResult<Option<i64>> {
        self.ask(|shell| shell.next_deadline())
    }

    fn on_time(&self, now_ns: i64) -> PyResult<()> {
        self.ask(|shell| shell.on_time(now_ns))
    }

    fn next_lease_deadline_ns(&self, monotonic_ns: i64) -> PyResult<Option<i64>> {
        self.ask(|shell| shell.next_lease_deadline(monotonic_ns))
    }

    fn expire_leases(&self, monotonic_ns: i64, now_ns: i64) -> PyResult<()> {
        self.ask(|shell| shell.expire_leases(monotonic_ns, now_ns))
    }

    fn begin_snapshot(&self) -> PyResult<bool> {
        self.ask(Shell::begin_snapshot)
    }

    fn step_snapshot<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(made) = self.ask(Shell::step_snapshot)? else { return Ok(None) };
        let told = PyDict::new(py);
        told.set_item("seq", made.as_ref().map_or(0, |snapshot| snapshot.seq))?;
        told.set_item("archived_segments", made.as_ref().map_or(0, |snapshot| snapshot.archived_segments))?;
        told.set_item("problem", made.err())?;
        Ok(Some(told))
    }

    fn venue_connected(&self, now_ns: i64) -> PyResult<()> {
        let _ = now_ns;
        self.ask(Shell::venue_connected)
    }

    fn venue_disconnected(&self) -> PyResult<()> {
        self.ask(Shell::venue_disconnected)
    }

    fn venue_out<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let out = self.ask(Shell::venue_out)?;
        Ok(out.iter().map(|message| PyBytes::new(py, message)).collect())
    }

    fn venue_in(&self, message: &[u8], now_ns: i64) -> PyResult<bool> {
        self.ask(|shell| shell.venue_in(message, now_ns))?.map_err(PyValueError::new_err)
    }

    fn begin_drain(&self, now_ns: i64) -> PyResult<()> {
        let _ = now_ns;
        self.ask(Shell::begin_drain)
    }

    fn close(&self, now_ns: i64) -> PyResult<()> {
        let _ = now_ns;
        let mut state = self.state();
        let before = std::mem::replace(&mut *state, State::Closed(Vec::new()));
        let State::Alive(shell) = before else { return Err(ended()) };
        let closed = shell.close();
        *state = State::Closed(self.unless_dead(closed)?.map_err(PyRuntimeError::new_err)?);
        Ok(())
    }

    fn health<'py>(&self, py: Python<'py>, now_ns: i64) -> PyResult<Bound<'py, PyDict>> {
        let report = self.ask(|shell| shell.health(now_ns))?;
        let counters = PyDict::new(py);
        for (name, value) in report.counters {
            counters.set_item(name, value)?;
        }
        let health = PyDict::new(py);
        health.set_item("status", status_name(report.status))?;
        health.set_item("message", report.message)?;
        health.set_item("journal_id", report.journal_id)?;
        health.set_item("epoch", report.epoch)?;
        health.set_item("journal_seq", report.journal_seq)?;
        health.set_item("state_hash", format!("{:032x}", report.state_hash))?;
        health.set_item("durability", report.durability.name())?;
        health.set_item("duplicates", report.duplicates)?;
        health.set_item("counters", counters)?;
        Ok(health)
    }
}

impl Engine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the process, if it lives before and after.
    fn ask<T>(&self, ask: impl FnOnce(&mut Shell) -> T) -> PyResult<T> {
        self.unless_dead(())?;
        match &mut *self.state() {
            State::Alive(shell) => self.unless_dead(ask(shell)),
            State::Closed(_) => Err(ended()),
        }
    }

    fn unless_dead<T>(&self, answer: T) -> PyResult<T> {
        if self.disk.is_dead() { Err(died()) } else { Ok(answer) }
    }
}

fn died() -> PyErr {
    EngineDied::new_err("the engine died in an operation of its disk")
}

fn ended() -> PyErr {
    PyRuntimeError::new_err("the engine was closed")
}

fn status_name(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Serving => "SERVING",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::NotServing => "NOT_SERVING",
    }
}
