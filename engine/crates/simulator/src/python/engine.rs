//! `Engine`.

use super::disk::Disk;
use super::venue::Venue;
use super::{EngineDied, OpenError};
use crate::bugs::Bugs;
use crate::disk::SimDisk;
use crate::settings::{InstrumentText, Limits, Settings, instruments};
use crate::shell::{Path, Shell};
use bridge_core::Configuration;
use bridge_sequencer::{Durability, HealthStatus, Options, VenueKind};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As the server's.
const MAX_MESSAGE_BYTES: u32 = 4 << 20;

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
    Closed(Vec<(u64, Option<Vec<u8>>)>),
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (
        disk, *, now_ns, durability="always", venue=None, ack_timeout_ms=1_000, instruments=None,
        segment_bytes=262_144, update_history=100_000, max_skew_ms=10_000, retention_ms=604_800_000,
        foreign_id_quota=1_000_000, max_remembered_ids=5_000_000, max_batch_orders=1_000, max_in_flight=1_024,
        max_parked_outputs=200_000, max_waiting_calls=100_000, max_subscriptions=16, update_backlog=16_384,
        output_high_water_bytes=1_048_576, max_output_bytes=33_554_432, bugs=Vec::new(),
    ))]
    fn new(
        disk: &Disk,
        now_ns: i64,
        durability: &str,
        venue: Option<&Bound<'_, Venue>>,
        ack_timeout_ms: u64,
        instruments: Option<Vec<InstrumentText>>,
        segment_bytes: u64,
        update_history: u32,
        max_skew_ms: u64,
        retention_ms: u64,
        foreign_id_quota: u64,
        max_remembered_ids: u64,
        max_batch_orders: usize,
        max_in_flight: usize,
        max_parked_outputs: usize,
        max_waiting_calls: usize,
        max_subscriptions: usize,
        update_backlog: usize,
        output_high_water_bytes: usize,
        max_output_bytes: usize,
        bugs: Vec<String>,
    ) -> PyResult<Self> {
        let options = Options {
            durability: durability_named(durability)?,
            segment_bytes,
            max_batch_orders,
            max_parked_outputs,
            max_waiting_calls,
            venue: venue.map_or(VenueKind::Embedded, |_| VenueKind::External { ack_timeout_ms }),
            ..Options::default()
        };
        let configuration = Configuration {
            instruments: self::instruments(instruments).map_err(PyValueError::new_err)?,
            max_skew_ms,
            retention_ms,
            foreign_id_quota,
            max_remembered_ids,
            update_history,
            max_metadata_entries: 32,
            max_metadata_bytes: 256,
        };
        let limits = Limits {
            max_message_bytes: MAX_MESSAGE_BYTES,
            max_in_flight,
            max_subscriptions,
            update_backlog,
            output_high_water_bytes,
            max_output_bytes,
        };
        let bugs = Bugs::named(&bugs).map_err(PyValueError::new_err)?;
        let disk = disk.disk.clone();
        let opened = Shell::open(disk.clone(), Settings { options, configuration, limits }, bugs, now_ns);
        match opened {
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
        Ok(recovered)
    }

    #[getter]
    fn failed(&self) -> PyResult<Option<String>> {
        self.ask(|shell| shell.failed().map(str::to_owned))
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
        health.set_item("durability", crate::shell::durability_name(report.durability))?;
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

fn durability_named(name: &str) -> PyResult<Durability> {
    match name {
        "always" => Ok(Durability::Always),
        "os" => Ok(Durability::Os),
        other => Err(PyValueError::new_err(format!("durability {other:?} is neither \"always\" nor \"os\""))),
    }
}

fn status_name(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Serving => "SERVING",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::NotServing => "NOT_SERVING",
    }
}
