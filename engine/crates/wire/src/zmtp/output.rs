//! Bytes that wait to be written, and how many of them were.

/// What the buffer keeps between messages of a busy connection.
const KEPT_BYTES: usize = 256 << 10;

/// A connection's output: appended at its end, written from its front.
#[derive(Default)]
pub(super) struct OutputBuffer {
    bytes: Vec<u8>,
    written: usize,
}

impl OutputBuffer {
    /// What is to be appended to.
    pub fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes to write next.
    pub fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// How many bytes wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// The first `count` of them were written.
    pub fn advance(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.bytes.len());
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.written = 0;
        } else if self.written >= KEPT_BYTES && self.written * 2 >= self.bytes.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    /// Bytes held, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back what is not needed just now.
    pub fn release_memory(&mut self) {
        if self.pending_bytes() == 0 {
            self.bytes.shrink_to_fit();
        }
    }
}
