"""What a reconciliation found: typed differences between what the client believed and what the engine has."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from transport.contract.replies import OrderReply, OrderUpdate, UpdateGap


class MissedFill(msgspec.Struct, frozen=True):
    """An execution that this client had not heard of."""

    order_id: str
    update: OrderUpdate


class MissedClose(msgspec.Struct, frozen=True):
    """An order ended, and this client had not heard of it.

    `update` says so; None where it could not be replayed: `order` is the state then.
    """

    order_id: str
    order: OrderReply
    update: OrderUpdate | None = None


class MissedChange(msgspec.Struct, frozen=True):
    """Another change that this client had not heard of: accepted, replaced, triggered, a leg."""

    order_id: str
    update: OrderUpdate


class StateDiffers(msgspec.Struct, frozen=True):
    """An open order is further than this client believed, and the updates in between could not be replayed."""

    order_id: str
    believed: OrderReply
    order: OrderReply


class UnknownToClient(msgspec.Struct, frozen=True):
    """An open order or leg that this client knows nothing of: of an earlier run, or of another client."""

    order_id: str
    order: OrderReply


class MissingAtEngine(msgspec.Struct, frozen=True):
    """The client was told of this order, and the engine does not know it: it has forgotten. Stop, and call somebody."""

    order_id: str
    believed: OrderReply


Difference = MissedFill | MissedClose | MissedChange | StateDiffers | UnknownToClient | MissingAtEngine


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, complete."""

    began_sequence: int | None
    """The account's last update that the client had dealt with; None: it knew of none, and none was replayed."""
    ended_sequence: int
    """The engine's last update that this includes. Reconcile from here next time."""
    differences: tuple[Difference, ...] = ()
    """Missed updates in their order, then what the open orders show."""
    omitted: int = 0
    """Differences beyond the first 10,000; what the client believes is right all the same."""
    gap: UpdateGap | None = None
    """Updates that could not be looked at one by one; what they led to shows in the orders."""
    open_orders: int = 0
    """Orders and legs that are open at the engine."""

    @property
    def agrees(self) -> bool:
        """Whether the client had it all right."""
        return not self.differences and not self.omitted


ReconciliationListener = Callable[[Reconciliation], None]
"""Called in the loop, or in the reconciling thread of a blocking client; what it raises is logged."""
