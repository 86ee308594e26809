//! `transport._native`: the fast path's codec and carriers for Python, on the engine's own wire crate.
//!
//! Its functions are those of the codec's seam `transport/wire/codec.py`, by name and meaning; the pure Python codec
//! (`transport/wire/portable.py`) is its oracle in tests.

mod bell;
mod connection;
mod contract;
mod dealer;
mod decimals;
mod decode;
mod encode;
mod endpoint;
mod fields;
mod ids;
mod link;
mod order_messages;
mod order_replies;
mod refusals;
mod replies;
mod tables;
mod turnstile;

use pyo3::prelude::*;

/// Encodes and decodes messages of the fast path. Use through `transport.wire`.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::bell::set_clock(module.py())
    }

    #[pymodule_export]
    use crate::connection::Connection;
    #[pymodule_export]
    use crate::dealer::Dealer;
    #[pymodule_export]
    use crate::decode::decode;
    #[pymodule_export]
    use crate::encode::{encode_execute_batch, encode_execute_order, encode_request};
    #[pymodule_export]
    use crate::ids::uuid7;
    #[pymodule_export]
    use crate::refusals::ZmtpError;
    #[pymodule_export]
    use crate::turnstile::Turnstile;
}
