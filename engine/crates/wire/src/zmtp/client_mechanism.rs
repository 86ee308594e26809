//! The security mechanism of a client: its part of the handshake, and what becomes of each message after it.
//!
//! The seam at which CURVE comes in: a mechanism has a name in the greeting, speaks commands until it is ready, and
//! may seal and open every body from then on.

use super::ZmtpError;
use super::{commands::write_command, frames::write_frame};

/// Socket types that a DEALER may talk to (RFC 28).
const PEERS: [&[u8]; 3] = [b"ROUTER", b"DEALER", b"REP"];
/// What is kept of the peer's explanation.
const MAX_REASON_BYTES: usize = 200;

/// Which mechanism a client speaks, and how far it is.
pub(super) enum Mechanism {
    /// No security: READY is all there is to it.
    Null,
}

impl Mechanism {
    /// The name in the greeting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
        }
    }

    /// What the client says first, once both have greeted.
    pub fn begin(&mut self, output: &mut Vec<u8>) {
        match self {
            Self::Null => write_command(output, "READY", &properties()),
        }
    }

    /// Takes a command of the handshake. True: it is done, and messages may follow.
    ///
    /// # Errors
    /// [`ZmtpError::Protocol`] for a peer that refuses, is no socket for a DEALER, or says something else.
    pub fn on_command(&mut self, name: &[u8], data: &[u8], _output: &mut Vec<u8>) -> Result<bool, ZmtpError> {
        match (self, name) {
            (_, b"ERROR") => Err(refused(data)),
            (Self::Null, b"READY") => check_peer(data).map(|()| true),
            _ => {
                let name = String::from_utf8_lossy(name);
                Err(ZmtpError::Protocol(format!("the peer sent the command {name:?} in its handshake")))
            }
        }
    }

    /// Appends one message as it travels.
    pub fn seal(&mut self, body: &[u8], output: &mut Vec<u8>) {
        match self {
            Self::Null => write_frame(output, 0, body),
        }
    }

    /// The message in a frame's body.
    pub fn open<'a>(&'a mut self, body: &'a [u8]) -> Result<&'a [u8], ZmtpError> {
        match self {
            Self::Null => Ok(body),
        }
    }
}

/// The peer's ERROR command: a length of one byte and a text.
pub(super) fn refused(data: &[u8]) -> ZmtpError {
    let reason = data.split_first().map_or(&[][..], |(length, text)| &text[..text.len().min(usize::from(*length))]);
    let reason = String::from_utf8_lossy(&reason[..reason.len().min(MAX_REASON_BYTES)]).into_owned();
    ZmtpError::Protocol(format!("the peer refused the connection: {reason:?}"))
}

fn properties() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in [("Socket-Type", "DEALER"), ("Identity", "")] {
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

fn check_peer(mut data: &[u8]) -> Result<(), ZmtpError> {
    let mut socket_type: Option<&[u8]> = None;
    while !data.is_empty() {
        let Some((name, value, rest)) = property(data) else {
            return Err(ZmtpError::Protocol("the peer's READY is cut short".to_owned()));
        };
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            socket_type = Some(value);
        }
        data = rest;
    }
    match socket_type {
        Some(known) if PEERS.contains(&known) => Ok(()),
        given => {
            let named = String::from_utf8_lossy(given.unwrap_or_default());
            Err(ZmtpError::Protocol(format!("the peer's socket is a {named:?}, no ROUTER")))
        }
    }
}

/// Name, value and the rest: lengths of one byte and of four.
fn property(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&name_bytes, rest) = data.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_bytes))?;
    let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*value_bytes)).ok()?)?;
    Some((name, value, rest))
}
