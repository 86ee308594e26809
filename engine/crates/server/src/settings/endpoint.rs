//! Where to listen: `tcp://HOST:PORT` and `ipc://PATH`, loopback only until clients have keys.

use crate::failure::Failure;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// A place to listen on or to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// `tcp://HOST:PORT`; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// `ipc://PATH`, a Unix socket.
    Ipc(PathBuf),
}

/// Longest path of a Unix socket (sun_path is 108 bytes with its NUL).
const MAX_IPC_PATH_BYTES: usize = 107;

impl Endpoint {
    /// Reads a ZeroMQ endpoint.
    ///
    /// # Errors
    /// What is no endpoint, or one that other machines could reach.
    pub fn parse(setting: &str, text: &str) -> Result<Self, Failure> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return loopback(setting, text, address).map(Self::Tcp);
        }
        match text.strip_prefix("ipc://") {
            Some("") => Err(Failure::setup(format!("{setting}: {text:?} names no path"))),
            Some(path) if path.starts_with('@') => {
                Err(Failure::setup(format!("{setting}: {text:?}: abstract sockets are not supported; name a path")))
            }
            Some(path) if path.len() > MAX_IPC_PATH_BYTES => Err(Failure::setup(format!(
                "{setting}: the path of {text:?} is longer than {MAX_IPC_PATH_BYTES} bytes"
            ))),
            Some(path) => Ok(Self::Ipc(path.into())),
            None => {
                Err(Failure::setup(format!("{setting}: {text:?} is no endpoint; give tcp://HOST:PORT or ipc://PATH")))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

/// Reads HOST:PORT and refuses what is not loopback.
///
/// # Errors
/// What is no address, or one that other machines could reach.
pub fn parse_address(setting: &str, text: &str) -> Result<SocketAddr, Failure> {
    loopback(setting, text, text)
}

/// The address in `text`, which names it as it was given.
fn loopback(setting: &str, text: &str, address: &str) -> Result<SocketAddr, Failure> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(Failure::setup(format!("{setting}: {text:?} has no port; give HOST:PORT")));
    };
    let port: u16 = port
        .parse()
        .map_err(|_| Failure::setup(format!("{setting}: {port:?} in {text:?} is no port number (0 to 65535)")))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = match bare {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => bare.parse().map_err(|_| {
            Failure::setup(format!(
                "{setting}: {host:?} in {text:?} is no IP address; give one of loopback, as 127.0.0.1"
            ))
        })?,
    };
    if ip.is_loopback() {
        return Ok(SocketAddr::new(ip, port));
    }
    Err(Failure::setup(format!(
        "{setting}: {text:?} can be reached from other machines, and clients have no keys yet; \
         give a loopback address (127.0.0.1) or ipc://"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_ipc_are_accepted() {
        for good in ["tcp://127.0.0.1:0", "tcp://localhost:5", "tcp://[::1]:7", "ipc:///tmp/x"] {
            assert!(Endpoint::parse("zmq", good).is_ok(), "{good}");
        }
        for bad in ["tcp://0.0.0.0:5", "tcp://*:5", "tcp://10.0.0.1:5", "tcp://127.0.0.1", "tcp://127.0.0.1:70000"] {
            assert!(Endpoint::parse("zmq", bad).is_err(), "{bad}");
        }
        for bad in ["udp://127.0.0.1:1", "ipc://", "ipc://@abstract", "", "tcp://[::]:1"] {
            assert!(Endpoint::parse("zmq", bad).is_err(), "{bad}");
        }
    }
}
