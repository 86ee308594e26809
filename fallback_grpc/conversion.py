"""The contract's types to protobuf and back: orders, replies, updates, market data, health.

Numbers travel exactly (`*_exact`) and, for peers of the original schema, as doubles too where a double says the
same (WIRE.md section 2.1 rejects an order whose two spellings differ, so a double that would differ stays absent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from fallback_grpc.generated import execution_pb2 as pb
from transport.contract.codes import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    ServingStatus,
    TimeInForce,
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
    OpenOrders,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import RiskLimits

_NS_PER_S = 1_000_000_000
_ZERO = Decimal(0)


# ---- to protobuf ----


def order_to_pb(order: Order) -> pb.TradeOrder:
    """The message of an order. What is None is absent: the engine rejects an order that lacks it, or has a default.

    Raises `ValidationError` naming the field for what has no form on the wire.
    """
    return _typical_order(order) or _order_by_field(order)


def _typical_order(order: Order) -> pb.TradeOrder | None:
    """The message of an order whose fields have the contract's own types; None for any other.

    Assigning costs a fraction of what arguments of the constructor, loops and `getattr` do.
    """
    order_type, side = order.order_type, order.side
    if not (
        type(order.order_id) is type(order.symbol) is type(order.account) is type(order.trace_context) is str
        and type(order_type) is OrderType
        and type(side) is OrderSide
        and type(order.time_in_force) is TimeInForce
        and type(order.metadata) is dict
        and order.timestamp_ns is None
        and order.expires_at_ns is None
    ):
        return None
    message = pb.TradeOrder()
    fields = cast("Any", message)  # open enums take any number
    try:
        fields.order_id = order.order_id
        fields.symbol = order.symbol
        fields.account = order.account
        if order.trace_context:
            fields.trace_context = order.trace_context
        fields.order_type = fields.order_type_given = order_type
        fields.side = fields.side_given = side
        fields.time_in_force = order.time_in_force
        fields.contract_version = order.contract_version
        if order.metadata:
            message.metadata.update(order.metadata)
        _copy_number(message, "quantity", order.quantity)
        if order.price is not None:
            _copy_number(message, "price", order.price)
        if order.stop_loss is not None:
            _copy_number(message, "stop_loss", order.stop_loss)
        if order.take_profit is not None:
            _copy_number(message, "take_profit", order.take_profit)
    except (TypeError, ValueError, AttributeError, ValidationError):
        return None  # told with the name of the field by whoever looks at each
    return message


def _copy_number(message: pb.TradeOrder, field: str, value: Decimal) -> None:
    if type(value) is not Decimal:
        raise TypeError(f"{value!r} is no Decimal")
    double, exact = _spellings_of(str(value))
    getattr(message, f"{field}_exact").CopyFrom(exact)
    if double is not None:
        setattr(message, field, double)


@lru_cache(maxsize=8192)
def _spellings_of(text: str) -> tuple[float | None, pb.Decimal]:
    """A number as a double, where that says the same, and exactly. The message is to be copied from."""
    value = Decimal(text)
    exact = pb.Decimal()
    set_decimal(exact, value, "")
    return _double_of(value), exact


def _double_of(value: Decimal) -> float | None:
    double = float(value)
    return double if double and isfinite(double) and Decimal(repr(double)) == value else None


def _order_by_field(order: Order) -> pb.TradeOrder:
    """Any order's message, field by field, so that what cannot be encoded has a name."""
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


def limits_to_pb(limits: RiskLimits) -> pb.RiskLimits:
    """The message of risk limits. Raises `ValidationError` naming the limit for what cannot be encoded."""
    message = pb.RiskLimits()
    for field in ("max_order_quantity", "max_order_notional", "price_collar", "max_position"):
        number: Decimal | None = getattr(limits, field)
        if number is not None:
            set_decimal(getattr(message, field), number, f"limits.{field}")
    for field in ("max_open_orders", "orders_per_second", "order_burst"):
        count: int | None = getattr(limits, field)
        if count is not None:
            try:
                setattr(message, field, count)
            except (TypeError, ValueError) as problem:
                raise ValidationError(f"limits.{field}: {problem}", field=f"limits.{field}") from problem
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
    double = _double_of(value)
    if double is not None:
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
    has = message.HasField
    return OrderReply(
        order_id=message.order_id,
        status=_status(message.status),
        exchange_order_id=message.exchange_order_id,
        executed_quantity=(
            _decimal(message.executed_quantity_exact)
            if has("executed_quantity_exact")
            else _from_double(message.executed_quantity) or _ZERO
        ),
        executed_price=(
            _decimal(message.executed_price_exact)
            if has("executed_price_exact")
            else _from_double(message.executed_price)
        ),
        execution_time_ns=_ns(message.execution_time) if has("execution_time") else None,
        error_message=message.error_message,
        code=_code(message.code),
        field=message.field,
        account=message.account or "default",
        order_version=message.order_version,
        sequence=message.sequence,
        remaining_quantity=_decimal(message.remaining_quantity) if has("remaining_quantity") else _ZERO,
        symbol=message.symbol,
        order_type=_order_type(message.order_type) if has("order_type") else None,
        side=_side(message.side) if has("side") else None,
        quantity=_decimal(message.quantity) if has("quantity") else None,
        price=_decimal(message.price) if has("price") else None,
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


def open_orders_from_pb(message: pb.OpenOrdersResponse) -> OpenOrders:
    """A page of open orders."""
    return OpenOrders(
        orders=[reply_from_pb(order) for order in message.orders],
        last_sequence=message.last_sequence,
        more=message.more,
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


def _decimal(number: pb.Decimal) -> Decimal:
    return from_wire(number.mantissa, number.exponent)


def _from_double(double: float) -> Decimal | None:
    """What a peer of the original schema says; 0 means absent."""
    return Decimal(repr(double)) if double and isfinite(double) else None


def _ns(moment: Timestamp) -> int:
    return moment.seconds * _NS_PER_S + moment.nanos


def _exact(message: Message, field: str) -> Decimal | None:
    return _decimal(getattr(message, field)) if message.HasField(field) else None


def _number(message: Message, field: str) -> Decimal | None:
    """The exact number if given, else what the double says."""
    exact = _exact(message, f"{field}_exact")
    return _from_double(getattr(message, field)) if exact is None else exact


def _time(message: Message, field: str) -> int | None:
    return _ns(getattr(message, field)) if message.HasField(field) else None


# Calling an enum costs several times what finding a member does.
_status = lru_cache(maxsize=64)(ExecutionStatus)
_code = lru_cache(maxsize=1024)(ReasonCode)
_order_type = lru_cache(maxsize=64)(OrderType)
_side = lru_cache(maxsize=64)(OrderSide)
