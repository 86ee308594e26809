"""The contract's types to protobuf and back: orders, replies, updates, market data, health.

Numbers travel exactly (`*_exact`) and, for peers of the original schema, as doubles too where a double says the
same (WIRE.md section 2.1 rejects an order whose two spellings differ, so a double that would differ stays absent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from fallback_grpc.generated import execution_pb2 as pb
from transport.contract.codes import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    ServingStatus,
    UpdateKind,
)
from transport.contract.decimals import from_wire, to_wire
from transport.contract.errors import ValidationError
from transport.contract.orders import Order, Quote
from transport.contract.replies import (
    CommandReply,
    ExecuteReply,
    GetOrderReply,
    Health,
    MarketDataUpdate,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)

_NS_PER_S = 1_000_000_000
_ZERO = Decimal(0)


# ---- to protobuf ----


def order_to_pb(order: Order) -> pb.TradeOrder:
    """The message of an order. What is None is absent: the engine rejects an order that lacks it, or has a default.

    Raises `ValidationError` naming the field for what has no form on the wire.
    """
    message = pb.TradeOrder()
    field = "order_id"
    try:
        for field in ("order_id", "symbol", "account", "trace_context"):
            text: object = getattr(order, field)
            if text is not None:
                if not isinstance(text, str):
                    raise TypeError(f"{text!r} is no text")
                setattr(message, field, text)
        for field in ("order_type", "side"):
            number = _enum_number(getattr(order, field))
            if number is not None:
                setattr(message, field, number)
                setattr(message, f"{field}_given", number)
        field = "time_in_force"
        message.time_in_force = _enum_number(order.time_in_force) or 0  # pyright: ignore[reportAttributeAccessIssue]
        field = "metadata"
        _set_metadata(message, order.metadata)
        field = "contract_version"
        message.contract_version = order.contract_version
        field = "timestamp"
        _set_time(message.timestamp, order.timestamp_ns)
        field = "expires_at"
        _set_time(message.expires_at, order.expires_at_ns)
    except (TypeError, ValueError, AttributeError) as problem:
        raise ValidationError(f"{field}: {problem}", field=field) from problem
    for field in ("quantity", "price", "stop_loss", "take_profit"):
        _set_number(message, field, getattr(order, field))
    return message


def _enum_number(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError(f"{value!r} is no member of its enum")
    return value


def _set_metadata(message: pb.TradeOrder, metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise TypeError(f"{metadata!r} is no mapping of texts")
    message.metadata.update(cast("Mapping[str, str]", metadata))


def quote_to_pb(quote: Quote) -> pb.Quote:
    """The message of a feed's quote. Raises `ValidationError` naming the field for what cannot be encoded."""
    message = pb.Quote()
    try:
        message.symbol = quote.symbol
        _set_time(message.timestamp, quote.timestamp_ns)
    except (TypeError, ValueError) as problem:
        raise ValidationError(f"quotes: {quote.symbol!r}: {problem}", field="quotes") from problem
    for field in ("bid", "ask", "bid_size", "ask_size", "last_price", "volume"):
        value: Decimal | None = getattr(quote, field)
        if value is not None:
            set_decimal(getattr(message, field), value, field)
    return message


def set_decimal(target: pb.Decimal, value: Decimal, field: str) -> None:
    """Fills a `Decimal` message, exactly; `ValidationError` naming `field` where that cannot be done."""
    mantissa, exponent = to_wire(value, field)
    target.mantissa = mantissa
    target.exponent = exponent
    if not mantissa and not exponent:
        target.SetInParent()  # an all-default message would otherwise not be there


def _set_number(message: pb.TradeOrder, field: str, value: Decimal | None) -> None:
    if value is None:
        return
    if not isinstance(value, Decimal):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValidationError(f"{field}: {value!r} is no Decimal", field=field)
    set_decimal(getattr(message, f"{field}_exact"), value, field)
    double = float(value)
    if double and isfinite(double) and Decimal(repr(double)) == value:
        setattr(message, field, double)


def _set_time(target: Timestamp, unix_ns: int | None) -> None:
    if unix_ns is not None:
        if not -(2**63) <= unix_ns < 2**63:
            raise ValueError("UTC nanoseconds must fit 64 bits")
        target.seconds, target.nanos = divmod(unix_ns, _NS_PER_S)
        if not unix_ns:
            target.SetInParent()


# ---- from protobuf ----


def reply_from_pb(message: pb.OrderResponse) -> OrderReply:
    """The state of an order."""
    executed_price = _number(message, "executed_price")
    return OrderReply(
        order_id=message.order_id,
        status=ExecutionStatus(message.status),
        exchange_order_id=message.exchange_order_id,
        executed_quantity=_number(message, "executed_quantity") or _ZERO,
        executed_price=executed_price,
        execution_time_ns=_time(message, "execution_time"),
        error_message=message.error_message,
        code=ReasonCode(message.code),
        field=message.field,
        account=message.account or "default",
        order_version=message.order_version,
        sequence=message.sequence,
        remaining_quantity=_exact(message, "remaining_quantity") or _ZERO,
        symbol=message.symbol,
        order_type=OrderType(message.order_type) if message.HasField("order_type") else None,
        side=OrderSide(message.side) if message.HasField("side") else None,
        quantity=_exact(message, "quantity"),
        price=_exact(message, "price"),
        parent_order_id=message.parent_order_id,
    )


