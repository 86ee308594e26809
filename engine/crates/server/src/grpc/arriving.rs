//! Bounds what messages may hold that have not arrived whole, all connections together (invariant 10).
//!
//! tonic gathers a message until it is whole, and makes room for all of it as soon as its length is known. A peer that
//! begins long messages on all streams it may open, and ends none, would hold the product. Short ones, as every single
//! order is, go free: what they can hold is bounded by the number of streams.

use super::status::refusal;
use bridge_core::{ReasonCode, Rejection};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::codegen::{Body, Bytes, StdError};

/// Messages up to this length go free: as much as one stream may have unread anyway.
const FREE_BYTES: usize = 16 << 10;
/// Bytes of longer messages that arrive at a time; some hundred batches of a thousand orders.
const ROOM_BYTES: usize = 64 << 20;
/// Compressed or not, and the length.
const PREFIX_BYTES: usize = 5;

/// Room for messages that arrive.
#[derive(Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    most_of_one: usize,
}

impl Room {
    /// Room for some messages of the longest kind at least.
    pub fn new(max_message_bytes: usize) -> Self {
        let bytes = ROOM_BYTES.max(4 * max_message_bytes);
        Self { bytes: Arc::new(Semaphore::new(bytes)), most_of_one: max_message_bytes }
    }

    /// What one message holds from now on. Too long a one holds nothing: tonic refuses it by its length.
    fn take(&self, length: usize) -> Result<Option<OwnedSemaphorePermit>, Rejection> {
        if length <= FREE_BYTES || length > self.most_of_one {
            return Ok(None);
        }
        let taken = u32::try_from(length).ok().and_then(|n| self.bytes.clone().try_acquire_many_owned(n).ok());
        taken.map(Some).ok_or_else(|| {
            let message = format!("too many long messages are arriving; send these {length} bytes again after a pause");
            Rejection::new(ReasonCode::Busy, "", message)
        })
    }
}

/// A request's body that takes room for its messages.
pub struct Arriving<B> {
    body: B,
    room: Room,
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    missing_bytes: usize,
    held: Option<OwnedSemaphorePermit>,
}

impl<B> Arriving<B> {
    /// A body of which nothing has been read.
    pub fn new(body: B, room: Room) -> Self {
        Self { body, room, prefix: [0; PREFIX_BYTES], prefix_bytes: 0, missing_bytes: 0, held: None }
    }

    /// Goes along the messages in `bytes`.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Rejection> {
        while !bytes.is_empty() {
            if self.missing_bytes == 0 {
                let taken = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..][..taken].copy_from_slice(&bytes[..taken]);
                self.prefix_bytes += taken;
                bytes = &bytes[taken..];
                if self.prefix_bytes < PREFIX_BYTES {
                    return Ok(());
                }
                self.prefix_bytes = 0;
                let [_, a, b, c, d] = self.prefix;
                self.missing_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
                // What went before is whole, or tonic would not read on: its room first.
                self.held = None;
                self.held = self.room.take(self.missing_bytes)?;
            } else {
                let passed = bytes.len().min(self.missing_bytes);
                self.missing_bytes -= passed;
                bytes = &bytes[passed..];
            }
        }
        Ok(())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B>
where
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, StdError>>> {
        if self.missing_bytes == 0 {
            // Whoever asks for more has taken what was whole.
            self.held = None;
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let passed = frame.data_ref().map_or(Ok(()), |bytes| self.pass(bytes));
        Poll::Ready(Some(passed.map(|()| frame).map_err(|rejection| refusal(&rejection).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let prefix = [&[0][..], &(length as u32).to_be_bytes()].concat();
        [prefix, vec![7; length]].concat()
    }

    fn free_bytes(room: &Room) -> usize {
        room.bytes.available_permits()
    }

    #[test]
    fn a_long_message_holds_its_length_from_its_prefix_on_however_it_is_cut() {
        let (long, short) = (message(100_000), message(100));
        let stream = [short.clone(), long.clone(), short, long].concat();
        for piece_bytes in [1, 4, 7, 1_000, stream.len()] {
            let room = Room::new(1 << 20);
            let all = free_bytes(&room);
            let mut arriving = Arriving::new((), room.clone());
            let mut least = all;
            for piece in stream.chunks(piece_bytes) {
                assert!(arriving.pass(piece).is_ok());
                least = least.min(free_bytes(&room));
            }
            assert_eq!(all - least, 100_000, "pieces of {piece_bytes}");
            drop(arriving);
            assert_eq!(free_bytes(&room), all);
        }
    }

    #[test]
    fn where_there_is_no_room_a_long_message_is_busy_and_a_short_one_passes() {
        let room = Room::new(1 << 20);
        let begun = |room: &Room| {
            let mut arriving = Arriving::new((), room.clone());
            arriving.pass(&message(1 << 20)[..PREFIX_BYTES]).map(|()| arriving)
        };
        let held: Vec<_> = std::iter::from_fn(|| begun(&room).ok()).collect();
        assert_eq!(held.len(), ROOM_BYTES >> 20);
        assert_eq!(begun(&room).err().map(|rejection| rejection.code), Some(ReasonCode::Busy));
        assert!(Arriving::new((), room.clone()).pass(&message(FREE_BYTES)).is_ok());
        drop(held);
        assert!(begun(&room).is_ok());
    }

    #[test]
    fn what_is_too_long_holds_nothing_and_is_left_to_tonic() {
        let room = Room::new(1 << 20);
        let all = free_bytes(&room);
        let mut arriving = Arriving::new((), room.clone());
        assert!(arriving.pass(&[0, 255, 255, 255, 255]).is_ok());
        assert_eq!(free_bytes(&room), all);
    }
}
