//! Listening sockets, TCP and Unix, and the connections they accept.

use crate::{failure::Failure, settings::Endpoint};
use rustix::fd::{AsFd, BorrowedFd};
use std::{
    fs, io,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{
        fs::FileTypeExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// What connects to this listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// DEALERs with requests.
    Requests,
    /// SUBs for market data and notices.
    Publications,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, UnixPath),
}

/// Unlinks the socket's file when the listener goes.
struct UnixPath(PathBuf);

impl Drop for UnixPath {
    fn drop(&mut self) {
        // It may have been removed by somebody else already.
        let _ = fs::remove_file(&self.0);
    }
}

/// One listening socket.
pub struct Listener {
    socket: Socket,
    /// What its connections speak.
    pub service: Service,
}

impl Listener {
    /// Listens, and says on what: port 0 is resolved.
    ///
    /// # Errors
    /// The port or the socket is taken, or the system refuses.
    pub fn bind(endpoint: &Endpoint, service: Service) -> Result<(Self, Endpoint), Failure> {
        let cannot = |e: io::Error| Failure::setup(format!("cannot listen on {endpoint}: {e}"));
        match endpoint {
            Endpoint::Tcp(address) => {
                let listener = TcpListener::bind(address).map_err(cannot)?;
                listener.set_nonblocking(true).map_err(cannot)?;
                let bound = listener.local_addr().map_err(cannot)?;
                Ok((Self { socket: Socket::Tcp(listener), service }, Endpoint::Tcp(bound)))
            }
            Endpoint::Ipc(path) => {
                remove_stale_socket(path)?;
                let listener = UnixListener::bind(path).map_err(cannot)?;
                listener.set_nonblocking(true).map_err(cannot)?;
                Ok((Self { socket: Socket::Unix(listener, UnixPath(path.clone())), service }, endpoint.clone()))
            }
        }
    }

    /// The next connection, if one waits. It is non-blocking; TCP without delay and with keepalive.
    ///
    /// # Errors
    /// Descriptors are short, or the peer has gone again.
    pub fn accept(&self) -> io::Result<Option<(Stream, String)>> {
        let accepted = match &self.socket {
            Socket::Tcp(listener) => listener.accept().and_then(|(stream, from)| {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                Ok((Stream::Tcp(stream), from.to_string()))
            }),
            Socket::Unix(listener, path) => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                Ok((Stream::Unix(stream), path.0.display().to_string()))
            }),
        };
        match accepted {
            Ok(accepted) => Ok(Some(accepted)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// A dead TCP peer is found after 10 s of silence and 3 unanswered probes, or when it has acknowledged nothing for as
/// long (the kernel would go on for a quarter of an hour, and sends no probes meanwhile).
///
/// # Errors
/// The connection went already.
pub fn keep_alive(stream: impl AsFd) -> io::Result<()> {
    let stream = stream.as_fd();
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(stream, Duration::from_secs(10))?;
    rustix::net::sockopt::set_tcp_keepintvl(stream, Duration::from_secs(2))?;
    rustix::net::sockopt::set_tcp_keepcnt(stream, 3)?;
    rustix::net::sockopt::set_tcp_user_timeout(stream, 16_000)?;
    Ok(())
}

/// A socket file that nobody listens on was left by an engine that was killed; one that answers is in use.
fn remove_stale_socket(path: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::setup(format!("cannot listen on ipc://{}: {why}", path.display())));
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return refuse(&e.to_string()),
        Ok(found) if !found.file_type().is_socket() => return refuse("there is a file that is no socket"),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => refuse("another process listens there"),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(e) => refuse(&format!("cannot remove the stale socket: {e}")),
        },
        Err(e) => refuse(&e.to_string()),
    }
}

/// One accepted connection.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Reads what is there. `Ok(0)` is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else the connection is broken.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else the connection is broken.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// Ends our half: the peer reads what was sent, then the end.
    pub fn end_writing(&self) {
        // The peer may have gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
