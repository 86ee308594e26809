"""FlatBuffers of the fast path: the codec seam, its two implementations, and the canonical form."""
