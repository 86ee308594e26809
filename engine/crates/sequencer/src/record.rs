//! What one record of the journal holds: one input, and everything it led to.

use crate::{Origin, Path};
use bridge_core::{Call, CommandOutcome, Event, Input, InputRef, UtcNanos};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// A record as it is read. Fields in the order of [`RecordView`]: postcard writes them by position.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) time_ns: UtcNanos,
    /// Whether the embedded exchange executed; else an external venue was meant.
    pub(crate) embedded: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) venue_events: Vec<bridge_venue::Event>,
    pub(crate) principal: String,
    pub(crate) path: Path,
    pub(crate) session_id: String,
    pub(crate) input: Input,
    /// Answer to the input where `apply` gave it at once.
    pub(crate) reply: Option<CommandOutcome>,
    /// Calls that ended with this record, with their answers.
    pub(crate) concluded: Vec<(Call, CommandOutcome)>,
    /// Room for a chain of hashes over the records.
    pub(crate) previous_hash: Option<[u8; 32]>,
}

/// The part of a record that recovery folds. It comes first, so that a start reads no more than it needs.
#[derive(Deserialize)]
pub(crate) struct Happened {
    pub(crate) time_ns: UtcNanos,
    pub(crate) embedded: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) venue_events: Vec<bridge_venue::Event>,
}

/// A record as it is written: the same fields, borrowed, so that nothing is copied on the hot path.
#[derive(Serialize)]
pub(crate) struct RecordView<'a> {
    pub(crate) time_ns: UtcNanos,
    pub(crate) embedded: bool,
    pub(crate) events: &'a [Event],
    pub(crate) venue_events: &'a [bridge_venue::Event],
    pub(crate) principal: &'a str,
    pub(crate) path: Path,
    pub(crate) session_id: &'a str,
    pub(crate) input: InputRef<'a>,
    pub(crate) reply: Option<&'a CommandOutcome>,
    pub(crate) concluded: &'a [(Call, CommandOutcome)],
    pub(crate) previous_hash: Option<[u8; 32]>,
}

/// Memory that records are encoded in, one at a time.
#[derive(Default)]
pub(crate) struct Encoded {
    memory: Vec<u8>,
    length: usize,
}

impl Encoded {
    /// What an order's record fits in; larger ones make the memory grow.
    const USUAL_BYTES: usize = 4096;

    /// Puts a record in the place of the former one.
    ///
    /// # Errors
    /// What postcard says; no type in a record gives it cause to.
    pub(crate) fn encode(&mut self, record: &impl Serialize) -> Result<&[u8], postcard::Error> {
        loop {
            match postcard::serialize_with_flavor(record, Cursor { bytes: &mut self.memory, at: 0 }) {
                Ok(length) => self.length = length,
                Err(postcard::Error::SerializeBufferFull) => {
                    let bytes = self.memory.len().saturating_mul(2).max(Self::USUAL_BYTES);
                    self.memory.resize(bytes, 0);
                    continue;
                }
                Err(error) => return Err(error),
            }
            return Ok(&self.memory[..self.length]);
        }
    }
}

impl Encoded {
    /// Encodes something large, handing out its bytes by pieces.
    ///
    /// # Errors
    /// What postcard says; no type in a snapshot gives it cause to.
    pub(crate) fn stream(value: &impl Serialize, put: impl FnMut(&[u8])) -> Result<(), postcard::Error> {
        postcard::serialize_with_flavor(value, Stream { put, piece: Vec::with_capacity(STREAM_PIECE_BYTES) })
    }
}

const STREAM_PIECE_BYTES: usize = 64 << 10;

struct Stream<F> {
    put: F,
    piece: Vec<u8>,
}

impl<F: FnMut(&[u8])> Flavor for Stream<F> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= STREAM_PIECE_BYTES {
            (self.put)(&self.piece);
            self.piece.clear();
        }
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<()> {
        (self.put)(&self.piece);
        Ok(())
    }
}

/// Writes into memory that is there. A record is a hundred small pieces, so nothing is called for the smallest.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Flavor for Cursor<'_> {
    type Output = usize;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        let place = self.bytes.get_mut(self.at).ok_or(postcard::Error::SerializeBufferFull)?;
        *place = byte;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if let [byte] = bytes {
            return self.try_push(*byte);
        }
        let places = self.bytes.get_mut(self.at..).and_then(|rest| rest.get_mut(..bytes.len()));
        let places = places.ok_or(postcard::Error::SerializeBufferFull)?;
        match (places, bytes) {
            ([a, b], [c, d]) => (*a, *b) = (*c, *d),
            ([a, b, c], [d, e, f]) => (*a, *b, *c) = (*d, *e, *f),
            (places, bytes) => places.copy_from_slice(bytes),
        }
        self.at += bytes.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.at)
    }
}

/// Decodes a whole payload.
///
/// # Errors
/// In words: the payload is not a record of this version, or has bytes behind its end.
pub(crate) fn decode(payload: &[u8]) -> Result<Record, String> {
    match postcard::take_from_bytes::<Record>(payload) {
        Ok((record, [])) => Ok(record),
        Ok((_, rest)) => Err(format!("{} bytes behind its end", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Decodes what recovery folds, and no more: `verify` reads the rest.
///
/// # Errors
/// In words: the payload does not begin as a record of this version.
pub(crate) fn decode_happened(payload: &[u8]) -> Result<Happened, String> {
    postcard::take_from_bytes(payload).map(|(happened, _)| happened).map_err(|error| error.to_string())
}

impl Origin {
    /// Of inputs that no client sent.
    pub(crate) fn of(path: Path) -> Self {
        Self { principal: "engine".into(), path, session_id: "".into() }
    }
}
