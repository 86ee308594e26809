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


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Asks how the engine is; allowed before its journal is known."""

    service: str = ""


class SubscribeOrderUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the account's updates, from now or from after `resume_from`."""

    account: str = "default"
    resume_from: int | None = None
    accept_gaps: bool = False


Command = CancelOrder | ReplaceOrder | GetOrder | CancelAllOrders | SetTradingState | PublishQuotes | HealthCheck
"""Requests that are answered by one reply."""


def command_id_of(command: Command) -> str:
    """The command's id; empty for queries, which change nothing that an id would have to protect."""
    return "" if isinstance(command, GetOrder | HealthCheck) else command.command_id
