//! Accepts gRPC connections: TCP_NODELAY on each (tonic does not, and 40 ms stalls follow), not too many, and none
//! that keeps its place without speaking HTTP/2.

use super::{gateway::Gateway, sessions::NamedSessions};
use crate::reactor::keep_alive;
use std::{
    io,
    ops::RangeInclusive,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

/// A connection that gives its place back when it is dropped.
pub struct Accepted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    /// Until the peer has sent its preface.
    introduction: Option<Introduction>,
    /// Told of calls before they are read.
    gateway: Option<Gateway>,
    /// Whose it is, by what its requests say.
    sessions: Option<Arc<NamedSessions>>,
}

impl Drop for Accepted {
    fn drop(&mut self) {
        if let Some(sessions) = &self.sessions {
            sessions.end();
        }
    }
}

/// What a peer still has to send, and until when.
struct Introduction {
    missing_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

/// `PRI * HTTP/2.0`, two empty lines, `SM`, and another empty line. HTTP/2 itself checks what they are.
const PREFACE_BYTES: usize = 24;

/// What a read gives that brings one call: more than window updates and pings, less than part of a batch.
const ONE_CALL_BYTES: RangeInclusive<usize> = 64..=2_048;

/// How many connections may be open, and whether any is.
#[derive(Clone)]
pub struct ConnectionCount {
    places: Arc<Semaphore>,
    most: usize,
}

impl ConnectionCount {
    /// At most so many at a time.
    pub fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// Whether a connection is open.
    pub fn any(&self) -> bool {
        self.places.available_permits() < self.most
    }
}

/// Accepted connections. Above the count, a connection is closed at once; one that has not sent HTTP/2's preface
/// within `handshake` is ended. `gateway` is told of calls before they are read.
pub fn connections(
    listener: TcpListener,
    count: &ConnectionCount,
    handshake: Duration,
    gateway: Option<Gateway>,
) -> impl Stream<Item = io::Result<Accepted>> + use<> {
    let (sender, accepted) = mpsc::channel(16);
    tokio::spawn(accept(listener, count.places.clone(), handshake, gateway, sender));
    ReceiverStream::new(accepted)
}

async fn accept(
    listener: TcpListener,
    places: Arc<Semaphore>,
    handshake: Duration,
    gateway: Option<Gateway>,
    accepted: mpsc::Sender<io::Result<Accepted>>,
) {
    loop {
        let stream = tokio::select! {
            () = accepted.closed() => return,
            stream = listener.accept() => stream,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Descriptors are short, or the peer went: accepting at once again would spin.
                tracing::warn!(%error, "cannot accept a gRPC connection");
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::debug!("too many gRPC connections: closed one at once");
            continue;
        };
        // Who is gone without a word is found: a session's lease may wait for it.
        let set_up = stream.set_nodelay(true).and_then(|()| keep_alive(&stream));
        if let Err(error) = set_up {
            tracing::debug!(%error, "a gRPC connection went before it was set up");
            continue;
        }
        let deadline = Box::pin(sleep(handshake));
        let introduction = Some(Introduction { missing_bytes: PREFACE_BYTES, deadline });
        let gateway = gateway.clone();
        let sessions = gateway.as_ref().map(|gateway| Arc::new(NamedSessions::new(gateway.sessions.clone())));
        if accepted.send(Ok(Accepted { stream, _place: place, introduction, gateway, sessions })).await.is_err() {
            return;
        }
    }
}

impl Connected for Accepted {
    /// Each request of the connection has it.
    type ConnectInfo = Option<Arc<NamedSessions>>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.sessions.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read_bytes = buffer.filled().len() - before;
        let Some(introduction) = &mut self.introduction else {
            if let Some(gateway) = self.gateway.as_ref().filter(|_| ONE_CALL_BYTES.contains(&read_bytes)) {
                gateway.announce();
            }
            return read;
        };
        introduction.missing_bytes = introduction.missing_bytes.saturating_sub(read_bytes);
        if introduction.missing_bytes == 0 {
            self.introduction = None;
        } else if read.is_pending() && introduction.deadline.as_mut().poll(context).is_ready() {
            tracing::debug!("a gRPC connection did not speak HTTP/2 in time");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}
