//! Frames and the greeting of ZMTP 3.1 (RFC 37, section 3), read and written where they are.

use super::ZmtpError;

/// Another frame of the same message follows.
pub(super) const FLAG_MORE: u8 = 1;
/// The length that follows is 8 bytes, not 1.
const FLAG_LONG: u8 = 2;
/// A command, not a message.
pub(super) const FLAG_COMMAND: u8 = 4;
const KNOWN_FLAGS: u8 = FLAG_MORE | FLAG_LONG | FLAG_COMMAND;
const MAX_SHORT_BYTES: usize = 255;

/// Bytes of a greeting.
pub(super) const GREETING_BYTES: usize = 64;
/// Where the mechanism's name begins in a greeting, and how long it may be.
const MECHANISM_AT: usize = 12;
const MECHANISM_BYTES: usize = 20;

/// A frame at the front of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub flags: u8,
    pub body: &'a [u8],
    /// Header and body.
    pub bytes: usize,
}

/// What a buffer begins with.
pub(super) enum Front<'a> {
    Whole(Frame<'a>),
    /// As long as the whole frame will be, where its header says so already; else 0.
    Incomplete {
        bytes: usize,
    },
}

/// The frame at the front of `bytes`; `limit` says how long a body with these flags may be.
///
/// # Errors
/// [`ZmtpError::MessageTooLarge`] by the header alone, [`ZmtpError::Protocol`] for flags that RFC 37 does not know.
pub(super) fn front(bytes: &[u8], limit: impl FnOnce(u8) -> usize) -> Result<Front<'_>, ZmtpError> {
    let Some((&flags, rest)) = bytes.split_first() else { return Ok(Front::Incomplete { bytes: 0 }) };
    if flags & !KNOWN_FLAGS != 0 {
        return Err(ZmtpError::Protocol(format!("a frame with the unknown flags {flags:#04x}")));
    }
    let (length, header) = if flags & FLAG_LONG == 0 {
        let Some(&length) = rest.first() else { return Ok(Front::Incomplete { bytes: 0 }) };
        (usize::from(length), 2)
    } else {
        let Some(&length) = rest.first_chunk::<8>() else { return Ok(Front::Incomplete { bytes: 0 }) };
        (usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX), 9)
    };
    let max_bytes = limit(flags);
    if length > max_bytes {
        return Err(ZmtpError::MessageTooLarge { size_bytes: length, max_bytes });
    }
    let whole = header + length;
    Ok(match bytes.get(header..whole) {
        Some(body) => Front::Whole(Frame { flags, body, bytes: whole }),
        None => Front::Incomplete { bytes: whole },
    })
}

/// The header of a frame whose body has `length` bytes, and how much of it counts.
pub(super) fn header(flags: u8, length: usize) -> ([u8; 9], usize) {
    let mut header = [0; 9];
    if length <= MAX_SHORT_BYTES {
        header[0] = flags;
        header[1] = length as u8;
        (header, 2)
    } else {
        header[0] = flags | FLAG_LONG;
        header[1..].copy_from_slice(&(length as u64).to_be_bytes());
        (header, 9)
    }
}

/// Appends a whole frame.
pub(super) fn write_frame(output: &mut Vec<u8>, flags: u8, body: &[u8]) {
    let (header, count) = header(flags, body.len());
    output.extend_from_slice(&header[..count]);
    output.extend_from_slice(body);
}

/// Appends a command: its name with a length of one byte, then its data.
pub(super) fn write_command(output: &mut Vec<u8>, name: &str, data: &[u8]) {
    let (header, count) = header(FLAG_COMMAND, 1 + name.len() + data.len());
    output.extend_from_slice(&header[..count]);
    output.push(name.len() as u8);
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(data);
}

/// Name and data of a command's body.
pub(super) fn command(body: &[u8]) -> Result<(&[u8], &[u8]), ZmtpError> {
    let parts = body.split_first().and_then(|(&length, rest)| rest.split_at_checked(usize::from(length)));
    parts.filter(|(name, _)| !name.is_empty()).ok_or_else(|| ZmtpError::Protocol("a command without a name".to_owned()))
}

/// The greeting of a client: version 3.1, this mechanism, not as server.
pub(super) fn greeting(mechanism: &str) -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = 0xff;
    // Signature of ZMTP 2 and later; the length in it is that of ZMTP 1's identity frame.
    bytes[8] = 1;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[11] = 1;
    let name = &mechanism.as_bytes()[..mechanism.len().min(MECHANISM_BYTES)];
    bytes[MECHANISM_AT..MECHANISM_AT + name.len()].copy_from_slice(name);
    bytes
}

/// Checks as much of the peer's greeting as is there, so that one who speaks something else is found out at once.
pub(super) fn check_greeting(bytes: &[u8], mechanism: &str) -> Result<(), ZmtpError> {
    let wrong = |what: String| Err(ZmtpError::Protocol(what));
    let at = |index: usize, right: fn(u8) -> bool| bytes.get(index).is_none_or(|byte| right(*byte));
    if !at(0, |byte| byte == 0xff) || !at(9, |byte| byte & 1 == 1) {
        return wrong("the peer does not speak ZMTP 3".to_owned());
    }
    if !at(10, |byte| byte >= 3) {
        return wrong(format!("the peer speaks ZMTP {}, not 3", bytes.get(10).copied().unwrap_or(0)));
    }
    let Some(given) = bytes.get(MECHANISM_AT..MECHANISM_AT + MECHANISM_BYTES) else { return Ok(()) };
    let end = given.iter().position(|byte| *byte == 0).unwrap_or(MECHANISM_BYTES);
    if &given[..end] != mechanism.as_bytes() {
        let named = String::from_utf8_lossy(&given[..end]);
        return wrong(format!("the peer's security mechanism is {named:?}, this client's {mechanism:?}"));
    }
    Ok(())
}
