//! What a client reads: the frame in front of a buffer, where it lies, and the greeting (RFC 37, section 3).

use super::ZmtpError;
use super::frames::FrameHeader;

/// Bytes of a greeting.
pub(super) const GREETING_BYTES: usize = 64;
/// Where the mechanism's name begins in a greeting, and how long it may be.
const MECHANISM_AT: usize = 12;
const MECHANISM_BYTES: usize = 20;

/// What a buffer begins with.
pub(super) enum Front<'a> {
    /// A whole frame, and its body.
    Whole(FrameHeader, &'a [u8]),
    /// As long as the whole frame will be, where its header says so already; else 0.
    Incomplete { bytes: usize },
}

/// The frame at the front of `bytes`; `limit` says how long a body may be, a command's or a message's.
///
/// # Errors
/// [`ZmtpError::MessageTooLarge`] by the header alone, [`ZmtpError::Protocol`] for what can be no frame.
pub(super) fn front(bytes: &[u8], limit: impl FnOnce(&FrameHeader) -> usize) -> Result<Front<'_>, ZmtpError> {
    let Some(header) = FrameHeader::read(bytes)? else { return Ok(Front::Incomplete { bytes: 0 }) };
    let (size_bytes, max_bytes) = (header.body_bytes, limit(&header));
    if size_bytes > max_bytes {
        return Err(ZmtpError::MessageTooLarge { size_bytes, max_bytes });
    }
    let whole = header.frame_bytes();
    Ok(match bytes.get(header.header_bytes..whole) {
        Some(body) => Front::Whole(header, body),
        None => Front::Incomplete { bytes: whole },
    })
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
