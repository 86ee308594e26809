//! What one record of the journal holds: one input, and everything it led to.

use crate::{Origin, Path};
use bridge_core::{Call, CommandOutcome, Event, Input, InputRef, UtcNanos};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// A record as it is read. Fields in the order of [`RecordView`]: postcard writes them by position.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) time_ns: UtcNanos,
    pub(crate) principal: String,
    pub(crate) path: Path,
    pub(crate) session_id: String,
    /// Whether the embedded exchange executed; else an external venue was meant.
    pub(crate) embedded: bool,
    pub(crate) input: Input,
    pub(crate) events: Vec<Event>,
    pub(crate) venue_events: Vec<bridge_venue::Event>,
    /// Answer to the input where `apply` gave it at once.
    pub(crate) reply: Option<CommandOutcome>,
    /// Calls that ended with this record, with their answers.
    pub(crate) concluded: Vec<(Call, CommandOutcome)>,
    /// Room for a chain of hashes over the records.
    pub(crate) previous_hash: Option<[u8; 32]>,
}

/// A record as it is written: the same fields, borrowed, so that nothing is copied on the hot path.
#[derive(Serialize)]
pub(crate) struct RecordView<'a> {
    pub(crate) time_ns: UtcNanos,
    pub(crate) principal: &'a str,
    pub(crate) path: Path,
    pub(crate) session_id: &'a str,
    pub(crate) embedded: bool,
    pub(crate) input: InputRef<'a>,
    pub(crate) events: &'a [Event],
    pub(crate) venue_events: &'a [bridge_venue::Event],
    pub(crate) reply: Option<&'a CommandOutcome>,
    pub(crate) concluded: &'a [(Call, CommandOutcome)],
    pub(crate) previous_hash: Option<[u8; 32]>,
}

/// Encodes into `buffer`, which is emptied first and keeps its memory.
///
/// # Errors
/// What postcard says; no type in a record gives it cause to.
pub(crate) fn encode(record: &impl Serialize, buffer: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let mut bytes = std::mem::take(buffer);
    bytes.clear();
    *buffer = postcard::serialize_with_flavor(record, Appending(bytes))?;
    Ok(())
}

/// Appends to a vector: whole slices where postcard has them.
struct Appending(Vec<u8>);

impl Flavor for Appending {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
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

impl Origin {
    /// Of inputs that no client sent.
    pub(crate) fn of(path: Path) -> Self {
        Self { principal: "engine".into(), path, session_id: "".into() }
    }
}
