//! `Execution` and `OpenOrder`: what a checker compares.

use crate::ledger;
use pyo3::prelude::*;

/// See `tests/simulation/_native_sim.pyi`.
#[pyclass(module = "_native_sim", frozen, eq, get_all)]
#[derive(PartialEq)]
pub struct Execution {
    order_id: String,
    execution_id: u64,
    side: &'static str,
    quantity: String,
    price: String,
}

#[pymethods]
impl Execution {
    fn __repr__(&self) -> String {
        let Self { order_id, execution_id, side, quantity, price } = self;
        format!("Execution({order_id} {side} {quantity} at {price}, {execution_id})")
    }
}

impl From<ledger::Execution> for Execution {
    fn from(from: ledger::Execution) -> Self {
        let ledger::Execution { order_id, execution_id, side, quantity, price } = from;
        Self { order_id, execution_id, side, quantity, price }
    }
}

/// See `tests/simulation/_native_sim.pyi`.
#[pyclass(module = "_native_sim", frozen, eq, get_all)]
#[derive(PartialEq)]
pub struct OpenOrder {
    order_id: String,
    side: &'static str,
    quantity: String,
    executed: String,
    price: Option<String>,
}

#[pymethods]
impl OpenOrder {
    fn __repr__(&self) -> String {
        let Self { order_id, side, quantity, executed, price } = self;
        let price = price.as_deref().unwrap_or("market");
        format!("OpenOrder({order_id} {side} {executed} of {quantity} at {price})")
    }
}

impl From<ledger::OpenOrder> for OpenOrder {
    fn from(from: ledger::OpenOrder) -> Self {
        let ledger::OpenOrder { order_id, side, quantity, executed, price } = from;
        Self { order_id, side, quantity, executed, price }
    }
}
