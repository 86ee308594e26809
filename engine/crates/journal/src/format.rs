//! The bytes of a segment: its header, and the frame around each record. All integers are little
//! endian, records start at multiples of eight.
//!
//! Checksums are seeded by the segment's header, which holds a random salt that no client ever
//! sees: bytes inside a payload that imitate a record never pass for one, nor does a stale record
//! of another file.

use uuid::Uuid;

/// The version of the format of segments and of what the engine puts into records.
pub const FORMAT_VERSION: u32 = 3;
/// Bytes at the start of each segment that are not records.
pub const SEGMENT_HEADER_BYTES: u64 = 64;
/// The most a record takes beside its payload: its header and the padding to eight bytes.
pub const RECORD_OVERHEAD_BYTES: u64 = RECORD_HEADER_BYTES as u64 + 7;
/// The largest payload. It bounds what a reader ever allocates for one record.
pub const MAX_PAYLOAD_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 32;
/// Where the kind stands in it, the last field.
pub(crate) const KIND_AT: usize = RECORD_HEADER_BYTES - 4;
/// Where records may start.
pub(crate) const ALIGNMENT: usize = 8;

const MAGIC: [u8; 8] = *b"XBRIDGEJ";
/// Where the checksum stands in the header of a segment.
const CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES as usize - 4;
const KIND_RECORD: u32 = 1;
const KIND_CLEAN_CLOSE: u32 = 2;

/// The header of a segment: magic, version, journal id, salt, zeros, checksum.
///
/// It does not hold the first sequence number: the file's name does, the first record confirms
/// it, and so a segment can be made ready (and synced) before its place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub journal_id: Uuid,
    pub salt: [u8; 16],
}

/// Why a segment's header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadSegmentHeader {
    NotOurs,
    Version(u32),
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(self.journal_id.as_bytes());
        bytes[32..48].copy_from_slice(&self.salt);
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES as usize]) -> Result<Self, BadSegmentHeader> {
        if bytes[0..8] != MAGIC || u32_at(bytes, CHECKSUM_AT) != crc32c::crc32c(&bytes[..CHECKSUM_AT]) {
            return Err(BadSegmentHeader::NotOurs);
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(BadSegmentHeader::Version(version));
        }
        let mut journal_id = [0; 16];
        journal_id.copy_from_slice(&bytes[16..32]);
        let mut salt = [0; 16];
        salt.copy_from_slice(&bytes[32..48]);
        Ok(Self { journal_id: Uuid::from_bytes(journal_id), salt })
    }

    /// Where the checksums of this segment's records start from: the header's own checksum. (Not
    /// one over the whole header: a CRC over something and its CRC is the same for everything.)
    pub fn seed(&self) -> u32 {
        u32_at(&self.encode(), CHECKSUM_AT)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record of the engine.
    Record,
    /// The engine closed the journal in order; has no payload and no sequence number of its own.
    CleanClose,
}

/// The header of a record: length, own checksum, sequence number, highest sequence number that
/// was known to be synced when this was written, checksum of the payload, kind.
///
/// It has a checksum of its own, so that a reader knows the length before it trusts it, and so
/// that a whole header is a witness of what was durable even if its payload is torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub kind: Kind,
    pub length: u32,
    /// For a clean close: that of the last record before it.
    pub seq: u64,
    pub durable_seq: u64,
    pub payload_checksum: u32,
}

impl RecordHeader {
    fn encode(&self, seed: u32) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable_seq.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let kind = match self.kind {
            Kind::Record => KIND_RECORD,
            Kind::CleanClose => KIND_CLEAN_CLOSE,
        };
        bytes[28..32].copy_from_slice(&kind.to_le_bytes());
        let checksum = header_checksum(seed, &bytes);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `bytes` has at least [`RECORD_HEADER_BYTES`]. `None`: this is not a header of the segment.
    pub fn decode(seed: u32, bytes: &[u8]) -> Option<Self> {
        let kind = match u32_at(bytes, 28) {
            KIND_RECORD => Kind::Record,
            KIND_CLEAN_CLOSE => Kind::CleanClose,
            _ => return None,
        };
        let header = Self {
            kind,
            length: u32_at(bytes, 0),
            seq: u64_at(bytes, 8),
            durable_seq: u64_at(bytes, 16),
            payload_checksum: u32_at(bytes, 24),
        };
        let plausible = u64::from(header.length) <= MAX_PAYLOAD_BYTES
            && header.durable_seq <= header.seq
            && (kind == Kind::Record || header.length == 0);
        (plausible && u32_at(bytes, 4) == header_checksum(seed, bytes)).then_some(header)
    }

