"""Codecs: what is written is read back, both codecs agree, and hostile bytes raise one kind of error."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.transport import messages
from transport.contract import (
    BridgeConfig,
    ExecuteReply,
    ExecutionStatus,
    Order,
    OrderReply,
    OrderSide,
    OrderType,
    PublishQuotes,
    Quote,
    ReasonCode,
    ValidationError,
    WireDecodeError,
)
from transport.wire import native
from transport.wire.choice import choose_codec
from transport.wire.codec import Codec
from transport.wire.generated import execution as generated
from transport.wire.layouts import BODIES
from transport.wire.messages import BatchReply, ExecuteBatch, ExecuteOrder, UnknownBody
from transport.wire.portable import PortableCodec, decode_message, encode_message

PORTABLE = PortableCodec()


def loaded_codecs() -> list[Any]:
    try:
        return [PORTABLE, native.load()]
    except ImportError:
        return [PORTABLE]


CODECS = loaded_codecs()
HAS_NATIVE = len(CODECS) == 2
every_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
needs_native = pytest.mark.skipif(not HAS_NATIVE, reason="transport._native is not built")


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "symbol": "NASDAQ", "order_type": OrderType.LIMIT, "side": OrderSide.SELL, "quantity": Decimal("1.50"),
        "price": Decimal("100.01"), "metadata": {"strategy": "crossover", "äöü": "✓"}, "timestamp_ns": 123,
    }  # fmt: skip
    return Order(**(fields | changes))


@given(st.integers(1, 2**64 - 1), messages.texts, messages.engine_messages)
@settings(max_examples=150, deadline=None)
def test_what_an_engine_writes_the_client_reads(correlation: int, journal_id: str, body: Any) -> None:
    data = encode_message(correlation, journal_id, body)
    assert decode_message(data) == (correlation, journal_id, body)
    for codec in CODECS:
        assert codec.decode(data) == (correlation, body), codec.name


@given(st.integers(1, 2**64 - 1), messages.requests)
@settings(max_examples=150, deadline=None)
def test_what_a_client_writes_the_engine_reads(correlation: int, body: Any) -> None:
    for codec in CODECS:
        assert decode_message(codec.encode_request(correlation, "j", body)) == (correlation, "j", body), codec.name


@given(messages.orders)
@settings(max_examples=150, deadline=None)
def test_an_order_arrives_as_it_was(given_order: Order) -> None:
    for codec in CODECS:
        read = decode_message(codec.encode_execute_order(7, "j", given_order))
        assert read == (7, "j", ExecuteOrder(given_order)), codec.name


@every_codec
def test_a_batch_keeps_its_order(codec: Codec) -> None:
    orders = [order(order_id=str(number)) for number in range(50)]
    assert decode_message(codec.encode_execute_batch(1, "j", orders)) == (1, "j", ExecuteBatch(orders))


@every_codec
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": Decimal("NaN")}, "quantity"),
        ({"price": Decimal("-Infinity")}, "price"),
        ({"price": Decimal("-0")}, "price"),
        ({"stop_loss": Decimal("1.0000000000000000001")}, "stop_loss"),
        ({"take_profit": Decimal("1E+200")}, "take_profit"),
        ({"symbol": "\ud800"}, "symbol"),
        ({"order_id": 7}, "order_id"),
        ({"order_type": 300}, "order_type"),
        ({"side": -1}, "side"),
        ({"timestamp_ns": 2**63}, "timestamp_ns"),
        ({"contract_version": 70000}, "contract_version"),
        ({"expires_at_ns": "soon"}, "expires_at_ns"),
        ({"account": 0}, "account"),
        ({"trace_context": False}, "trace_context"),
        ({"time_in_force": "GTC"}, "time_in_force"),
        ({"metadata": [("a", "b")]}, "metadata"),
        ({"metadata": ""}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {0: "b"}}, "metadata"),
    ],
    ids=str,
)
def test_what_has_no_form_on_the_wire_is_refused_by_name(codec: Codec, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as alone:
        codec.encode_execute_order(1, "j", order(**changes))
    assert alone.value.field == field
    with pytest.raises(ValidationError) as in_batch:
        codec.encode_execute_batch(1, "j", [order(), order(**changes)])
    assert in_batch.value.field == f"orders[1].{field}"


@every_codec
def test_none_is_left_out_wherever_it_stands(codec: Codec) -> None:
    nothing: dict[str, Any] = dict.fromkeys(Order.__struct_fields__)
    _, _, body = decode_message(codec.encode_execute_order(1, "j", Order(**nothing)))
    absent = {"order_id": "", "symbol": "", "account": "", "trace_context": "", "metadata": {}, "contract_version": 1}
    assert body == ExecuteOrder(Order(**(nothing | absent)))


@every_codec
def test_a_quote_is_refused_by_its_place(codec: Codec) -> None:
    quotes = (Quote(symbol="A", bid=Decimal(1)), Quote(symbol="B", ask=Decimal("NaN")))
    with pytest.raises(ValidationError) as raised:
        codec.encode_request(1, "j", PublishQuotes(quotes=quotes))
    assert raised.value.field == "quotes[1].ask"


@every_codec
def test_numbers_of_a_newer_engine_are_kept(codec: Codec) -> None:
    newer = OrderReply(order_id="a", status=ExecutionStatus(9), code=ReasonCode(4711))
    _, read = codec.decode(encode_message(1, "", ExecuteReply(newer)))
    assert isinstance(read, ExecuteReply)
    assert (read.reply.code, read.reply.code.name) == (4711, "UNRECOGNISED_4711")
    assert not read.reply.status.is_recognised


@every_codec
def test_a_body_of_a_newer_engine_is_no_error(codec: Codec) -> None:
    data = bytearray(encode_message(9, "", BatchReply([])))
    tags = [index for index in range(8, len(data)) if data[index] == 16]
    changed: list[Any] = []
    for index in tags:
        attempt = bytearray(data)
        attempt[index] = 200
        try:
            changed.append(codec.decode(bytes(attempt)))
        except WireDecodeError:
            continue
    assert (9, UnknownBody(200)) in changed


def hostile_variants(data: bytes) -> st.SearchStrategy[bytes]:
    """Messages with some bytes replaced, cut or extended."""
    edits = st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), min_size=1, max_size=6)

    def edited(changes: list[tuple[int, int]]) -> bytes:
        copy = bytearray(data)
        for index, value in changes:
            copy[index] = value
        return bytes(copy)

    return edits.map(edited) | st.integers(0, len(data)).map(lambda cut: data[:cut])


SAMPLE = encode_message(
    3, "journal", BatchReply([ExecuteReply(OrderReply(order_id=str(n), status=ExecutionStatus.FILLED)) for n in (1, 2)])
)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: SAMPLE[:8] + tail) | hostile_variants(SAMPLE))
@settings(max_examples=1500, deadline=None)
def test_hostile_bytes_raise_a_decode_error_or_decode(data: bytes) -> None:
    read: list[Any] = []
    for codec in CODECS:
        try:
            read.append(codec.decode(data))
        except WireDecodeError:
            continue
        assert 0 <= read[-1][0] < 2**64
    # Where both can read it, they read the same.
    assert len(read) < 2 or read[0] == read[1]


@every_codec
@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 64, b"\xff" * 64, SAMPLE[:4] + b"NOPE" + SAMPLE[8:]])
def test_what_is_not_ours_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(WireDecodeError):
        codec.decode(data)


@every_codec
def test_every_cut_of_a_message_is_refused(codec: Codec) -> None:
    # The last three bytes may be padding behind the last text, which nothing refers to.
    for length in range(len(SAMPLE) - 3):
        with pytest.raises(WireDecodeError):
            codec.decode(SAMPLE[:length])


def test_one_table_shared_a_million_times_does_not_grow_memory() -> None:
    """A vector may name one table again and again: the portable reader stops where no honest message would be."""
    import flatbuffers

    builder: Any = flatbuffers.Builder(1 << 20)
    text = builder.CreateString("x" * 1000)
    generated.OrderReplyStart(builder)
    generated.OrderReplyAddOrderId(builder, text)
    reply = generated.OrderReplyEnd(builder)
    generated.ExecuteReplyStart(builder)
    generated.ExecuteReplyAddReply(builder, reply)
    shared = generated.ExecuteReplyEnd(builder)
    count = 100_000
    generated.BatchReplyStartRepliesVector(builder, count)
    for _ in range(count):
        builder.PrependUOffsetTRelative(shared)
    vector = builder.EndVector()
    generated.BatchReplyStart(builder)
    generated.BatchReplyAddReplies(builder, vector)
    body = generated.BatchReplyEnd(builder)
    generated.EnvelopeStart(builder)
    generated.EnvelopeAddCorrelation(builder, 1)
    generated.EnvelopeAddBodyType(builder, generated.Body.BatchReply)
    generated.EnvelopeAddBody(builder, body)
    builder.Finish(generated.EnvelopeEnd(builder), file_identifier=b"XBR1")
    with pytest.raises(WireDecodeError, match=r"more than the message|many times"):
        PORTABLE.decode(bytes(builder.Output()))


def test_layouts_are_those_of_the_schema() -> None:
    """Names, places and union tags, against flatc's own output."""
    source = Path(generated.__file__).read_text()
    for tag, layout in enumerate(BODIES, 1):
        assert getattr(generated.Body, layout.name) == tag
        start = re.search(rf"def {layout.name}Start\(builder\):\n\s+builder\.StartObject\((\d+)\)", source)
        assert start is not None and int(start[1]) == len(layout.fields), layout.name
        for slot, (name, _) in enumerate(layout.fields):
            camel = "".join(part.capitalize() for part in name.split("_"))
            added = re.search(rf"def {layout.name}Add{camel}\(builder, \w+\):\n\s+builder\.\w+\((\d+),", source)
            assert added is not None and int(added[1]) == slot, f"{layout.name}.{name}"


def test_flatc_reads_what_the_portable_codec_writes() -> None:
    given_order = order()
    envelope = generated.Envelope.GetRootAs(PORTABLE.encode_execute_order(5, "j", given_order))
    assert (envelope.Correlation(), envelope.JournalId()) == (5, b"j")
    body = generated.ExecuteOrder()
    body.Init(envelope.Body().Bytes, envelope.Body().Pos)
    read = body.Order()
    assert (read.Symbol(), read.OrderType(), read.Side()) == (b"NASDAQ", 1, 1)
    assert (read.Price().Mantissa(), read.Price().Exponent()) == (10001, -2)
    assert (read.Quantity().Mantissa(), read.Quantity().Exponent()) == (150, -2)
    assert {
        read.Metadata(n).Key().decode(): read.Metadata(n).Value().decode() for n in range(2)
    } == given_order.metadata


@needs_native
def test_auto_takes_the_native_codec() -> None:
    assert choose_codec(BridgeConfig(codec="auto").codec).name == "native"


def test_auto_is_portable_where_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Codec:
        raise ImportError("no module named transport._native")

    monkeypatch.setattr(native, "load", missing)
    assert choose_codec("auto").name == "portable"
    with pytest.raises(ValidationError, match="not built"):
        choose_codec("native")
