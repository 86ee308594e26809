"""An order in protobuf, written as tightly as Python allows: exact, and as the original's doubles."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from fallback_grpc.generated import execution_pb2
from transport import ExecutionStatus, Order, OrderReply, OrderSide, OrderType, ReasonCode
from transport.contract.decimals import from_wire, to_wire

pb: Any = execution_pb2
_NS_PER_S = 1_000_000_000
_STATUS = {int(each): each for each in ExecutionStatus}
_CODE = {int(each): each for each in ReasonCode}
_TYPE = {int(each): each for each in OrderType}
_SIDE = {int(each): each for each in OrderSide}


def build_exact(order: Order) -> bytes:
    """What the engine takes for an order of this contract, in one call of the constructor."""
    mantissa, exponent = to_wire(order.quantity, "quantity")
    message = pb.TradeOrder(
        order_id=order.order_id,
        symbol=order.symbol,
        order_type=order.order_type,
        side=order.side,
        order_type_given=order.order_type,
        side_given=order.side,
        quantity_exact=pb.Decimal(mantissa=mantissa, exponent=exponent),
        metadata=order.metadata,
        account=order.account,
        time_in_force=order.time_in_force,
        contract_version=order.contract_version,
    )
    return message.SerializeToString()


def build_doubles(order: Order) -> bytes:
    """The original's fields alone: the quantity as a double."""
    message = pb.TradeOrder(
        order_id=order.order_id,
        symbol=order.symbol,
        order_type=order.order_type,
        side=order.side,
        quantity=float(order.quantity),
        metadata=order.metadata,
    )
    return message.SerializeToString()


def read_exact(data: bytes) -> OrderReply:
    """The contract's reply, each field by its name."""
    message = pb.OrderResponse.FromString(data)
    has = message.HasField
    return OrderReply(
        order_id=message.order_id,
        status=_STATUS[message.status],
        exchange_order_id=message.exchange_order_id,
        executed_quantity=_number(message.executed_quantity_exact),
        executed_price=_number(message.executed_price_exact) if has("executed_price_exact") else None,
        execution_time_ns=_time(message.execution_time) if has("execution_time") else None,
        error_message=message.error_message,
        code=_CODE[message.code],
        field=message.field,
        account=message.account or "default",
        order_version=message.order_version,
        sequence=message.sequence,
        remaining_quantity=_number(message.remaining_quantity),
        symbol=message.symbol,
        order_type=_TYPE[message.order_type] if has("order_type") else None,
        side=_SIDE[message.side] if has("side") else None,
        quantity=_number(message.quantity) if has("quantity") else None,
        price=_number(message.price) if has("price") else None,
        parent_order_id=message.parent_order_id,
    )


def read_doubles(data: bytes) -> tuple[Any, ...]:
    """The original's seven fields: numbers as floats, the time as nanoseconds."""
    message = pb.OrderResponse.FromString(data)
    return (
        message.order_id,
        message.status,
        message.exchange_order_id,
        message.executed_quantity,
        message.executed_price,
        _time(message.execution_time),
        message.error_message,
    )


def encode_reply(reply: OrderReply, *, exact: bool) -> bytes:
    """What a server would send; not timed."""
    message = pb.OrderResponse(order_id=reply.order_id, status=reply.status, exchange_order_id=reply.exchange_order_id)
    seconds, nanos = divmod(cast("int", reply.execution_time_ns), _NS_PER_S)
    message.execution_time.seconds, message.execution_time.nanos = seconds, nanos
    if not exact:
        message.executed_quantity = float(reply.executed_quantity)
        message.executed_price = float(cast("Decimal", reply.executed_price))
        return message.SerializeToString()
    for name in ("executed_quantity", "executed_price"):
        _fill(getattr(message, f"{name}_exact"), getattr(reply, name))
    for name in ("remaining_quantity", "quantity"):
        _fill(getattr(message, name), getattr(reply, name))
    for name in ("account", "order_version", "sequence", "symbol", "order_type", "side"):
        setattr(message, name, getattr(reply, name))
    return message.SerializeToString()


def _fill(target: Any, value: Decimal) -> None:
    target.mantissa, target.exponent = to_wire(value, "reply")
    target.SetInParent()


def _number(message: Any) -> Decimal:
    return from_wire(message.mantissa, message.exponent)


def _time(moment: Any) -> int:
    return moment.seconds * _NS_PER_S + moment.nanos
