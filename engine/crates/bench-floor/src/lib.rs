//! `bench_floor`: the least that a native client called from Python can do, for `bench/`. Never part of the wheel.
//!
//! Bytes out, a fixed number of bytes back, with the GIL released, over TCP or a Unix socket, blocking or spinning.
//! Nothing is framed, encoded, decoded, deduplicated or journaled: what the fast path takes beyond this is its own.

use pyo3::{exceptions::PyTimeoutError, prelude::*, types::PyBytes};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// A peer that answers nothing for so long is gone.
const REPLY_DEADLINE: Duration = Duration::from_secs(5);
/// Reading the clock costs as much as a look at the socket on some machines: it is read once in so many looks.
const LOOKS_PER_CLOCK: u32 = 1 << 16;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(endpoint: &str, spin: bool) -> io::Result<Self> {
        if let Some(path) = endpoint.strip_prefix("ipc://") {
            let stream = UnixStream::connect(path)?;
            stream.set_nonblocking(spin)?;
            stream.set_read_timeout(Some(REPLY_DEADLINE))?;
            return Ok(Self::Unix(stream));
        }
        let stream = TcpStream::connect(endpoint.trim_start_matches("tcp://"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(spin)?;
        stream.set_read_timeout(Some(REPLY_DEADLINE))?;
        Ok(Self::Tcp(stream))
    }

    fn exchange(&mut self, request: &[u8], reply: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => exchange(stream, request, reply),
            Self::Unix(stream) => exchange(stream, request, reply),
        }
    }
}

/// Writes the request and reads the whole reply; where the stream does not block, looks again until it is there.
fn exchange(stream: &mut (impl Read + Write), request: &[u8], reply: &mut [u8]) -> io::Result<()> {
    // A request is smaller than any socket's buffer, and the last one has been answered.
    stream.write_all(request)?;
    let mut filled = 0;
    let mut looks = 0_u32;
    let mut began = None;
    while filled < reply.len() {
        match stream.read(&mut reply[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(LOOKS_PER_CLOCK)
                    && began.get_or_insert_with(Instant::now).elapsed() > REPLY_DEADLINE
                {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One connection to an echo. Belongs to one thread.
#[pyclass(module = "bench_floor")]
struct FloorClient {
    stream: Stream,
    reply: Vec<u8>,
}

#[pymethods]
impl FloorClient {
    /// Connects to `tcp://host:port` or `ipc://path`. `spin`: never sleeps while it waits.
    #[new]
    fn new(endpoint: &str, reply_bytes: usize, spin: bool) -> PyResult<Self> {
        Ok(Self { stream: Stream::connect(endpoint, spin)?, reply: vec![0; reply_bytes] })
    }

    /// Sends the bytes and returns the reply's, `reply_bytes` of them. Other threads of Python run meanwhile.
    fn exchange<'py>(&mut self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let Self { stream, reply } = self;
        py.detach(|| stream.exchange(request, reply)).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => PyTimeoutError::new_err("no reply within five seconds"),
            _ => error.into(),
        })?;
        Ok(PyBytes::new(py, &self.reply))
    }
}

/// The floor of the benchmark.
#[pymodule]
mod bench_floor {
    #[pymodule_export]
    use crate::FloorClient;
}
