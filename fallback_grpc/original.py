"""The original design's dictionaries: orders as its clients write them, replies as they read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from transport.contract.codes import OpenEnum, OrderSide, OrderType, TimeInForce
from transport.contract.errors import ValidationError
from transport.contract.ids import new_order_id
from transport.contract.orders import Order, ns_from_datetime
from transport.contract.replies import Delivery, OrderReply

EnumT = TypeVar("EnumT", bound=OpenEnum)

_NUMBERS = ("quantity", "price", "stop_loss", "take_profit")
_TIMES = {"timestamp": "timestamp_ns", "expires_at": "expires_at_ns"}
_TEXTS = ("order_id", "symbol", "account", "trace_context")
_ENUMS: dict[str, type[OpenEnum]] = {"order_type": OrderType, "side": OrderSide, "time_in_force": TimeInForce}
_KNOWN = frozenset((*_NUMBERS, *_TIMES, *_TIMES.values(), *_TEXTS, "order_type", "side", "time_in_force", "metadata"))


def order_from_dict(fields: Mapping[str, Any], default_account: str = "default") -> Order:
    """An order from the original's keys, and the additions' (`account`, `time_in_force`, `expires_at`).

    `order_type`, `side` and `time_in_force` may be an enum member, its name in any case, or its number. Numbers may
    be Decimal, int, text, or float (taken by its shortest text: 0.1 is 0.1); absent, None, and 0 for an optional
    number mean not given. `timestamp` may be an aware datetime or UTC nanoseconds. An absent `order_id` is made up:
    give your own if you mean to send the order again (an empty one is not made up, but rejected). A field that every
    order needs may be absent too: the engine's reply is then REJECTED and names it. Raises `ValidationError`, naming
    the field, for what cannot be sent: unknown names, texts that are no number or no member of an enum.
    """
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        known = ", ".join(sorted(_KNOWN))
        raise ValidationError(f"{unknown[0]}: no field of an order; known are {known}", field=unknown[0])
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    # What every order needs and this one lacks is sent as absent: the engine's rejection names the field.
    order: dict[str, Any] = {"account": default_account, "symbol": None, "order_type": None, "side": None}
    for name in _TEXTS:
        if name in given:
            order[name] = _typed(given[name], str, name)
    order.setdefault("order_id", new_order_id())
    for name, enum in _ENUMS.items():
        if name in given:
            order[name] = _member(enum, given[name], name)
    for name in _NUMBERS:
        number = _decimal(given.get(name), name)
        order[name] = number if number or name == "quantity" else None
    for name, target in _TIMES.items():
        moment = given.get(name, given.get(target))
        order[target] = None if moment is None else _nanoseconds(moment, name)
    order["metadata"] = _metadata(given.get("metadata", {}))
    return Order(**order)


def reply_to_dict(reply: OrderReply, delivery: Delivery | None = None) -> dict[str, Any]:
    """A reply with the original's OrderResponse keys, and what this contract adds to them.

    `status` and `code` are names; numbers are Decimal; `execution_time` is an aware datetime or None.
    """
    answer: dict[str, Any] = {
        "order_id": reply.order_id,
        "status": reply.status.name,
        "exchange_order_id": reply.exchange_order_id,
        "executed_quantity": reply.executed_quantity,
        "executed_price": reply.executed_price,
        "execution_time": reply.execution_time,
        "error_message": reply.error_message,
        "execution_time_ns": reply.execution_time_ns,
        "code": reply.code.name,
        "field": reply.field,
        "account": reply.account,
        "order_version": reply.order_version,
        "sequence": reply.sequence,
        "remaining_quantity": reply.remaining_quantity,
        "symbol": reply.symbol,
        "order_type": None if reply.order_type is None else reply.order_type.name,
        "side": None if reply.side is None else reply.side.name,
        "quantity": reply.quantity,
        "price": reply.price,
        "parent_order_id": reply.parent_order_id,
    }
    if delivery is not None:
        answer |= {"path": delivery.path, "attempts": delivery.attempts, "duplicate": delivery.duplicate}
    return answer


def _typed(value: object, wanted: type[str], field: str) -> str:
    if not isinstance(value, wanted):
        raise ValidationError(f"{field}: {value!r} is no {wanted.__name__}", field=field)
    return value


def _member(enum: type[EnumT], value: object, field: str) -> EnumT:
    names = [member.name for member in enum if member.is_recognised]
    if isinstance(value, enum):
        return value
    if isinstance(value, str) and value.strip().upper() in names:
        return enum[value.strip().upper()]
    if isinstance(value, int) and not isinstance(value, bool) and any(value == member for member in enum):
        return enum(int(value))
    raise ValidationError(f"{field}: {value!r} is none of {', '.join(names)}", field=field)


def _decimal(value: object, field: str) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            pass
    raise ValidationError(f"{field}: {value!r} is no number", field=field)


def _nanoseconds(moment: object, field: str) -> int:
    if isinstance(moment, datetime):
        return ns_from_datetime(moment, field)
    if isinstance(moment, int) and not isinstance(moment, bool):
        return moment
    raise ValidationError(f"{field}: {moment!r} is neither an aware datetime nor UTC nanoseconds", field=field)


def _metadata(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise ValidationError(f"metadata: {metadata!r} is no mapping of texts", field="metadata")
    entries: dict[str, str] = {}
    for key, value in metadata.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValidationError(f"metadata: {key!r}: keys and values must be texts", field="metadata")
        entries[key] = value
    return entries
