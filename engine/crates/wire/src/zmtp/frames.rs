//! Frames of ZMTP 3 as they stand on the wire (RFC 23, RFC 37), read in place: flags, length, body.

use super::error::ZmtpError;

/// Another part of the message follows.
pub(super) const FLAG_MORE: u8 = 1;
/// The length that follows is 8 bytes, not 1.
pub(super) const FLAG_LONG: u8 = 2;
/// A command, not a part of a message.
pub(super) const FLAG_COMMAND: u8 = 4;
/// Bits that RFC 37 wants to be zero.
const FLAGS_RESERVED: u8 = 0xf8;
/// What a frame's length of one byte can say.
const MAX_SHORT_BODY_BYTES: usize = 255;
const SHORT_HEADER_BYTES: usize = 2;
const LONG_HEADER_BYTES: usize = 9;

/// A frame's beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub flags: u8,
    pub header_bytes: usize,
    pub body_bytes: usize,
}

impl FrameHeader {
    /// The header at the start of `bytes`; `None` while it is not all there.
    ///
    /// # Errors
    /// [`ZmtpError::Protocol`] as soon as no continuation could be a frame.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ZmtpError> {
        let Some(&flags) = bytes.first() else { return Ok(None) };
        if flags & FLAGS_RESERVED != 0 {
            return Err(ZmtpError::Protocol(format!("reserved ZMTP flag bits set: 0x{flags:02x}")));
        }
        if flags & (FLAG_COMMAND | FLAG_MORE) == FLAG_COMMAND | FLAG_MORE {
            return Err(ZmtpError::Protocol("a COMMAND frame must not have MORE".to_owned()));
        }
        if flags & FLAG_LONG == 0 {
            let short = |&body: &u8| Self { flags, header_bytes: SHORT_HEADER_BYTES, body_bytes: usize::from(body) };
            return Ok(bytes.get(1).map(short));
        }
        let Some(length) = bytes.get(1..LONG_HEADER_BYTES) else { return Ok(None) };
        let length = length.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let body_bytes = usize::try_from(length).ok().filter(|bytes| isize::try_from(*bytes).is_ok());
        let too_long = || ZmtpError::Protocol(format!("a frame of {length} bytes exceeds what can be addressed"));
        Ok(Some(Self { flags, header_bytes: LONG_HEADER_BYTES, body_bytes: body_bytes.ok_or_else(too_long)? }))
    }

    /// Header and body.
    pub const fn frame_bytes(&self) -> usize {
        self.header_bytes.saturating_add(self.body_bytes)
    }

    pub const fn is_command(&self) -> bool {
        self.flags & FLAG_COMMAND != 0
    }

    pub const fn has_more(&self) -> bool {
        self.flags & FLAG_MORE != 0
    }
}

/// Appends one frame; `flags` without the length's.
#[inline]
pub(super) fn write_frame(output: &mut Vec<u8>, flags: u8, body: &[u8]) {
    write_header(output, flags, body.len());
    output.extend_from_slice(body);
}

/// Appends the header of a frame whose body the caller appends.
#[inline]
pub(super) fn write_header(output: &mut Vec<u8>, flags: u8, body_bytes: usize) {
    if body_bytes <= MAX_SHORT_BODY_BYTES {
        output.extend_from_slice(&[flags, body_bytes as u8]);
    } else {
        output.push(flags | FLAG_LONG);
        output.extend_from_slice(&(body_bytes as u64).to_be_bytes());
    }
}

/// The parts of one received message, in the connection's input buffer.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Whole frames, each of them read once already; commands may stand between the parts.
    frames: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) const fn new(frames: &'a [u8]) -> Self {
        Self { frames }
    }

    /// The only part, if there is exactly one.
    #[inline]
    pub fn single(&self) -> Option<&'a [u8]> {
        let mut parts = self.iter();
        let first = parts.next();
        if parts.next().is_none() { first } else { None }
    }

    /// How many parts there are.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// A part by its index.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.iter().nth(index)
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.frames;
        std::iter::from_fn(move || {
            loop {
                let header = FrameHeader::read(rest).ok()??;
                let body = rest.get(header.header_bytes..header.frame_bytes())?;
                rest = &rest[header.frame_bytes()..];
                if !header.is_command() {
                    return Some(body);
                }
            }
        })
    }
}
