//! What Python sees: `tests/simulation/_native_sim.pyi` says what each part does.

pub mod disk;
pub mod engine;
pub mod inspect;
pub mod ledger;
mod settings;
pub mod venue;

use pyo3::create_exception;
use pyo3::exceptions::PyException;

create_exception!(_native_sim, EngineDied, PyException, "The engine's process has ended, here and now.");
create_exception!(_native_sim, OpenError, PyException, "The journal cannot be opened.");
