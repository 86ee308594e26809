//! `Connection`: a DEALER's end of one connection without a socket, for asyncio: bytes in, messages out, and back.

use crate::decode::decode_bytes;
use crate::encode::with_order_message;
use crate::refusals::zmtp_error;
use bridge_wire::zmtp::{ClientConnection, ClientOptions, HeartbeatTimes, Step};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyList};

/// What the buffer of cut messages keeps between them.
const KEPT_BYTES: usize = 256 << 10;

/// Pauses and bounds as Python gives them.
pub fn options(interval_ms: u64, timeout_ms: u64, max_message_bytes: usize) -> ClientOptions {
    let heartbeat = HeartbeatTimes {
        interval_ns: interval_ms.saturating_mul(1_000_000),
        timeout_ns: timeout_ms.saturating_mul(1_000_000),
    };
    ClientOptions { max_message_bytes, heartbeat }
}

/// See `transport/_native.pyi`.
#[pyclass(module = "transport._native")]
pub struct Connection {
    wire: ClientConnection,
    /// The beginning of a frame whose end has not come yet.
    rest: Vec<u8>,
    failure: Option<String>,
}

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (*, heartbeat_interval_ms, heartbeat_timeout_ms, max_message_bytes))]
    fn new(heartbeat_interval_ms: u64, heartbeat_timeout_ms: u64, max_message_bytes: usize) -> Self {
        let options = options(heartbeat_interval_ms, heartbeat_timeout_ms, max_message_bytes);
        Self { wire: ClientConnection::new(options), rest: Vec::new(), failure: None }
    }

    /// Correlation number and body of each message that `data` completes.
    fn feed<'py>(&mut self, data: &Bound<'py, PyAny>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        let py = data.py();
        let messages = PyList::empty(py);
        if self.failure.is_some() {
            return Ok(messages);
        }
        self.wire.heard(now_ns);
        if let Ok(bytes) = data.cast::<PyBytes>() {
            self.take(bytes.as_bytes(), now_ns, &messages)?;
        } else {
            let copy = py.get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?;
            self.take(copy.as_bytes(), now_ns, &messages)?;
        }
        Ok(messages)
    }

    fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn is_ready(&self) -> bool {
        self.failure.is_none() && self.wire.is_ready()
    }

    fn send(&mut self, data: &[u8]) -> PyResult<()> {
        self.wire.send(data).map_err(|error| zmtp_error(&error.to_string()))
    }

    /// Queues an order and returns its message's bytes; above `max_bytes` it is not queued.
    fn send_order<'py>(
        &mut self,
        correlation: Bound<'py, PyAny>,
        journal_id: Bound<'py, PyAny>,
        order: &Bound<'py, PyAny>,
        max_bytes: usize,
    ) -> PyResult<usize> {
        with_order_message(correlation, journal_id, order, |bytes| {
            if bytes.len() <= max_bytes {
                self.wire.send(bytes).map_err(|error| zmtp_error(&error.to_string()))?;
            }
            Ok(bytes.len())
        })
    }

    /// Queues orders one by one, each under its number; how many. It stops before an order that has no form on the
    /// wire, or is above `max_bytes`: sent by itself, that one says why.
    fn send_orders(
        &mut self,
        correlations: &Bound<'_, PyList>,
        journal_id: &Bound<'_, PyAny>,
        orders: &Bound<'_, PyList>,
        max_bytes: usize,
    ) -> usize {
        let mut queued = 0;
        for (correlation, order) in correlations.iter().zip(orders.iter()) {
            match self.send_order(correlation, journal_id.clone(), &order, max_bytes) {
                Ok(bytes) if bytes <= max_bytes => queued += 1,
                _ => break,
            }
        }
        queued
    }

    fn pending_output_bytes(&self) -> usize {
        self.wire.pending_output_bytes()
    }

    fn take_output<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let taken = PyBytes::new(py, self.wire.output());
        self.wire.advance(usize::MAX);
        taken
    }

    fn deadline_ns(&self) -> Option<u64> {
        if self.failure.is_some() { None } else { self.wire.deadline_ns() }
    }

    fn on_time(&mut self, now_ns: u64) -> Option<String> {
        if self.failure.is_none()
            && let Err(error) = self.wire.on_time(now_ns)
        {
            self.failure = Some(error.to_string());
        }
        self.failure.clone()
    }
}

impl Connection {
    fn take(&mut self, data: &[u8], now_ns: u64, messages: &Bound<'_, PyList>) -> PyResult<()> {
        if self.rest.is_empty() {
            let taken = self.take_frames(data, now_ns, messages)?;
            self.rest.extend_from_slice(&data[taken..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(data);
        let taken = self.take_frames(&rest, now_ns, messages)?;
        rest.drain(..taken);
        if rest.is_empty() {
            rest.shrink_to(KEPT_BYTES);
        }
        self.rest = rest;
        Ok(())
    }

    /// Takes the whole frames of `input`; how many bytes they had. After a failure all counts as taken.
    fn take_frames(&mut self, input: &[u8], now_ns: u64, messages: &Bound<'_, PyList>) -> PyResult<usize> {
        let py = messages.py();
        let mut taken = 0;
        loop {
            match self.wire.step(&input[taken..], now_ns) {
                Ok(Step::Incomplete { .. }) => return Ok(taken),
                Ok(Step::Taken { consumed } | Step::Ready { consumed }) => taken += consumed,
                Ok(Step::Message { consumed, body }) => {
                    taken += consumed;
                    match decode_bytes(py, body) {
                        Ok(message) => messages.append(message)?,
                        Err(error) if error.get_type(py).is(&crate::contract::contract(py)?.wire_decode_error) => {
                            self.failure = Some(format!("the engine sent what is no message: {}", error.value(py)));
                            return Ok(input.len());
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return Ok(input.len());
                }
            }
        }
    }
}
