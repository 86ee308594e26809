//! Why a connection has to be closed.

use omq_proto::Error;

/// Ends a connection: write what [`super::ServerConnection::output`] still has (it may hold the peer's explanation),
/// then close. Nothing more can be received on it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ZmtpError {
    /// The peer sent more than the handshake may take, and is still not done with it.
    #[error("the handshake exceeds {max_bytes} bytes")]
    HandshakeTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// A message above the limit. It was not read; a refusal can still be sent.
    #[error("a message of {size_bytes} bytes or more; at most {max_bytes} are taken")]
    MessageTooLarge {
        /// As announced by the frame that went over the limit.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Not ZMTP 3, another mechanism, an incompatible socket type, or a violation of the protocol.
    #[error("{0}")]
    Protocol(String),
    /// Used after an error, or before the handshake was done.
    #[error("the connection is not ready for messages")]
    NotReady,
    /// `receive` although `accepts_input` is false.
    #[error("input is paused until output has been written")]
    InputPaused,
}

impl ZmtpError {
    pub(super) fn from_codec(error: Error, max_bytes: usize) -> Self {
        match error {
            Error::MessageTooLarge { size, .. } => Self::MessageTooLarge { size_bytes: size, max_bytes },
            Error::Closed => Self::NotReady,
            other => Self::Protocol(other.to_string()),
        }
    }
}
