//! The exceptions of the contract, raised from here.

use crate::contract::contract;
use pyo3::create_exception;
use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

create_exception!(transport._native, ZmtpError, PyConnectionError, "A connection that cannot carry a message.");

/// `ValidationError(message, field=..., code=...)`; without a number the code is the exception's own default.
pub fn validation_error(py: Python<'_>, field: &str, problem: &str, code: Option<u16>) -> PyErr {
    let made = || -> PyResult<PyErr> {
        let contract = contract(py)?;
        let keywords = PyDict::new(py);
        keywords.set_item("field", field)?;
        if let Some(code) = code {
            keywords.set_item("code", contract.reason_code.member(py, code)?)?;
        }
        let message = format!("{field}: {problem}");
        Ok(PyErr::from_value(contract.validation_error.bind(py).call((message,), Some(&keywords))?))
    };
    made().unwrap_or_else(|error| error)
}

/// `WireDecodeError(message)`.
pub fn wire_decode_error(py: Python<'_>, message: &str) -> PyErr {
    let made =
        || -> PyResult<PyErr> { Ok(PyErr::from_value(contract(py)?.wire_decode_error.bind(py).call1((message,))?)) };
    made().unwrap_or_else(|error| error)
}

/// `ZmtpError(message)`.
pub fn zmtp_error(message: &str) -> PyErr {
    ZmtpError::new_err(message.to_owned())
}
