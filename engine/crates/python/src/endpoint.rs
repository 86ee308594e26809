//! Endpoints of the fast path: `tcp://host:port` and `ipc://path`, and a socket that begins to connect to one.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a connection may be made to.
pub enum Address {
    Tcp(SocketAddr),
    Ipc(SocketAddrUnix),
}

/// The addresses that an endpoint names, in the order to be tried. Asks the resolver where the host is a name.
///
/// # Errors
/// What is no endpoint, and names that are not known.
pub fn resolve(endpoint: &str) -> Result<Vec<Address>> {
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        // `@` is libzmq's sign for the abstract namespace.
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            None => SocketAddrUnix::new(path)?,
        };
        return Ok(vec![Address::Ipc(address)]);
    }
    let place = endpoint
        .strip_prefix("tcp://")
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "an endpoint begins with tcp:// or ipc://"))?;
    let mut addresses: Vec<SocketAddr> = place.to_socket_addrs()?.collect();
    // As libzmq: version 4 where there is one.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    if addresses.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, format!("{place} has no address")));
    }
    Ok(addresses.into_iter().map(Address::Tcp).collect())
}

/// A non-blocking socket that has begun to connect.
///
/// # Errors
/// Those of the system, where it cannot even begin or knows at once that nobody answers.
pub fn begin(address: &Address) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, begun) = match address {
        Address::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
            // Requests are small and waited for: none may wait for another's acknowledgement.
            sockopt::set_tcp_nodelay(&socket, true)?;
            let begun = connect(&socket, address);
            (socket, begun)
        }
        Address::Ipc(address) => {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let begun = connect(&socket, address);
            (socket, begun)
        }
    };
    match begun {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}
