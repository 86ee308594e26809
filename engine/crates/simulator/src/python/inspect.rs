//! `dump`, `verify`, `exchange_executions`: a journal read from its disk.

use super::disk::Disk;
use super::ledger::Execution;
use crate::ledger::executions_in;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::Value;

/// The records, as `execution-engine dump` shows them.
///
/// # Errors
/// The journal cannot be read.
#[pyfunction]
pub fn dump<'py>(py: Python<'py>, disk: &Disk) -> PyResult<Bound<'py, PyList>> {
    let records = PyList::empty(py);
    for record in read(disk)? {
        records.append(to_python(py, &record)?)?;
    }
    Ok(records)
}

/// Executes the journal again and compares.
///
/// # Errors
/// It differs, or cannot be read.
#[pyfunction]
pub fn verify<'py>(py: Python<'py>, disk: &Disk) -> PyResult<Bound<'py, PyDict>> {
    let report =
        bridge_sequencer::verify(&disk.disk.chain()).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let verified = PyDict::new(py);
    verified.set_item("journal_id", report.journal_id.to_string())?;
    verified.set_item("records", report.records)?;
    verified.set_item("first_seq", report.first_seq)?;
    verified.set_item("last_seq", report.last_seq)?;
    verified.set_item("cut_bytes", report.cut_bytes)?;
    verified.set_item("state_hash", format!("{:032x}", report.state_hash))?;
    Ok(verified)
}

/// What the embedded exchange of a journal has done.
///
/// # Errors
/// The journal cannot be read.
#[pyfunction]
pub fn exchange_executions(disk: &Disk) -> PyResult<Vec<Execution>> {
    let records = read(disk)?;
    Ok(records.iter().flat_map(executions_in).map(Execution::from).collect())
}

fn read(disk: &Disk) -> PyResult<Vec<Value>> {
    let mut records = Vec::new();
    let read = bridge_sequencer::dump(&disk.disk.chain(), |record| records.push(record));
    read.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(records)
}

fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(value) => Ok(value.into_pyobject(py)?.to_owned().into_any()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Ok(value.into_pyobject(py)?.into_any()),
            (None, Some(value)) => Ok(value.into_pyobject(py)?.into_any()),
            (None, None) => Ok(number.as_f64().into_pyobject(py)?),
        },
        Value::String(text) => Ok(text.into_pyobject(py)?.into_any()),
        Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(to_python(py, value)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, to_python(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}
