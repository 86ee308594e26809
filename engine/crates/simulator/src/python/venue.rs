//! `Venue`.

use super::ledger::{Execution, OpenOrder};
use crate::settings::{InstrumentText, instruments};
use crate::venue::ExternalVenue;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See `tests/simulation/_native_sim.pyi`.
#[pyclass(module = "_native_sim", frozen)]
pub struct Venue {
    venue: Mutex<ExternalVenue>,
}

impl Venue {
    fn venue(&self) -> MutexGuard<'_, ExternalVenue> {
        self.venue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Venue {
    #[new]
    #[pyo3(signature = (seed, *, instruments=None, refused_share=0.0))]
    fn new(seed: u64, instruments: Option<Vec<InstrumentText>>, refused_share: f64) -> PyResult<Self> {
        let instruments = self::instruments(instruments).map_err(PyValueError::new_err)?;
        Ok(Self { venue: Mutex::new(ExternalVenue::new(seed, instruments, refused_share)) })
    }

    fn receive(&self, message: &[u8]) -> PyResult<()> {
        self.venue().receive(message).map_err(PyValueError::new_err)
    }

    fn take_out<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.venue().take_out().iter().map(|message| PyBytes::new(py, message)).collect()
    }

    fn disconnected(&self) {
        self.venue().disconnected();
    }

    fn quote(&self, symbol: &str, bid: Option<(String, String)>, ask: Option<(String, String)>) -> PyResult<()> {
        let bid = bid.as_ref().map(|(price, size)| (price.as_str(), size.as_str()));
        let ask = ask.as_ref().map(|(price, size)| (price.as_str(), size.as_str()));
        self.venue().quote(symbol, bid, ask).map_err(PyValueError::new_err)
    }

    fn executions(&self) -> Vec<Execution> {
        self.venue().executions().iter().cloned().map(Execution::from).collect()
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        self.venue().open_orders().into_iter().map(OpenOrder::from).collect()
    }

    fn received(&self) -> Vec<(&'static str, String)> {
        self.venue().received().to_vec()
    }
}
