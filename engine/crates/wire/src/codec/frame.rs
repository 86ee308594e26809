//! From bytes to a verified envelope, or to a refusal that can still be addressed.

use crate::{limits::DecodeLimits, schema as fb};
use bridge_core::{ReasonCode, Rejection, Text};
use flatbuffers::InvalidFlatbuffer;

/// Bytes 0 to 3: offset of the root table; 4 to 7: file identifier.
const HEADER_BYTES: usize = 8;
/// Position of the correlation number's entry in the envelope's vtable.
const CORRELATION_ENTRY: usize = fb::Envelope::VT_CORRELATION as usize;

/// Why a message could not be read. Answer with a `Refusal` under this correlation number.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("message {correlation} refused: {}", rejection.message)]
pub struct DecodeError {
    /// The envelope's number; 0 where it could not be read.
    pub correlation: u64,
    /// `MALFORMED_MESSAGE`, `MESSAGE_TOO_LARGE`, `BATCH_TOO_LARGE` or `NOT_IMPLEMENTED`.
    pub rejection: Rejection,
}

impl DecodeError {
    pub(crate) fn new(correlation: u64, code: ReasonCode, message: impl Into<Text>) -> Self {
        Self { correlation, rejection: Rejection::new(code, "", message) }
    }

    pub(crate) fn malformed(correlation: u64, message: impl Into<Text>) -> Self {
        Self::new(correlation, ReasonCode::MalformedMessage, message)
    }
}

/// The envelope in `bytes`, verified whole: reading any part of it is safe afterwards.
///
/// # Errors
/// [`DecodeError`] with `MESSAGE_TOO_LARGE` or `MALFORMED_MESSAGE`, for whatever is no envelope within `limits`.
pub fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<fb::Envelope<'a>, DecodeError> {
    if bytes.len() > limits.max_message_bytes as usize {
        let message = format!("{} bytes; at most {} are taken", bytes.len(), limits.max_message_bytes);
        return Err(DecodeError::new(rescued_correlation(bytes), ReasonCode::MessageTooLarge, message));
    }
    // The verified root checks neither the identifier nor that there is room for one.
    if bytes.len() < HEADER_BYTES || !fb::envelope_buffer_has_identifier(bytes) {
        return Err(DecodeError::malformed(0, "not a FlatBuffer with the file identifier XBR1"));
    }
    fb::root_as_envelope_with_opts(&limits.verifier_options(), bytes).map_err(|error| {
        DecodeError::malformed(
            rescued_correlation(bytes),
            format!("the FlatBuffer fails verification: {}", brief(&error)),
        )
    })
}

/// The correlation number of a buffer that may be damaged elsewhere; 0 if it cannot be read or is absent.
fn rescued_correlation(bytes: &[u8]) -> u64 {
    read_correlation(bytes).unwrap_or(0)
}

fn read_correlation(bytes: &[u8]) -> Option<u64> {
    if bytes.len() < HEADER_BYTES || !fb::envelope_buffer_has_identifier(bytes) {
        return None;
    }
    let table = usize::try_from(u32::from_le_bytes(array_at(bytes, 0)?)).ok()?;
    let back_to_vtable = i64::from(i32::from_le_bytes(array_at(bytes, table)?));
    let vtable = usize::try_from(i64::try_from(table).ok()?.checked_sub(back_to_vtable)?).ok()?;
    let vtable_bytes = usize::from(u16::from_le_bytes(array_at(bytes, vtable)?));
    if vtable_bytes < CORRELATION_ENTRY + 2 {
        return None;
    }
    let entry = u16::from_le_bytes(array_at(bytes, vtable.checked_add(CORRELATION_ENTRY)?)?);
    if entry == 0 {
        return None;
    }
    Some(u64::from_le_bytes(array_at(bytes, table.checked_add(usize::from(entry))?)?))
}

fn array_at<const N: usize>(bytes: &[u8], position: usize) -> Option<[u8; N]> {
    bytes.get(position..position.checked_add(N)?)?.try_into().ok()
}

/// What is wrong, without the trace (a hostile sender decides how long that is).
fn brief(error: &InvalidFlatbuffer) -> &'static str {
    match error {
        InvalidFlatbuffer::MissingRequiredField { .. } => "a required field is missing",
        InvalidFlatbuffer::InconsistentUnion { .. } => "the body and its type do not go together",
        InvalidFlatbuffer::Utf8Error { .. } => "a text is not UTF-8",
        InvalidFlatbuffer::MissingNullTerminator { .. } => "a text has no terminator",
        InvalidFlatbuffer::Unaligned { .. } => "a value is not aligned",
        InvalidFlatbuffer::RangeOutOfBounds { .. } | InvalidFlatbuffer::SignedOffsetOutOfBounds { .. } => {
            "an offset points outside"
        }
        InvalidFlatbuffer::TooManyTables => "it has too many tables",
        InvalidFlatbuffer::ApparentSizeTooLarge => "it refers to its own parts too often",
        InvalidFlatbuffer::DepthLimitReached => "it is nested too deeply",
    }
}
