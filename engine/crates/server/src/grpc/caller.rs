//! What the metadata of a request says: which engine is meant, whose session, which trace (WIRE.md section 2).

use bridge_core::{ReasonCode, Rejection};
use bridge_wire::limits::is_session_id;
use std::sync::Arc;
use tonic::metadata::MetadataMap;

/// Longest trace context, bytes.
const MAX_TRACE_CONTEXT_BYTES: usize = 128;

/// Who calls.
pub struct Caller {
    /// `x-session-id`; empty where there is none.
    pub session_id: Arc<str>,
    /// `traceparent`; empty where there is none.
    pub traceparent: String,
}

impl Caller {
    /// Reads the metadata and checks that this engine is meant.
    ///
    /// # Errors
    /// JOURNAL_ID_MISMATCH, or a session id that is none.
    pub fn from_metadata(metadata: &MetadataMap, journal_id: &str) -> Result<Self, Rejection> {
        let text = |key| metadata.get(key).map(|value| value.to_str().unwrap_or("\u{0}"));
        if let Some(named) = text("x-journal-id").filter(|named| *named != journal_id) {
            let message = format!("the request names journal {named:?}, this engine has {journal_id}; connect again");
            return Err(Rejection::new(ReasonCode::JournalIdMismatch, "x-journal-id", message));
        }
        let session_id = text("x-session-id").unwrap_or_default();
        if !is_session_id(session_id) {
            let message = "x-session-id must be printable ASCII of at most 64 bytes";
            return Err(Rejection::new(ReasonCode::MalformedMessage, "x-session-id", message));
        }
        // Tracing is no reason to refuse an order: what is no trace context is left out.
        let traceparent = text("traceparent").filter(|text| text.len() <= MAX_TRACE_CONTEXT_BYTES && *text != "\u{0}");
        Ok(Self { session_id: session_id.into(), traceparent: traceparent.unwrap_or_default().to_owned() })
    }
}
