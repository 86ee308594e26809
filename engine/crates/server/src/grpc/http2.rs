//! HTTP/2 as the engine speaks it: windows, streams, keepalive, and the runtime that serves it.
//!
//! Needs nothing else of this crate, so that echoes for `bench/` are built from the same file and cannot differ.

use std::{io, time::Duration};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Server;

/// Calls and streams of one connection at a time; more wait at the client.
const MAX_STREAMS_PER_CONNECTION: u32 = 256;

// h2 ends a connection (ENHANCE_YOUR_CALM, too_many_data_frames) whose unread DATA frames are many and small: each
// counts as 256 bytes less its payload, against half of the connection's window. A client that streams small orders
// while their stream waits for its window of replies has done nothing wrong, and loses all its calls. So the streams'
// windows are small, which bounds the frames that can be unread, and the connection's is as large as all of them need.

/// Bytes of one stream that may be unread; larger messages are read in several goes.
const STREAM_WINDOW_BYTES: u32 = 16 << 10;
/// No order that could be executed is shorter: a prefix of 5, an id of 3, a symbol of 3, and a quantity of 6 or more.
/// A peer whose frames are smaller loses its connection once it holds the budget.
const SMALLEST_FRAME_BYTES: u32 = 17;
/// What h2 counts for a frame of no bytes.
const FRAME_OVERHEAD_BYTES: u32 = 256;
/// What the smallest frames that fill a stream's window cost.
const STREAM_OVERHEAD_BYTES: u32 = STREAM_WINDOW_BYTES.div_ceil(SMALLEST_FRAME_BYTES) * FRAME_OVERHEAD_BYTES;
/// Twice what all streams of a connection can cost at once, which is then h2's budget: some 60 MB of frames. The bytes
/// in them are bounded by the streams' windows, 4 MiB.
const CONNECTION_WINDOW_BYTES: u32 = 2 * MAX_STREAMS_PER_CONNECTION * STREAM_OVERHEAD_BYTES;
const _: () = assert!(CONNECTION_WINDOW_BYTES < 1 << 31, "HTTP/2 knows no larger window");

/// A peer whose machine has gone is found by a ping that it does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server without services, with all settings of the connection.
pub fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// A runtime of one thread: two cores are shared with the reactor and the clients.
///
/// # Errors
/// The system refuses.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
