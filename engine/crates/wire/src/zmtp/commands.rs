//! Commands (RFC 37): their form, and what they mean to the engine's end after the handshake.

use super::{
    error::ZmtpError,
    frames::{FLAG_COMMAND, write_header},
};

/// Bytes of PING's context at most (RFC 37).
const MAX_CONTEXT_BYTES: usize = 16;
/// PING begins with its time to live, two bytes.
const TTL_BYTES: usize = 2;

/// A command's meaning to the engine's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command<'a> {
    /// Answer with a PONG of this context.
    Ping { context: &'a [u8] },
    /// The peer wants topics that begin so.
    Subscribe(&'a [u8]),
    /// And no longer does.
    Cancel(&'a [u8]),
    /// A PONG, or a command that this release does not know: ignored, as RFC 37 asks.
    Ignored,
}

impl<'a> Command<'a> {
    /// Reads a command frame's body.
    ///
    /// # Errors
    /// [`ZmtpError::Protocol`] for what is no command, or none that may come after the handshake.
    pub fn read(body: &'a [u8]) -> Result<Self, ZmtpError> {
        let (name, rest) = name_and_data(body)?;
        match name {
            b"PING" => ping(rest),
            b"PONG" if rest.len() > MAX_CONTEXT_BYTES => Err(broken("the context of a PONG is too long")),
            b"SUBSCRIBE" => Ok(Self::Subscribe(rest)),
            b"CANCEL" => Ok(Self::Cancel(rest)),
            b"READY" | b"ERROR" => Err(broken("READY or ERROR after the handshake")),
            _ => Ok(Self::Ignored),
        }
    }
}

fn ping(body: &[u8]) -> Result<Command<'_>, ZmtpError> {
    match body.get(TTL_BYTES..) {
        None => Err(broken("a PING without its time to live")),
        Some(context) if context.len() > MAX_CONTEXT_BYTES => Err(broken("the context of a PING is too long")),
        Some(context) => Ok(Command::Ping { context }),
    }
}

/// Name and data of a command frame's body.
///
/// # Errors
/// [`ZmtpError::Protocol`] for what is no command.
pub(super) fn name_and_data(body: &[u8]) -> Result<(&[u8], &[u8]), ZmtpError> {
    let Some((&name_bytes, rest)) = body.split_first() else { return Err(broken("an empty command frame")) };
    let Some((name, data)) = rest.split_at_checked(usize::from(name_bytes)) else {
        return Err(broken("a command ends within its name"));
    };
    if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
        return Err(broken("a command's name is not ASCII letters"));
    }
    Ok((name, data))
}

/// Appends a command: its name with a length of one byte, then its data.
pub(super) fn write_command(output: &mut Vec<u8>, name: &str, data: &[u8]) {
    write_header(output, FLAG_COMMAND, 1 + name.len() + data.len());
    output.push(name.len() as u8);
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(data);
}

fn broken(what: &str) -> ZmtpError {
    ZmtpError::Protocol(what.to_owned())
}
