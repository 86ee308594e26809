"""The canonical form of orders and commands: what "the same order again" means (WIRE.md section 6).

The engine's form is made in Rust (`crates/core`); this one is its oracle in tests, and lets a client show which
content it sent.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from struct import pack

from transport.contract.decimals import normalised, to_wire
from transport.contract.orders import Order, Quote
from transport.contract.requests import (
    CancelAllOrders,
    CancelOrder,
    PublishQuotes,
    ReplaceOrder,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
)

StateChange = (
    CancelOrder
    | ReplaceOrder
    | CancelAllOrders
    | SetTradingState
    | PublishQuotes
    | SetRiskLimits
    | SetCancelOnDisconnect
)

_DEFAULT_ACCOUNT = "default"
_GTC = 1


class _Form:
    """Collects fields, by rising tag, as tag, length, value; what is absent is left out."""

    def __init__(self, head: bytes) -> None:
        self.bytes = bytearray(head)

    def put(self, tag: int, value: bytes) -> None:
        self.bytes += pack("<BI", tag, len(value)) + value

    def text(self, tag: int, value: str) -> None:
        self.put(tag, value.encode())

    def text_if_any(self, tag: int, value: str) -> None:
        if value:
            self.text(tag, value)

    def byte(self, tag: int, value: int | None) -> None:
        if value is not None:
            self.put(tag, pack("<B", value))

    def number(self, tag: int, value: Decimal | None, field: str) -> None:
        if value is not None:
            self.put(tag, _decimal(value, field))

    def signed(self, tag: int, value: int | None) -> None:
        if value is not None:
            self.put(tag, pack("<q", value))

    def unsigned(self, tag: int, value: int | None) -> None:
        if value is not None:
            self.put(tag, pack("<Q", value))


def order_form(order: Order) -> bytes:
    """The canonical form of an order; raises `ValidationError` for what has no form on the wire."""
    form = _Form(b"XBR-ORDER1")
    form.text(1, order.order_id)
    form.text_if_any(2, order.symbol)
    form.byte(3, order.order_type)
    form.byte(4, order.side)
    for tag, field in ((5, "quantity"), (6, "price"), (7, "stop_loss"), (8, "take_profit")):
        form.number(tag, getattr(order, field), field)
    form.signed(9, order.timestamp_ns)
    for key, value in sorted((key.encode(), value.encode()) for key, value in order.metadata.items()):
        form.put(10, pack("<I", len(key)) + key + value)
    form.text(11, order.account or _DEFAULT_ACCOUNT)
    form.byte(12, order.time_in_force or _GTC)
    form.signed(13, order.expires_at_ns)
    return bytes(form.bytes)


def content_hash(form: bytes) -> bytes:
    """The hash that the journal shows: the first 16 bytes of the form's SHA-256."""
    return sha256(form).digest()[:16]


def command_form(command: StateChange, *, session_id: str = "") -> bytes:
    """The canonical form of a state-changing command. `session_id`: of the connection, for `SetCancelOnDisconnect`."""
    form = _Form(f"XBR-{type(command).__name__.upper()}1".encode())
    form.text(1, command.command_id)
    _COMMAND_FIELDS[type(command)](form, command)
    if isinstance(command, SetCancelOnDisconnect):
        form.text(19, session_id)
        form.unsigned(20, command.grace_ms)
    return bytes(form.bytes)


def _cancel(form: _Form, command: CancelOrder) -> None:
    form.text(2, command.order_id)
    form.text(3, command.account or _DEFAULT_ACCOUNT)
    form.unsigned(4, command.expected_version)


def _replace(form: _Form, command: ReplaceOrder) -> None:
    form.text(2, command.order_id)
    form.text(3, command.account or _DEFAULT_ACCOUNT)
    form.unsigned(4, command.expected_version)
    form.number(5, command.quantity, "quantity")
    form.number(6, command.price, "price")


def _cancel_all(form: _Form, command: CancelAllOrders) -> None:
    form.text(3, command.account or _DEFAULT_ACCOUNT)
    form.text_if_any(7, command.symbol)


def _set_trading_state(form: _Form, command: SetTradingState) -> None:
    form.text(3, command.account or _DEFAULT_ACCOUNT)
    form.byte(8, command.state or None)
    form.byte(9, int(command.cancel_open_orders))
    form.byte(11, int(command.all_accounts) or None)


def _publish_quotes(form: _Form, command: PublishQuotes) -> None:
    form.text(3, _DEFAULT_ACCOUNT)
    for quote in command.quotes:
        form.put(10, _quote(quote))


def _set_risk_limits(form: _Form, command: SetRiskLimits) -> None:
    limits = command.limits
    form.text(3, command.account or _DEFAULT_ACCOUNT)
    form.text_if_any(7, command.symbol)
    form.number(12, limits.max_order_quantity, "limits.max_order_quantity")
    form.number(13, limits.max_order_notional, "limits.max_order_notional")
    form.number(14, limits.price_collar, "limits.price_collar")
    form.unsigned(15, limits.max_open_orders)
    form.number(16, limits.max_position, "limits.max_position")
    form.unsigned(17, limits.orders_per_second)
    form.unsigned(18, limits.order_burst)


def _set_cancel_on_disconnect(form: _Form, command: SetCancelOnDisconnect) -> None:
    form.text(3, command.account or _DEFAULT_ACCOUNT)


_COMMAND_FIELDS: dict[type, Callable[..., None]] = {
    CancelOrder: _cancel,
    ReplaceOrder: _replace,
    CancelAllOrders: _cancel_all,
    SetTradingState: _set_trading_state,
    PublishQuotes: _publish_quotes,
    SetRiskLimits: _set_risk_limits,
    SetCancelOnDisconnect: _set_cancel_on_disconnect,
}


def _quote(quote: Quote) -> bytes:
    symbol = quote.symbol.encode()
    value = bytearray(pack("<I", len(symbol)) + symbol)
    for field in ("bid", "ask", "bid_size", "ask_size", "last_price", "volume"):
        number: Decimal | None = getattr(quote, field)
        value += b"\0" if number is None else b"\1" + _decimal(number, field)
    value += b"\0" if quote.timestamp_ns is None else b"\1" + pack("<q", quote.timestamp_ns)
    return bytes(value)


def _decimal(value: Decimal, field: str) -> bytes:
    return pack("<qb", *normalised(*to_wire(value, field)))
