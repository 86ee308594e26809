"""Both codecs read the bytes of both languages, and each reads what the other writes (`vectors/`)."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interop.descriptions import NAMES, VECTORS, load
from transport.contract.codes import OrderSide, OrderType, ReasonCode
from transport.contract.errors import ValidationError, WireDecodeError
from transport.contract.orders import Order, Quote
from transport.contract.requests import CancelOrder, PublishQuotes
from transport.wire.codec import Codec
from transport.wire.layouts import CLIENT_TAGS, TAG_BY_TYPE
from transport.wire.messages import ExecuteBatch, ExecuteOrder, UnknownBody
from transport.wire.native import load as load_native
from transport.wire.portable import PortableCodec, decode_message, encode_message

CODECS: list[Codec] = [load_native(), PortableCodec()]
BY_NAME = pytest.mark.parametrize("codec", CODECS, ids=[codec.name for codec in CODECS])
OF_ENGINES = [name for name in NAMES if TAG_BY_TYPE[type(load(name).body)] not in CLIENT_TAGS]
OF_CLIENTS = [name for name in NAMES if name not in OF_ENGINES]


def encode(codec: Codec, correlation: int, journal_id: str, body: Any) -> bytes:
    if isinstance(body, ExecuteOrder):
        return codec.encode_execute_order(correlation, journal_id, body.order)
    if isinstance(body, ExecuteBatch):
        return codec.encode_execute_batch(correlation, journal_id, body.orders)
    return codec.encode_request(correlation, journal_id, body)


def order(**changes: Any) -> Order:
    given = Order(symbol="SP500", order_type=OrderType.LIMIT, side=OrderSide.BUY, quantity=Decimal(1), order_id="one")
    return msgspec.structs.replace(given, **changes)


def sent_quantity(codec: Codec, quantity: Decimal) -> Decimal:
    return decode_message(codec.encode_execute_order(1, "", order(quantity=quantity)))[2].order.quantity


def test_there_is_a_vector_of_every_body() -> None:
    assert {type(load(name).body) for name in NAMES} == set(TAG_BY_TYPE)


@pytest.mark.parametrize("writer", [".", "python"])
@pytest.mark.parametrize("name", NAMES)
def test_the_portable_codec_reads_what_the_description_says(name: str, writer: str) -> None:
    assert decode_message((VECTORS / writer / f"{name}.bin").read_bytes()) == load(name)


@pytest.mark.parametrize("writer", [".", "python"])
@pytest.mark.parametrize("name", OF_ENGINES)
@BY_NAME
def test_both_codecs_read_what_an_engine_says(codec: Codec, name: str, writer: str) -> None:
    vector = load(name)
    read = codec.decode((VECTORS / writer / f"{name}.bin").read_bytes())
    assert read == (vector.correlation, vector.body)
    assert spelled(read[1]) == spelled(vector.body)


@pytest.mark.parametrize("name", OF_CLIENTS)
@BY_NAME
def test_both_codecs_write_what_a_client_says(codec: Codec, name: str) -> None:
    vector = load(name)
    read = decode_message(encode(codec, *vector))
    assert read == vector
    assert spelled(read[2]) == spelled(vector.body)


@pytest.mark.parametrize("name", OF_CLIENTS)
@BY_NAME
def test_a_body_that_is_a_clients_to_send_is_unknown_to_a_client(codec: Codec, name: str) -> None:
    tag = TAG_BY_TYPE[type(load(name).body)]
    assert codec.decode((VECTORS / f"{name}.bin").read_bytes())[1] == UnknownBody(tag)


@BY_NAME
def test_a_value_that_a_newer_engine_added_keeps_its_number(codec: Codec) -> None:
    reply = load("execute_reply").body
    newer = msgspec.structs.replace(reply, reply=msgspec.structs.replace(reply.reply, code=ReasonCode(999)))
    assert codec.decode(encode_message(1, "", newer))[1].reply.code == 999  # type: ignore[union-attr]


@BY_NAME
def test_a_type_that_this_release_does_not_know_reaches_the_engine_as_its_number(codec: Codec) -> None:
    sent = order(order_type=OrderType(9))
    assert decode_message(codec.encode_execute_order(1, "", sent))[2].order.order_type == 9


@BY_NAME
@pytest.mark.parametrize(
    "text",
    ["0", "0.00", "1E+2", "1.50", "-7", "9223372036854775807", "-9223372036854775808", "1E-128", "1E+127", "0E+400",
     "1E+145", "1000000000000000000000000", "10E-129", "0.12345678901234567890"],
)  # fmt: skip
def test_a_decimal_keeps_its_value_and_where_it_fits_its_spelling(codec: Codec, text: str) -> None:
    assert sent_quantity(codec, Decimal(text)) == Decimal(text)
    assert str(sent_quantity(codec, Decimal(text))) == str(sent_quantity(PortableCodec(), Decimal(text)))


@given(st.decimals(places=None) | st.builds(lambda m, e: Decimal(f"{m}E{e}"), st.integers(), st.integers(-150, 150)))
def test_both_codecs_take_and_refuse_the_same_numbers(number: Decimal) -> None:
    outcomes: list[Any] = []
    for codec in CODECS:
        try:
            outcomes.append(str(sent_quantity(codec, number)))
        except ValidationError as refused:
            outcomes.append((refused.field, refused.code))
    assert outcomes[0] == outcomes[1]


@BY_NAME
@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("-0.0"), Decimal("1E+146"),
     Decimal("1E-129"), Decimal("9223372036854775808"), Decimal("0.12345678901234567891"), Decimal("1" * 300),
     1.5, 1, "1", math.nan],
)  # fmt: skip
def test_what_is_no_exact_number_is_refused_and_the_field_named(codec: Codec, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        codec.encode_execute_order(1, "", order(price=value))
    assert refused.value.field == "price"
    assert refused.value.code == (ReasonCode.OUT_OF_RANGE if isinstance(value, Decimal) else ReasonCode.INVALID_FIELD)


@BY_NAME
@pytest.mark.parametrize(
    ("changes", "field"),
    [({"symbol": "\ud800"}, "symbol"), ({"symbol": 5}, "symbol"), ({"timestamp_ns": 2**63}, "timestamp_ns"),
     ({"expires_at_ns": "soon"}, "expires_at_ns"), ({"contract_version": -1}, "contract_version"),
     ({"side": 256}, "side"), ({"metadata": {"key": 1}}, "metadata"), ({"metadata": {"\udfff": ""}}, "metadata")],
)  # fmt: skip
def test_what_has_no_form_on_the_wire_is_refused_and_the_field_named(
    codec: Codec, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        codec.encode_execute_order(1, "", order(**changes))
    assert refused.value.field == field


@BY_NAME
def test_an_item_at_fault_is_named_with_its_index(codec: Codec) -> None:
    orders = [order(), order(quantity=Decimal("NaN"))]
    with pytest.raises(ValidationError) as refused:
        codec.encode_execute_batch(1, "", orders)
    assert refused.value.field == "orders[1].quantity"
    with pytest.raises(ValidationError) as refused:
        codec.encode_request(1, "", PublishQuotes(quotes=(Quote(symbol="A", bid=Decimal("Infinity")),)))
    assert refused.value.field == "quotes[0].bid"
    with pytest.raises(ValidationError) as refused:
        codec.encode_request(2**64, "", CancelOrder(order_id="one"))
    assert refused.value.field == "correlation"


@BY_NAME
def test_an_encoder_goes_on_after_a_refusal(codec: Codec) -> None:
    with pytest.raises(ValidationError):
        codec.encode_execute_batch(1, "", [order(), order(quantity=Decimal("NaN"))])
    assert decode_message(codec.encode_execute_order(2, "j", order())) == (2, "j", ExecuteOrder(order()))


@BY_NAME
def test_any_object_with_the_buffer_protocol_is_decoded(codec: Codec) -> None:
    data = (VECTORS / "execute_reply.bin").read_bytes()
    assert codec.decode(memoryview(data)) == codec.decode(bytearray(data)) == codec.decode(data)  # type: ignore[arg-type]


@BY_NAME
@pytest.mark.parametrize("data", [b"", b"XBR1", b"\0\0\0\0XBR2" + bytes(40), b"\xff\xff\xff\xffXBR1" + bytes(40)])
def test_what_is_no_message_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(WireDecodeError):
        codec.decode(data)


@BY_NAME
@pytest.mark.parametrize("name", OF_ENGINES)
def test_a_damaged_message_decodes_or_is_refused_and_nothing_else(codec: Codec, name: str) -> None:
    whole = (VECTORS / f"{name}.bin").read_bytes()
    for position in range(len(whole)):
        for damaged in (whole[:position], whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]):
            try:
                codec.decode(damaged)
            except WireDecodeError:
                continue


def spelled(value: Any) -> Any:
    """Decimals as text: 1.50 and 1.5 are equal, and yet not the same on the wire."""
    return msgspec.to_builtins(value)