    /// The payload with its padding.
    pub fn padded_length(&self) -> usize {
        (self.length as usize).next_multiple_of(ALIGNMENT)
    }
}

/// What a record with such a payload takes in a segment.
pub(crate) fn framed_bytes(payload_bytes: usize) -> u64 {
    (RECORD_HEADER_BYTES + payload_bytes.next_multiple_of(ALIGNMENT)) as u64
}

/// Appends a whole record to `buffer`. The payload is at most [`MAX_PAYLOAD_BYTES`].
pub(crate) fn encode_record(buffer: &mut Vec<u8>, seed: u32, seq: u64, durable_seq: u64, payload: &[u8]) {
    let start = buffer.len();
    buffer.resize(start + RECORD_HEADER_BYTES, 0);
    buffer.extend_from_slice(payload);
    let padded = payload.len().next_multiple_of(ALIGNMENT);
    buffer.resize(start + RECORD_HEADER_BYTES + padded, 0);
    let header = RecordHeader {
        kind: Kind::Record,
        length: payload.len() as u32,
        seq,
        durable_seq,
        payload_checksum: payload_checksum(seed, seq, &buffer[start + RECORD_HEADER_BYTES..]),
    };
    buffer[start..start + RECORD_HEADER_BYTES].copy_from_slice(&header.encode(seed));
}

/// The mark of a close in order: everything up to `last_seq` is synced.
pub(crate) fn encode_clean_close(seed: u32, last_seq: u64) -> [u8; RECORD_HEADER_BYTES] {
    RecordHeader { kind: Kind::CleanClose, length: 0, seq: last_seq, durable_seq: last_seq, payload_checksum: 0 }
        .encode(seed)
}

/// The checksum over a payload and its padding, bound to the record's place in the sequence.
pub(crate) fn payload_checksum(seed: u32, seq: u64, padded_payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &seq.to_le_bytes()), padded_payload)
}

fn header_checksum(seed: u32, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &header[0..4]), &header[8..32])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment_header() -> SegmentHeader {
        SegmentHeader { journal_id: Uuid::from_u128(7), salt: [9; 16] }
    }

    #[test]
    fn a_segment_header_reads_back_and_any_flipped_bit_is_refused() {
        let bytes = segment_header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(segment_header()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&damaged), Err(BadSegmentHeader::NotOurs));
        }
    }

    #[test]
    fn a_segment_of_another_version_is_told_from_damage() {
        let mut bytes = segment_header().encode();
        bytes[8] = 99;
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadSegmentHeader::Version(99)));
    }

    #[test]
    fn any_flipped_bit_of_a_record_header_is_refused() {
        let mut buffer = Vec::new();
        encode_record(&mut buffer, 5, 12, 11, b"payload");
        assert!(RecordHeader::decode(5, &buffer).is_some());
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut damaged = buffer.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(5, &damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn two_salts_give_two_seeds() {
        let other = SegmentHeader { salt: [8; 16], ..segment_header() };
        assert_ne!(segment_header().seed(), other.seed());
    }

    #[test]
    fn a_record_of_another_segment_is_not_a_record_of_this_one() {
        let mut buffer = Vec::new();
        encode_record(&mut buffer, 5, 12, 11, b"payload");
        assert_eq!(RecordHeader::decode(6, &buffer), None);
    }

    #[test]
    fn zeros_are_never_a_record() {
        for seed in 0..1000 {
            assert_eq!(RecordHeader::decode(seed, &[0; RECORD_HEADER_BYTES]), None);
        }
    }
}
