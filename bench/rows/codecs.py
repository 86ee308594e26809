"""Codecs without any transport: bytes from an order object, and every field of a reply from bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from bench.context import Context
from bench.orders import JOURNAL_ID, content, fresh_orders, read_fields, sample_reply
from bench.rows import protobuf_codec, struct_codec
from bench.rows.groups import CODEC_BUILD, CODEC_READ
from bench.rows.row import Facts, Group, Opened, Row
from bench.timing import WrongReplyError, time_codec
from fallback_grpc.conversion import order_to_pb, reply_from_pb
from transport import Order, OrderReply
from transport.wire.choice import choose_codec
from transport.wire.codec import CodecName
from transport.wire.messages import ExecuteReply
from transport.wire.portable import encode_message

PER_CALL = 100


@dataclass(frozen=True)
class CodecRow:
    """How one codec builds an order, reads a reply, and makes the reply that is read."""

    name: str
    build: Callable[[Order], bytes]
    read: Callable[[bytes], object]
    """The reply with every field a Python value; of the contract's type where `whole`."""
    encode_reply: Callable[[OrderReply], bytes]
    whole: bool = True


def _flatbuffers(name: str, codec: CodecName) -> Callable[[], CodecRow]:
    def make() -> CodecRow:
        chosen = choose_codec(codec)

        def build(order: Order) -> bytes:
            return chosen.encode_execute_order(1, JOURNAL_ID, order)

        def read(data: bytes) -> OrderReply:
            return cast("ExecuteReply", chosen.decode(data)[1]).reply

        return CodecRow(name, build, read, lambda reply: encode_message(1, JOURNAL_ID, ExecuteReply(reply)))

    return make


def _msgspec(name: str, module: Any) -> Callable[[], CodecRow]:
    def make() -> CodecRow:
        encoder, decoder = module.Encoder(), module.Decoder(OrderReply)
        return CodecRow(name, encoder.encode, decoder.decode, encoder.encode)

    return make


def _protobuf_client() -> CodecRow:
    def read(data: bytes) -> OrderReply:
        return reply_from_pb(protobuf_codec.pb.OrderResponse.FromString(data))

    return CodecRow(
        "protobuf-client",
        lambda order: order_to_pb(order).SerializeToString(),
        read,
        lambda reply: protobuf_codec.encode_reply(reply, exact=True),
    )


CODECS: dict[str, Callable[[], CodecRow]] = {
    "native": _flatbuffers("native", "native"),
    "flatbuffers-python": _flatbuffers("flatbuffers-python", "portable"),
    "protobuf": lambda: CodecRow(
        "protobuf",
        protobuf_codec.build_exact,
        protobuf_codec.read_exact,
        lambda reply: protobuf_codec.encode_reply(reply, exact=True),
    ),
    "protobuf-client": _protobuf_client,
    "protobuf-doubles": lambda: CodecRow(
        "protobuf-doubles",
        protobuf_codec.build_doubles,
        protobuf_codec.read_doubles,
        lambda reply: protobuf_codec.encode_reply(reply, exact=False),
        whole=False,
    ),
    "msgspec-msgpack": _msgspec("msgspec-msgpack", msgspec.msgpack),
    "msgspec-json": _msgspec("msgspec-json", msgspec.json),
    "struct": lambda: CodecRow("struct", struct_codec.build, struct_codec.read, struct_codec.encode_reply),
}

NOTES = {
    "native": "FlatBuffers, exact decimals, verified",
    "flatbuffers-python": "the portable codec",
    "protobuf": "exact decimals, as tight as Python allows",
    "protobuf-client": "as the gRPC client converts",
    "protobuf-doubles": "the original's fields alone, floats",
    "msgspec-msgpack": "decimals as text",
    "msgspec-json": "decimals as text",
    "struct": "by hand, nothing checked",
}


def _building(make: Callable[[], CodecRow]) -> Callable[[Context], AbstractContextManager[Opened]]:
    @contextmanager
    def opening(_: Context) -> Generator[Opened]:
        codec = make()
        size = len(codec.build(fresh_orders(1)[0]))
        yield Opened(time_codec(codec.build, fresh_orders, PER_CALL), Facts("none", content(), size))

    return opening


def _reading(make: Callable[[], CodecRow]) -> Callable[[Context], AbstractContextManager[Opened]]:
    @contextmanager
    def opening(_: Context) -> Generator[Opened]:
        codec = make()
        expected = [sample_reply(order) for order in fresh_orders(PER_CALL)]
        messages = [codec.encode_reply(reply) for reply in expected]
        if codec.whole and [codec.read(each) for each in messages] != expected:
            raise WrongReplyError(f"{codec.name} does not give back what was encoded")
        read = _whole_read(codec)

        def same(_: int) -> Sequence[bytes]:
            return messages

        yield Opened(time_codec(read, same, PER_CALL), Facts("none", content(), 0, len(messages[0])))

    return opening


def _whole_read(codec: CodecRow) -> Callable[[bytes], object]:
    """Every field of what was read is looked at, as on every other row."""
    if not codec.whole:
        return codec.read
    read: Any = codec.read
    return lambda data: read_fields(read(data))


def _rows(group: Group, opening: Callable[[Callable[[], CodecRow]], Any]) -> list[Row]:
    return [
        Row(name, group.name, opening(make), orders_per_call=PER_CALL, note=NOTES[name])
        for name, make in CODECS.items()
    ]


GROUPS: list[Group] = []
ROWS = [*_rows(CODEC_BUILD, _building), *_rows(CODEC_READ, _reading)]
