"""The contract's object that a vector's description stands for (`tests/interop/vectors/*.json`).

A description uses the schema's own words: fields by their names there, enums by name, decimals as
`<mantissa>E<exponent>`; what is absent, and an empty text, is left out.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from transport.contract import codes, orders, replies, requests
from transport.wire import messages

VECTORS = Path(__file__).parent / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.json"))

_BODIES: dict[str, Any] = {
    **{kind.__name__: kind for kind in vars(messages).values() if isinstance(kind, type)},
    **{kind.__name__: kind for kind in vars(requests).values() if isinstance(kind, type)},
    **{kind.__name__: kind for kind in vars(replies).values() if isinstance(kind, type)},
    "HealthReply": replies.Health,
    "MarketData": replies.MarketDataUpdate,
}
_ENUMS: dict[str, Any] = {
    "order_type": codes.OrderType,
    "side": codes.OrderSide,
    "time_in_force": codes.TimeInForce,
    "state": codes.TradingState,
    "kind": codes.UpdateKind,
    "code": codes.ReasonCode,
    "status": codes.ExecutionStatus,
}
_DECIMALS = {
    "quantity", "price", "stop_loss", "take_profit", "executed_quantity", "executed_price", "remaining_quantity",
    "last_quantity", "last_price", "bid", "ask", "bid_size", "ask_size", "volume", "max_order_quantity",
    "max_order_notional", "price_collar", "max_position",
}  # fmt: skip
_TABLES: dict[str, Any] = {
    "orders": orders.Order,
    "quotes": orders.Quote,
    "limits": messages.Limits,
    "reply": replies.OrderReply,
    "replies": replies.ExecuteReply,
}
_TABLES_OF: dict[tuple[Any, str], Any] = {
    (replies.OpenOrders, "orders"): replies.OrderReply,
    (requests.SetRiskLimits, "limits"): requests.RiskLimits,
}


class Vector(NamedTuple):
    """One message, as its description says it."""

    correlation: int
    journal_id: str
    body: Any


def load(name: str) -> Vector:
    """The message that the description `name` stands for."""
    described = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    body = _build(_BODIES[described["body"]], described["content"])
    return Vector(described["correlation"], described["journal_id"], body)


def _build(kind: Any, content: dict[str, Any]) -> Any:
    """`kind` with the fields of `content`; what is absent there is absent, not Python's default."""
    absent = {field: "" for field in kind.__struct_fields__ if field in {"account", "command_id"}}
    if kind is orders.Order:
        absent["time_in_force"] = None
    if kind is requests.SetCancelOnDisconnect:
        absent["grace_ms"] = None
    if kind in (replies.OrderReply, messages.Welcome):
        absent |= {field: "" for field in ("symbol", "journal_id") if field in kind.__struct_fields__}
    return kind(**absent | {field: _value(kind, field, value) for field, value in content.items()})


def _value(kind: Any, field: str, value: Any) -> Any:
    if field == "status" and kind is replies.Health:
        return codes.ServingStatus[value]
    if field in _ENUMS:
        return _ENUMS[field][value]
    if field in _DECIMALS:
        return Decimal(value)
    if field in {"metadata", "counters"}:
        return {entry["key" if field == "metadata" else "name"]: entry["value"] for entry in value}
    if field == "supported_protocol_versions":
        return tuple(value)
    if field == "order":
        return _build(orders.Order if kind is messages.ExecuteOrder else replies.OrderReply, value)
    if field in _TABLES:
        table = _TABLES_OF.get((kind, field), _TABLES[field])
        many = [_build(table, item) for item in (value if isinstance(value, list) else [value])]
        return many[0] if not isinstance(value, list) else tuple(many) if field == "quotes" else many
    return value
