//! `_native_sim`: the true engine for the simulator (`make simulate`), on a disk and in a time that the schedule makes.
//!
//! `shell` is one process of the engine: what reactor and gRPC service do around the sequencer, without sockets,
//! threads and clocks. `disk` is the machine's disk, on which a process may die between any two operations. `venue` is
//! an exchange in another process. `bugs` plants faults in the seams between them, so that the simulator can be shown
//! to find them; the product's crates have none. `python` is what Python sees: `tests/simulation/_native_sim.pyi`.

mod bugs;
mod disk;
mod ledger;
mod python;
mod settings;
mod shell;
mod turnstile;
mod venue;

use pyo3::prelude::*;

/// See `tests/simulation/_native_sim.pyi`.
#[pymodule]
mod _native_sim {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("BUGS", crate::bugs::described(module.py())?)
    }

    #[pymodule_export]
    use crate::python::disk::Disk;
    #[pymodule_export]
    use crate::python::engine::Engine;
    #[pymodule_export]
    use crate::python::inspect::{dump, exchange_executions, verify};
    #[pymodule_export]
    use crate::python::ledger::{Execution, OpenOrder};
    #[pymodule_export]
    use crate::python::venue::Venue;
    #[pymodule_export]
    use crate::python::{EngineDied, OpenError};
}