def execute_reply_from_pb(message: pb.OrderResponse) -> ExecuteReply:
    """The answer to one order of a batch or stream, which has no headers of its own for `duplicate`."""
    return ExecuteReply(reply_from_pb(message), message.duplicate)


def batch_from_pb(message: pb.ExecuteBatchResponse) -> list[ExecuteReply]:
    """The answers to a batch, by index."""
    return [execute_reply_from_pb(reply) for reply in message.replies]


def update_from_pb(message: pb.OrderResponse) -> OrderUpdate | UpdateGap:
    """One message of the stream of order updates."""
    if message.HasField("gap"):
        return UpdateGap(message.gap.first_sequence, message.gap.last_sequence)
    return OrderUpdate(
        sequence=message.sequence,
        kind=UpdateKind(message.update_kind),
        order=reply_from_pb(message),
        execution_id=message.execution_id,
        last_quantity=_exact(message, "last_quantity"),
        last_price=_exact(message, "last_price"),
        event_time_ns=_time(message, "event_time") or 0,
        snapshot=message.snapshot,
    )


def order_command_from_pb(message: pb.OrderCommandResponse) -> OrderCommandReply:
    """The answer to a cancel or replace."""
    return OrderCommandReply(
        command_id=message.command_id,
        code=ReasonCode(message.code),
        message=message.message,
        field=message.field,
        order=reply_from_pb(message.order) if message.HasField("order") else None,
        duplicate=message.duplicate,
        fenced=message.fenced,
    )


def command_from_pb(message: pb.CommandResponse) -> CommandReply:
    """The answer to any other command."""
    return CommandReply(
        command_id=message.command_id,
        code=ReasonCode(message.code),
        message=message.message,
        field=message.field,
        affected=message.affected,
        duplicate=message.duplicate,
    )


def get_order_from_pb(message: pb.GetOrderResponse) -> GetOrderReply:
    """The answer to GetOrder."""
    return GetOrderReply(
        found=message.found,
        fenced=message.fenced,
        order=reply_from_pb(message.order) if message.HasField("order") else None,
        reply=reply_from_pb(message.reply) if message.HasField("reply") else None,
        code=ReasonCode(message.code),
        message=message.message,
        field=message.field,
    )


def market_data_from_pb(message: pb.MarketDataUpdate) -> MarketDataUpdate:
    """The market of one symbol."""
    return MarketDataUpdate(
        symbol=message.symbol,
        topic_sequence=message.topic_sequence,
        bid=_number(message, "bid"),
        ask=_number(message, "ask"),
        last_price=_number(message, "last_price"),
        volume=_number(message, "volume"),
        bid_size=_exact(message, "bid_size"),
        ask_size=_exact(message, "ask_size"),
        timestamp_ns=_time(message, "timestamp") or 0,
    )


def health_from_pb(message: pb.HealthCheckResponse) -> Health:
    """How the engine is."""
    return Health(
        status=ServingStatus(message.status),
        message=message.message,
        journal_id=message.journal_id,
        epoch=message.epoch,
        journal_seq=message.journal_seq,
        state_hash=message.state_hash,
        engine_version=message.engine_version,
        durability=message.durability,
        duplicates=message.duplicates,
        counters=dict(message.counters),
    )


def orders_to_pb(orders: Sequence[Order]) -> pb.ExecuteBatchRequest:
    """The message of a batch; a `ValidationError` names the field and the index of the order."""
    request = pb.ExecuteBatchRequest()
    for index, order in enumerate(orders):
        try:
            request.orders.append(order_to_pb(order))
        except ValidationError as problem:
            raise ValidationError(f"orders[{index}].{problem}", field=problem.field, code=problem.code) from problem
    return request


def _exact(message: Message, field: str) -> Decimal | None:
    if not message.HasField(field):
        return None
    number: pb.Decimal = getattr(message, field)
    return from_wire(number.mantissa, number.exponent)


def _number(message: Message, field: str) -> Decimal | None:
    """The exact number if given, else what the double says (a peer of the original schema); 0 means absent."""
    exact = _exact(message, f"{field}_exact")
    if exact is not None:
        return exact
    double: float = getattr(message, field)
    return Decimal(repr(double)) if double and isfinite(double) else None


def _time(message: Message, field: str) -> int | None:
    if not message.HasField(field):
        return None
    moment: Timestamp = getattr(message, field)
    return moment.seconds * _NS_PER_S + moment.nanos
