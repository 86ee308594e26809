"""The client's own ledger: what it sent, what it was told, every update. The audit compares it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from transport import Delivery, ExecutionBridgeError, Order, OrderReply, OrderUpdate, UpdateGap, UpdateKind


@dataclass(frozen=True, slots=True, order=True)
class Fill:
    """One execution of one order."""

    execution_id: int
    quantity: Decimal
    price: Decimal


@dataclass(slots=True)
class Call:
    """One order that was sent: how the call ended, and how long it took."""

    order: Order
    sent: Literal["alone", "in basket", "in batch"]
    """By itself, with others in flight at the same time, or with others in one message."""
    latency_us: float = 0.0
    delivery: Delivery | None = None
    reply: OrderReply | None = None
    error: ExecutionBridgeError | None = None

    @property
    def path(self) -> str:
        """The path that answered; `?` where the call does not say (a batch is one message for many orders)."""
        return self.delivery.path if self.delivery is not None else "?"


@dataclass
class Ledger:
    """Written by the orchestrator only; it never looks at the engine's side."""

    calls: dict[str, Call] = field(default_factory=dict[str, Call])
    sequences: list[int] = field(default_factory=list[int])
    states: dict[str, OrderReply] = field(default_factory=dict[str, OrderReply])
    fills: defaultdict[str, list[Fill]] = field(default_factory=lambda: defaultdict[str, list[Fill]](list))
    gaps: list[UpdateGap] = field(default_factory=list[UpdateGap])
    cancelled: int = 0
    replaced: int = 0

    def record_call(self, call: Call) -> None:
        """A call has ended, one way or another."""
        self.calls[call.order.order_id] = call

    def record_update(self, update: OrderUpdate | UpdateGap) -> None:
        """The account's next update came."""
        if isinstance(update, UpdateGap):
            self.gaps.append(update)
            return
        self.sequences.append(update.sequence)
        self.states[update.order.order_id] = update.order
        if update.kind == UpdateKind.FILL and update.last_quantity is not None and update.last_price is not None:
            fill = Fill(update.execution_id, update.last_quantity, update.last_price)
            self.fills[update.order.order_id].append(fill)

    @property
    def last_sequence(self) -> int:
        """Of the newest update."""
        return self.sequences[-1] if self.sequences else 0

    def unconcluded(self) -> list[str]:
        """Orders whose call ended in an exception: the client does not know what became of them."""
        return [order_id for order_id, call in self.calls.items() if call.reply is None]
