//! What stands behind the last whole record of a segment, and what of it a torn write explains.

use std::io;

use crate::DiskFile;
use crate::format::{ALIGNMENT, KIND_AT, Kind, RECORD_HEADER_BYTES, RecordHeader};
use crate::window::Window;

/// What stands behind the last whole record of a segment.
pub(crate) struct Searched {
    /// Up to the last byte that is not zero.
    pub bytes: u64,
    /// The sequence number in the first whole header that says that the record was durable.
    pub witness: Option<u64>,
}

const BLOCK_BYTES: usize = 64 * 1024;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Looks at every place where a header may stand, for one that says that `seq` was durable. Most
/// of a segment is zeros, which are compared by blocks.
pub(crate) fn search<F: DiskFile>(window: &mut Window<F>, seed: u32, from: u64, seq: u64) -> io::Result<Searched> {
    let mut searched = Searched { bytes: 0, witness: None };
    let mut block_offset = from;
    loop {
        let (bytes, block_bytes) = match window.up_to(block_offset, BLOCK_BYTES + RECORD_HEADER_BYTES)? {
            [] => return Ok(searched),
            bytes => (bytes, bytes.len().min(BLOCK_BYTES)),
        };
        let block = &bytes[..block_bytes];
        if block != &ZEROS[..block_bytes] {
            let used = block.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            searched.bytes = block_offset - from + used as u64;
            searched.witness = searched.witness.or_else(|| find_witness(bytes, seed, seq));
        }
        block_offset += block_bytes as u64;
    }
}

fn find_witness(bytes: &[u8], seed: u32, seq: u64) -> Option<u64> {
    let places = (0..bytes.len().min(BLOCK_BYTES)).step_by(ALIGNMENT);
    places
        .filter_map(|at| bytes.get(at..at + RECORD_HEADER_BYTES))
        .filter_map(|header| RecordHeader::decode(seed, header))
        .find(|header| header.durable_seq >= seq)
        .map(|header| header.seq)
}

/// How many bytes from `offset` on may differ from zero if the write of record `seq` ended early: a write ends as a
/// prefix of itself. A byte more, and the record was written whole.
pub(crate) fn torn_write_bytes<F: DiskFile>(
    window: &mut Window<F>,
    seed: u32,
    offset: u64,
    seq: u64,
) -> io::Result<u64> {
    let Some(bytes) = window.get(offset, RECORD_HEADER_BYTES)? else { return Ok(u64::MAX) };
    Ok(match RecordHeader::decode(seed, bytes) {
        // The kind's first byte is the last one of a header that is not zero.
        None => KIND_AT as u64,
        Some(header) if header.kind == Kind::Record && header.seq == seq => {
            RECORD_HEADER_BYTES as u64 + u64::from(header.length.saturating_sub(1))
        }
        Some(_) => 0,
    })
}
