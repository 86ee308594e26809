"""An order in `struct`: a fixed head, then texts by length. What a hand-written format can have; nothing is checked."""

from __future__ import annotations

from decimal import Decimal
from struct import Struct

from transport import ExecutionStatus, Order, OrderReply, OrderSide, OrderType, ReasonCode
from transport.contract.decimals import from_wire, to_wire

_ORDER = Struct("<BBBBqbBBBB")
_REPLY = Struct("<BBBHQQqqbqbqbqbBBBBBB")


def build(order: Order) -> bytes:
    """Head, texts, metadata."""
    mantissa, exponent = to_wire(order.quantity, "quantity")
    texts = [order.order_id.encode(), order.symbol.encode(), order.account.encode()]
    head = _ORDER.pack(
        order.contract_version,
        order.order_type,
        order.side,
        order.time_in_force,
        mantissa,
        exponent,
        *map(len, texts),
        len(order.metadata),
    )
    for key, value in order.metadata.items():
        for text in (key.encode(), value.encode()):
            texts += (bytes((len(text),)), text)
    return head + b"".join(texts)


def encode_reply(reply: OrderReply) -> bytes:
    """What a server would send; not timed."""
    texts = [
        text.encode()
        for text in (reply.order_id, reply.exchange_order_id, reply.error_message, reply.field, reply.account)
    ]
    texts.append(reply.symbol.encode())
    numbers: list[int] = []
    for value in (reply.executed_quantity, reply.executed_price, reply.remaining_quantity, reply.quantity):
        numbers += to_wire(value or Decimal(0), "reply")
    head = _REPLY.pack(
        reply.status,
        reply.order_type or 0,
        reply.side or 0,
        reply.code,
        reply.order_version,
        reply.sequence,
        reply.execution_time_ns or 0,
        *numbers,
        *map(len, texts),
    )
    return head + b"".join(texts)


def read(data: bytes) -> OrderReply:
    """The contract's reply (of an order without price and parent)."""
    status, kind, side, code, version, sequence, time_ns, *rest = _REPLY.unpack_from(data)
    texts: list[str] = []
    at = _REPLY.size
    for length in rest[8:]:
        texts.append(data[at : at + length].decode())
        at += length
    return OrderReply(
        order_id=texts[0],
        status=ExecutionStatus(status),
        exchange_order_id=texts[1],
        executed_quantity=from_wire(rest[0], rest[1]),
        executed_price=from_wire(rest[2], rest[3]),
        execution_time_ns=time_ns,
        error_message=texts[2],
        code=ReasonCode(code),
        field=texts[3],
        account=texts[4],
        order_version=version,
        sequence=sequence,
        remaining_quantity=from_wire(rest[4], rest[5]),
        symbol=texts[5],
        order_type=OrderType(kind),
        side=OrderSide(side),
        quantity=from_wire(rest[6], rest[7]),
    )
