"""The canonical form (WIRE.md section 6), against bytes worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from struct import pack

import msgspec
import pytest

from transport import CancelOrder, Order, OrderSide, OrderType, PublishQuotes, Quote, SetTradingState, TradingState
from transport.wire.canonical import command_form, content_hash, order_form

ORDER = Order(order_id="a", symbol="N", order_type=OrderType.LIMIT, side=OrderSide.SELL, quantity=Decimal("1.50"),
              price=Decimal(100), metadata={"b": "2", "a": "1"}, timestamp_ns=5)  # fmt: skip


def field(tag: int, value: bytes) -> bytes:
    return pack("<BI", tag, len(value)) + value


def test_the_form_is_that_of_the_page() -> None:
    assert order_form(ORDER) == b"XBR-ORDER1" + b"".join(
        [
            field(1, b"a"),
            field(2, b"N"),
            field(3, b"\x01"),
            field(4, b"\x01"),
            field(5, pack("<qb", 15, -1)),
            field(6, pack("<qb", 1, 2)),
            field(9, pack("<q", 5)),
            field(10, b"\x01\0\0\0a1"),
            field(10, b"\x01\0\0\0b2"),
            field(11, b"default"),
            field(12, b"\x01"),
        ]
    )
    assert len(content_hash(order_form(ORDER))) == 16


@pytest.mark.parametrize(
    "same",
    [
        {"quantity": Decimal("1.5")},
        {"metadata": {"a": "1", "b": "2"}},
        {"trace_context": "00-abc"},
        {"contract_version": 0},
        {"account": ""},
    ],
    ids=str,
)
def test_spelling_does_not_matter(same: dict[str, object]) -> None:
    assert order_form(msgspec.structs.replace(ORDER, **same)) == order_form(ORDER)


@pytest.mark.parametrize(
    "other",
    [
        {"order_id": "b"},
        {"quantity": Decimal("1.51")},
        {"stop_loss": Decimal(90)},
        {"side": OrderSide.BUY},
        {"metadata": {"a": "1"}},
        {"expires_at_ns": 5},
        {"timestamp_ns": None},
    ],
    ids=str,
)
def test_content_does(other: dict[str, object]) -> None:
    assert order_form(msgspec.structs.replace(ORDER, **other)) != order_form(ORDER)


def test_commands_have_forms_too() -> None:
    cancel = CancelOrder(command_id="c", order_id="a", expected_version=2)
    assert command_form(cancel) == b"XBR-CANCELORDER1" + field(1, b"c") + field(2, b"a") + field(3, b"default") + field(
        4, pack("<Q", 2)
    )
    state = SetTradingState(command_id="c", state=TradingState.HALTED, cancel_open_orders=True)
    assert command_form(state) == b"XBR-SETTRADINGSTATE1" + field(1, b"c") + field(3, b"default") + field(
        8, b"\x03"
    ) + field(9, b"\x01")
    quotes = PublishQuotes(command_id="c", quotes=(Quote(symbol="N", bid=Decimal("1.0")),))
    value = b"\x01\0\0\0N" + b"\x01" + pack("<qb", 1, 0) + b"\0" * 6
    assert command_form(quotes) == b"XBR-PUBLISHQUOTES1" + field(1, b"c") + field(3, b"default") + field(10, value)
