"""Bounded reading of FlatBuffers: nothing is believed before it was checked (invariant 9).

The flatbuffers runtime for Python has no verifier, and its accessors cut a text that runs over the end without a
word. So the portable codec reads by itself: every offset, length and width is checked against the buffer, and work
and memory are bounded by the size of the message. Whatever is wrong raises `WireDecodeError`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from transport.contract.errors import WireDecodeError

U16: Final = Struct("<H")
I32: Final = Struct("<i")
U32: Final = Struct("<I")

_MAX_DEPTH: Final = 8
"""Envelope > BatchReply > ExecuteReply > OrderReply is the deepest there is; a newer schema may add a few."""
_TABLE_MIN_BYTES: Final = 8
"""An offset to a table and its own first field: no message can hold more tables than its bytes divided by this."""
_TEXT_AMPLIFICATION: Final = 16
"""Texts may be shared between tables, so their sum may exceed the message, but not by more than this."""


class TableView:
    """One table: where its fields lie. Made by `MessageReader.table`, which has checked the bounds of all of it."""

    __slots__ = ("depth", "fields", "position")

    def __init__(self, position: int, fields: tuple[int, ...], depth: int) -> None:
        self.position = position
        self.fields = fields
        self.depth = depth


class MessageReader:
    """Reads one message; remembers vtables, and how much work the message has caused so far."""

    __slots__ = ("_tables_left", "_text_bytes_left", "_vtables", "data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self._vtables: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._tables_left = self.size // _TABLE_MIN_BYTES + 1
        self._text_bytes_left = self.size * _TEXT_AMPLIFICATION + 65536

    def root(self, identifier: bytes) -> TableView:
        """The root table of a message that carries this file identifier."""
        if self.size < 8:
            raise WireDecodeError(f"a message of {self.size} bytes is too short for a FlatBuffer")
        if self.data[4:8] != identifier:
            raise WireDecodeError(f"file identifier {self.data[4:8]!r} instead of {identifier!r}")
        return self.table_at(U32.unpack_from(self.data)[0], 0)

    def bytes_at(self, position: int, length: int) -> None:
        """Check that `length` bytes at `position` lie within the message."""
        if position < 0 or length < 0 or position + length > self.size:
            raise WireDecodeError(f"{length} bytes at offset {position} lie outside a message of {self.size} bytes")

    def follow(self, position: int) -> int:
        """Where the offset at `position` points."""
        self.bytes_at(position, 4)
        return position + U32.unpack_from(self.data, position)[0]

    def table(self, position: int, parent: TableView) -> TableView:
        """The table that the offset at `position` points to."""
        return self.table_at(self.follow(position), parent.depth + 1)

    def table_at(self, position: int, depth: int) -> TableView:
        """The table at `position`."""
        self._tables_left -= 1
        if depth > _MAX_DEPTH or self._tables_left < 0:
            raise WireDecodeError("tables nest too deep, or are more than the message has room for")
        self.bytes_at(position, 4)
        table_bytes, fields = self._vtable(position - I32.unpack_from(self.data, position)[0])
        self.bytes_at(position, table_bytes)
        return TableView(position, fields, depth)

    def _vtable(self, position: int) -> tuple[int, tuple[int, ...]]:
        known = self._vtables.get(position)
        if known is not None:
            return known
        self.bytes_at(position, 4)
        vtable_bytes = U16.unpack_from(self.data, position)[0]
        table_bytes = U16.unpack_from(self.data, position + 2)[0]
        self.bytes_at(position, vtable_bytes)
        if vtable_bytes < 4 or vtable_bytes % 2 or table_bytes < 4:
            raise WireDecodeError(f"vtable at offset {position} has impossible sizes")
        fields = tuple(U16.unpack_from(self.data, position + entry)[0] for entry in range(4, vtable_bytes, 2))
        # The low 16 bits are enough for a field's place; its width is checked where it is read.
        if any(field and not 4 <= field < table_bytes for field in fields):
            raise WireDecodeError(f"vtable at offset {position} places a field outside its table")
        self._vtables[position] = (table_bytes, fields)
        return table_bytes, fields

    def text(self, position: int) -> str:
        """The text that the offset at `position` points to."""
        start = self.follow(position)
        self.bytes_at(start, 4)
        length = U32.unpack_from(self.data, start)[0]
        self.bytes_at(start + 4, length + 1)
        if self.data[start + 4 + length]:
            raise WireDecodeError(f"text at offset {start} is not closed by a NUL")
        self._text_bytes_left -= length
        if self._text_bytes_left < 0:
            raise WireDecodeError("texts add up to many times the message")
        try:
            return self.data[start + 4 : start + 4 + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireDecodeError(f"text at offset {start} is not UTF-8: {error}") from None

    def vector(self, position: int, element_bytes: int) -> tuple[int, int]:
        """Start and length of the vector that the offset at `position` points to."""
        start = self.follow(position)
        self.bytes_at(start, 4)
        length = U32.unpack_from(self.data, start)[0]
        self.bytes_at(start + 4, length * element_bytes)
        return start + 4, length
