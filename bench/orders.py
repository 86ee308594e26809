"""The payload: one order content for every row, and what reading a reply means."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import lru_cache

import msgspec

from transport import ExecutionStatus, Order, OrderReply, OrderSide, OrderType
from transport.wire.canonical import order_form
from transport.wire.choice import choose_codec
from transport.wire.messages import ExecuteReply
from transport.wire.portable import encode_message

JOURNAL_ID = "0190163d-8694-739b-aea5-966c26f8ad91"
"""As long as any journal's id; stands in for it where bytes are measured without an engine."""

read_fields = msgspec.structs.astuple
"""Reads every field of a reply, each as the Python value that a caller gets; none is left for later."""


def fresh_orders(count: int) -> list[Order]:
    """New market orders, alike but for id and side: in turn to buy and to sell, so that the position stays small."""
    return [
        Order(
            symbol="NASDAQ",
            order_type=OrderType.MARKET,
            side=OrderSide.BUY if number % 2 else OrderSide.SELL,
            quantity=Decimal("1.5"),
            metadata={"strategy": "bench", "run": "1"},
        )
        for number in range(count)
    ]


def sample_reply(order: Order) -> OrderReply:
    """What the engine answers such an order with, its numbers as large as they become in a run."""
    return OrderReply(
        order_id=order.order_id,
        status=ExecutionStatus.FILLED,
        exchange_order_id="E-123456",
        executed_quantity=order.quantity,
        executed_price=Decimal("100.01"),
        execution_time_ns=1_718_000_000_123_456_789,
        order_version=2,
        sequence=246_912,
        symbol=order.symbol,
        order_type=order.order_type,
        side=order.side,
        quantity=order.quantity,
    )


def content_digest(order: Order) -> str:
    """Digest of what an order asks for, whatever its id and side are."""
    alike = msgspec.structs.replace(order, order_id="id", side=OrderSide.BUY)
    return hashlib.sha256(order_form(alike)).hexdigest()[:16]


@lru_cache(maxsize=1)
def content() -> str:
    """Digest of the one content that all rows carry."""
    digests = {content_digest(order) for order in fresh_orders(2)}
    (only,) = digests
    return only


@lru_cache(maxsize=1)
def message_bytes() -> tuple[int, int]:
    """Bytes of the fast path's request and of its reply for one order: what the floors send."""
    (order,) = fresh_orders(1)
    request = choose_codec("auto").encode_execute_order(1, JOURNAL_ID, order)
    reply = encode_message(1, JOURNAL_ID, ExecuteReply(sample_reply(order)))
    return len(request), len(reply)
