//! What one message may cost before and while it is verified (invariants 9 and 10).

use flatbuffers::VerifierOptions;

/// Bytes a session id may have.
pub const MAX_SESSION_ID_BYTES: usize = 64;

/// Whether this may name a session: printable ASCII, not too long (WIRE.md section 1.2); empty is a session of its own.
pub fn is_session_id(text: &str) -> bool {
    text.len() <= MAX_SESSION_ID_BYTES && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// Bounds on one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeLimits {
    /// Bytes of the message part.
    pub max_message_bytes: u32,
    /// Orders, and quotes, in one message.
    pub max_batch_orders: u32,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_message_bytes: 1 << 20, max_batch_orders: 1000 }
    }
}

impl DecodeLimits {
    /// For what an engine sends: the peer is trusted more than a client, but still bounded.
    pub const OF_A_CLIENT: Self = Self { max_message_bytes: 64 << 20, max_batch_orders: 1 << 20 };

    pub(crate) fn verifier_options(&self) -> VerifierOptions {
        let bytes = self.max_message_bytes as usize;
        VerifierOptions {
            // Envelope, batch, order, metadata entry: four; room for what later versions nest.
            max_depth: 8,
            // The smallest table of ours (a metadata entry and the offset to it) takes 16 bytes, so no honest message
            // has more. Offsets may share one table: this bounds what such a message can be blown up to.
            max_tables: (bytes / 16).max(64),
            // An encoder may share equal strings; nobody needs to share each of them more than that.
            max_apparent_size: bytes.saturating_mul(4),
            ignore_missing_null_terminator: false,
        }
    }
}
