//! The handshake of one connection, by omq-proto, which is given its bytes and not one more.

use super::{connection::SocketRole, error::ZmtpError, frames::FrameHeader};
use bytes::Bytes;
use omq_proto::proto::{Connection, ConnectionConfig, Role, SocketType};

/// Signature, version, mechanism, filler (RFC 37).
const GREETING_BYTES: usize = 64;
const LONGEST_HEADER_BYTES: usize = 9;

/// What the next byte belongs to. The codec takes any split, but must not be given what follows the handshake:
/// those frames are read by [`super::connection`].
#[derive(Debug)]
enum Stage {
    Greeting { missing: usize },
    Header { bytes: [u8; LONGEST_HEADER_BYTES], read: usize },
    Body { missing: usize },
}

impl Stage {
    const FRAME: Self = Self::Header { bytes: [0; LONGEST_HEADER_BYTES], read: 0 };
}

/// Greeting and READY of both sides, mechanism NULL. Dropped when it is done: the codec holds 64 KiB.
pub(super) struct Handshake {
    codec: Connection,
    stage: Stage,
    taken_bytes: usize,
    max_bytes: usize,
}

impl Handshake {
    pub fn new(role: SocketRole, max_bytes: usize) -> Self {
        let socket_type = match role {
            SocketRole::Router => SocketType::Router,
            SocketRole::Publisher => SocketType::Pub,
        };
        let codec = Connection::new(ConnectionConfig::new(Role::Server, socket_type));
        Self { codec, stage: Stage::Greeting { missing: GREETING_BYTES }, taken_bytes: 0, max_bytes }
    }

    pub fn is_done(&self) -> bool {
        self.codec.is_ready()
    }

    /// Takes what belongs to the handshake, and says how much that was. What it has to say is in `output` then,
    /// whether it failed or not: a failure may come with an ERROR command for the peer.
    ///
    /// # Errors
    /// Any error ends the connection.
    pub fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<usize, ZmtpError> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            let count = self.next_piece(&bytes[taken..]);
            let piece = &bytes[taken..taken + count];
            taken += count;
            let fed = self.codec.handle_input(Bytes::copy_from_slice(piece));
            self.take_output(output);
            fed.map_err(|error| ZmtpError::from_codec(error, self.max_bytes))?;
            self.advance(piece)?;
            self.taken_bytes += count;
            if self.taken_bytes > self.max_bytes {
                return Err(ZmtpError::HandshakeTooLong { max_bytes: self.max_bytes });
            }
        }
        Ok(taken)
    }

    /// Moves the codec's words into the connection's output.
    pub fn take_output(&mut self, output: &mut Vec<u8>) {
        while self.codec.has_pending_transmit() {
            let pending = self.codec.poll_transmit();
            output.extend_from_slice(&pending);
            self.codec.advance_transmit(pending.len());
        }
    }

    /// How many of the bytes belong to what is being read. A header is taken byte by byte: its end is in it.
    fn next_piece(&self, bytes: &[u8]) -> usize {
        match self.stage {
            Stage::Greeting { missing } | Stage::Body { missing } => missing.min(bytes.len()),
            Stage::Header { .. } => 1,
        }
    }

    fn advance(&mut self, piece: &[u8]) -> Result<(), ZmtpError> {
        match &mut self.stage {
            Stage::Greeting { missing } | Stage::Body { missing } => {
                *missing -= piece.len();
                if *missing == 0 {
                    self.stage = Stage::FRAME;
                }
            }
            Stage::Header { bytes, read } => {
                bytes[*read..*read + piece.len()].copy_from_slice(piece);
                *read += piece.len();
                match FrameHeader::read(&bytes[..*read])? {
                    None => {}
                    Some(FrameHeader { body_bytes: 0, .. }) => self.stage = Stage::FRAME,
                    Some(header) => self.stage = Stage::Body { missing: header.body_bytes },
                }
            }
        }
        Ok(())
    }
}
