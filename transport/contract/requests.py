"""What a client may ask besides executing orders (WIRE.md section 1.4), the same on both paths."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from transport.contract.codes import TradingState
from transport.contract.ids import new_command_id
from transport.contract.orders import Quote


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancels one order. An id that the engine does not know is fenced: it will never execute."""

    order_id: str
    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"
    expected_version: int | None = None


class ReplaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Changes total quantity (the executed part included), price, or both, of an order that is open."""

    order_id: str
    expected_version: int
    """The `order_version` that this was decided on."""
    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"
    quantity: Decimal | None = None
    price: Decimal | None = None


class GetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for one order; with `fence`, an id that the engine does not know will never execute afterwards."""

    order_id: str
    account: str = "default"
    fence: bool = False


class CancelAllOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Cancels every open order of the account, or those of one symbol."""

    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"
    symbol: str = ""


class SetTradingState(msgspec.Struct, frozen=True, kw_only=True):
    """Says what the account may do from now on; or every account, the stricter of that and its own state counting."""

    state: TradingState
    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"
    cancel_open_orders: bool = False
    all_accounts: bool = False


class PublishQuotes(msgspec.Struct, frozen=True, kw_only=True):
    """The feed's side of the embedded exchange; of one message, the last quote of a symbol counts."""

    quotes: tuple[Quote, ...]
    command_id: str = msgspec.field(default_factory=new_command_id)


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an account, or of one of its symbols (WIRE.md section 3, "Risk limits"); None does not limit."""

    max_order_quantity: Decimal | None = None
    max_order_notional: Decimal | None = None
    """Quantity times price."""
    price_collar: Decimal | None = None
    """How far a price may lie from the last one, as a fraction of that: 0.05 is 5 %."""
    max_open_orders: int | None = None
    """Per symbol."""
    max_position: Decimal | None = None
    """Per symbol, long or short, as if every open order of that side were filled."""
    orders_per_second: int | None = None
    """Of the account."""
    order_burst: int | None = None
    """Orders at once; None: as many as a second allows."""


class SetRiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Says how much the account may do from now on; these limits replace all that stood for account and symbol."""

    limits: RiskLimits = RiskLimits()
    """None at all: back to those of the engine's configuration."""
    symbol: str = ""
    """Empty: every symbol that has no limits of its own."""
    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"


class SetCancelOnDisconnect(msgspec.Struct, frozen=True, kw_only=True):
    """Has the session's open orders cancelled once it has had no connection on either path for `grace_ms`."""

    grace_ms: int | None
    """None: off."""
    command_id: str = msgspec.field(default_factory=new_command_id)
    account: str = "default"


class ListOpenOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a page of the account's open orders and legs, oldest first."""

    account: str = "default"
    after_order_id: str = ""
    """The last id of the page before; empty: the first page."""


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Asks how the engine is; allowed before its journal is known."""

    service: str = ""


class SubscribeOrderUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the account's updates, from now or from after `resume_from`."""

    account: str = "default"
    resume_from: int | None = None
    accept_gaps: bool = False


Command = (
    CancelOrder
    | ReplaceOrder
    | GetOrder
    | CancelAllOrders
    | SetTradingState
    | PublishQuotes
    | SetRiskLimits
    | SetCancelOnDisconnect
    | ListOpenOrders
    | HealthCheck
)
"""Requests that are answered by one reply."""


def order_ids_of(command: Command) -> tuple[str, ...]:
    """The order that the command names, if it names one."""
    return (command.order_id,) if isinstance(command, CancelOrder | ReplaceOrder | GetOrder) else ()


def is_query(command: Command) -> bool:
    """Whether it changes nothing: a copy without an answer leaves nothing in doubt. A fence does change something."""
    return isinstance(command, ListOpenOrders | HealthCheck) or (isinstance(command, GetOrder) and not command.fence)


def command_id_of(command: Command) -> str:
    """The command's id; empty for queries, which change nothing that an id would have to protect."""
    return "" if isinstance(command, GetOrder | ListOpenOrders | HealthCheck) else command.command_id
