"""The portable codec: pure Python on the flatbuffers runtime; the native codec's oracle in tests.

Beside the client's half (`Codec`) it has the engine's (`encode_message`, `decode_message`), for tests that play an
engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flatbuffers.builder import Builder as FlatBuilder  # pyright: ignore[reportMissingTypeStubs]

from transport.contract.errors import WireDecodeError
from transport.contract.orders import Order
from transport.wire.kinds import Builder, Text, u8, u64
from transport.wire.layouts import BODIES, CLIENT_TAGS, TAG_BY_TYPE
from transport.wire.messages import FILE_IDENTIFIER, EngineMessage, ExecuteBatch, ExecuteOrder, Request, UnknownBody
from transport.wire.reader import MessageReader

_CORRELATION = u64()
_TEXT = Text()
_BODY_TAG = u8()


class PortableCodec:
    """See `transport.wire.codec.Codec`."""

    name = "portable"

    def encode_execute_order(self, correlation: int, journal_id: str, order: Order) -> bytes:
        """Envelope with ExecuteOrder."""
        return encode_message(correlation, journal_id, ExecuteOrder(order))

    def encode_execute_batch(self, correlation: int, journal_id: str, orders: Sequence[Order]) -> bytes:
        """Envelope with ExecuteBatch."""
        return encode_message(correlation, journal_id, ExecuteBatch(list(orders)))

    def encode_request(self, correlation: int, journal_id: str, request: Request) -> bytes:
        """Envelope with any other request."""
        return encode_message(correlation, journal_id, request)

    def decode(self, data: bytes) -> tuple[int, EngineMessage]:
        """Correlation number and body of what an engine sent; a client's body counts as unknown."""
        correlation, _, tag, body = _decode(data)
        if tag in CLIENT_TAGS:
            return correlation, UnknownBody(tag)
        return correlation, body


def encode_message(correlation: int, journal_id: str, body: Any) -> bytes:
    """One Envelope with any body, of clients or engines."""
    builder = cast("Builder", FlatBuilder(512))
    tag = TAG_BY_TYPE[type(body)]
    body_offset = BODIES[tag - 1].write(builder, body)
    journal_offset = _TEXT.prepare(builder, journal_id, "journal_id")
    number = _CORRELATION.prepare(builder, correlation, "correlation")
    builder.StartObject(4)
    if number is not None:
        _CORRELATION.add(builder, 0, number)
    if journal_offset is not None:
        _TEXT.add(builder, 1, journal_offset)
    _TEXT.add(builder, 3, body_offset)
    _BODY_TAG.add(builder, 2, tag)
    builder.Finish(builder.EndObject(), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def decode_message(data: bytes) -> tuple[int, str, Any]:
    """Correlation, journal id and body of one Envelope, of clients or engines."""
    correlation, journal_id, _, body = _decode(data)
    return correlation, journal_id, body


def _decode(data: bytes) -> tuple[int, str, int, Any]:
    reader = MessageReader(bytes(data))
    envelope = reader.root(FILE_IDENTIFIER)
    fields = (*envelope.fields, 0, 0, 0, 0)
    position = envelope.position
    correlation = _CORRELATION.read(reader, envelope, position + fields[0]) if fields[0] else 0
    journal_id = reader.text(position + fields[1]) if fields[1] else ""
    tag: int = _BODY_TAG.read(reader, envelope, position + fields[2]) if fields[2] else 0
    if not tag or not fields[3]:
        raise WireDecodeError("an envelope without a body")
    if tag > len(BODIES):
        return correlation, journal_id, tag, UnknownBody(tag)
    body: Any = BODIES[tag - 1].read(reader, reader.table(position + fields[3], envelope))
    return correlation, journal_id, tag, body
