//! Commands that a peer sends after its handshake (RFC 37).

use super::error::ZmtpError;

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
        let Some((&name_bytes, rest)) = body.split_first() else { return Err(broken("an empty command frame")) };
        let Some((name, rest)) = rest.split_at_checked(usize::from(name_bytes)) else {
            return Err(broken("a command ends within its name"));
        };
        if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(broken("a command's name is not ASCII letters"));
        }
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

/// Appends the PONG that answers a PING.
pub(super) fn write_pong(output: &mut Vec<u8>, context: &[u8]) {
    // A context has 16 bytes at most, so the length fits.
    output.extend_from_slice(&[super::frames::FLAG_COMMAND, (1 + 4 + context.len()) as u8, 4]);
    output.extend_from_slice(b"PONG");
    output.extend_from_slice(context);
}

fn broken(what: &str) -> ZmtpError {
    ZmtpError::Protocol(what.to_owned())
}
