"""What the engine says: replies, order updates, market data, health. The same on both paths (invariant 4)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from transport.contract.codes import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    ServingStatus,
    UpdateKind,
)
from transport.contract.errors import error_for_code
from transport.contract.orders import Order, datetime_from_ns

Path = Literal["zmq", "grpc"]

_ZERO = Decimal(0)


class OrderReply(msgspec.Struct, frozen=True, gc=False):
    """State of one order as the engine knows it; fields as in `schemas/execution.fbs`, table OrderReply."""

    order_id: str
    status: ExecutionStatus
    exchange_order_id: str = ""
    executed_quantity: Decimal = _ZERO
    executed_price: Decimal | None = None
    """Volume-weighted average, rounded at six digits below the tick; None until something was executed."""
    execution_time_ns: int | None = None
    """Engine time of the last execution, UTC nanoseconds."""
    error_message: str = ""
    code: ReasonCode = ReasonCode.NONE
    field: str = ""
    """Which field was refused."""
    account: str = "default"
    order_version: int = 0
    sequence: int = 0
    """The account's update sequence number that this state includes for the order."""
    remaining_quantity: Decimal = _ZERO
    symbol: str = ""
    order_type: OrderType | None = None
    side: OrderSide | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    parent_order_id: str = ""
    """Of a stop-loss or take-profit leg: its entry order."""

    @property
    def execution_time(self) -> datetime | None:
        """`execution_time_ns` as an aware datetime, cut to microseconds."""
        return None if self.execution_time_ns is None else datetime_from_ns(self.execution_time_ns)

    def raise_for_rejection(self) -> OrderReply:
        """This reply, or, if the order was REJECTED or this copy FAILED, the exception that its code stands for."""
        if self.status in (ExecutionStatus.REJECTED, ExecutionStatus.FAILED):
            raise error_for_code(self.code, f"order {self.order_id}: {self.error_message}", self.field)
        return self


def refused_reply(order: Order, code: ReasonCode, message: str, field: str = "") -> OrderReply:
    """What stands in a stream of replies for an order that was refused before `apply`: FAILED, with the code."""
    return OrderReply(
        order_id=order.order_id,
        status=ExecutionStatus.FAILED,
        code=code,
        error_message=message,
        field=field,
        account=order.account,
        symbol=order.symbol,
        order_type=order.order_type,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
    )


class ExecuteReply(msgspec.Struct, frozen=True, gc=False):
    """Ends an ExecuteOrder. `duplicate`: this copy was answered with the stored reply (it belongs to the envelope)."""

    reply: OrderReply
    duplicate: bool = False


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A reply, and how it came: the envelope that differs where the reply does not."""

    reply: OrderReply
    path: Path
    correlation: int
    """Number of the request on its connection; 0 where the path has none."""
    attempts: int
    """Copies of the order that this call sent or tried to send, on all paths."""
    duplicate: bool
    """The copy that was answered was not the first to arrive."""


class OrderCommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """Ends a CancelOrder or ReplaceOrder: `code` NONE when done; `order` is the order's state after it."""

    command_id: str
    code: ReasonCode = ReasonCode.NONE
    message: str = ""
    field: str = ""
    order: OrderReply | None = None
    duplicate: bool = False
    fenced: bool = False
    """The order id was unknown and will never execute."""

    def raise_for_rejection(self) -> OrderCommandReply:
        """This reply, or the exception that its code stands for."""
        if self.code != ReasonCode.NONE:
            raise error_for_code(self.code, self.message, self.field)
        return self


class CommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """Ends a command that is not about one order; `affected` counts orders ended or quotes applied."""

    command_id: str
    code: ReasonCode = ReasonCode.NONE
    message: str = ""
    field: str = ""
    affected: int = 0
    duplicate: bool = False

    def raise_for_rejection(self) -> CommandReply:
        """This reply, or the exception that its code stands for."""
        if self.code != ReasonCode.NONE:
            raise error_for_code(self.code, self.message, self.field)
        return self


class GetOrderReply(msgspec.Struct, frozen=True, kw_only=True):
    """Answers a GetOrder."""

    found: bool = False
    fenced: bool = False
    """The id will never execute."""
    order: OrderReply | None = None
    """State now."""
    reply: OrderReply | None = None
    """The stored reply to the order's ExecuteOrder; None while that call is not concluded."""
    code: ReasonCode = ReasonCode.NONE
    message: str = ""
    field: str = ""


class OpenOrders(msgspec.Struct, frozen=True, kw_only=True):
    """An account's open orders and legs, oldest first, as they were when the engine listed them."""

    orders: list[OrderReply] = []
    last_sequence: int = 0
    """The account's last update that this knows of. Updates after it, and above an order's own `sequence`, are news."""
    more: bool = False
    """This is a page, and there are younger orders. `open_orders` of the clients joins the pages."""
    code: ReasonCode = ReasonCode.NONE
    message: str = ""
    field: str = ""

    def raise_for_rejection(self) -> OpenOrders:
        """This answer, or the exception that its code stands for."""
        if self.code != ReasonCode.NONE:
            raise error_for_code(self.code, self.message, self.field)
        return self


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """A change of one order, with the account's next sequence number (invariant 7)."""

    sequence: int
    kind: UpdateKind
    order: OrderReply
    execution_id: int = 0
    """Names this execution at the venue; 0 where the update is no fill."""
    last_quantity: Decimal | None = None
    last_price: Decimal | None = None
    event_time_ns: int = 0
    snapshot: bool = False
    """Part of the snapshot after a gap: state, not an event."""


class UpdateGap(msgspec.Struct, frozen=True):
    """Updates `first_sequence` to `last_sequence`, both included, can no longer be replayed; a snapshot follows."""

    first_sequence: int
    last_sequence: int


class MarketDataUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The market of one symbol. `topic_sequence` counts its messages from 1 in each epoch; a hole is a lost message."""

    symbol: str
    topic_sequence: int = 0
    bid: Decimal | None = None
    ask: Decimal | None = None
    last_price: Decimal | None = None
    volume: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    timestamp_ns: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine is, and which one it is."""

    status: ServingStatus
    message: str = ""
    journal_id: str = ""
    epoch: int = 0
    journal_seq: int = 0
    state_hash: str = ""
    """32 hexadecimal digits, as of `journal_seq`."""
    engine_version: str = ""
    durability: str = ""
    duplicates: int = 0
    """Copies of orders and commands answered from memory since the engine started."""
    counters: dict[str, int] = {}

    @property
    def is_serving(self) -> bool:
        """Whether orders are taken (DEGRADED engines take them, slowly)."""
        return self.status in (ServingStatus.SERVING, ServingStatus.DEGRADED)


CommandReplies = OrderCommandReply | CommandReply | GetOrderReply | OpenOrders | Health
"""Replies to the requests of `transport.contract.requests.Command`."""
