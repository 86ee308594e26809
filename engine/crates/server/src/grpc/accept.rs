//! Accepts gRPC connections: TCP_NODELAY on each (tonic does not, and 40 ms stalls follow), and not too many.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

/// A connection that gives its place back when it is dropped.
pub struct Accepted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

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

/// Accepted connections. Above the count, a connection is closed at once.
pub fn connections(listener: TcpListener, count: &ConnectionCount) -> impl Stream<Item = io::Result<Accepted>> + use<> {
    let (sender, accepted) = mpsc::channel(16);
    tokio::spawn(accept(listener, count.places.clone(), sender));
    ReceiverStream::new(accepted)
}

async fn accept(listener: TcpListener, places: Arc<Semaphore>, accepted: mpsc::Sender<io::Result<Accepted>>) {
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
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::debug!("too many gRPC connections: closed one at once");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a gRPC connection went before it was set up");
            continue;
        }
        if accepted.send(Ok(Accepted { stream, _place: place })).await.is_err() {
            return;
        }
    }
}

impl Connected for Accepted {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.peer_addr().ok()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
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
