"""What a client has last heard of its account's orders, from replies and updates, in bounded memory. Pure.

On the way of every order, so it is short: a look at the status and one or two accesses of dictionaries.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from transport.contract.codes import ExecutionStatus
from transport.contract.replies import OrderReply, OrderUpdate, UpdateGap

MOST_CLOSED: Final = 16_384
"""Ended orders that are remembered until the next reconciliation, so that their updates are no news."""

MOST_OPEN: Final = 65_536
"""Orders that are believed open. Without a subscription nobody says that they ended, until the next reconciliation."""

_PENDING: Final = ExecutionStatus.PENDING
_PARTIALLY_FILLED: Final = ExecutionStatus.PARTIALLY_FILLED


class Beliefs:
    """Open orders as last heard of; ended ones by the number of their last update. One writer at a time."""

    def __init__(self, position: int | None = None, most_closed: int = MOST_CLOSED, most_open: int = MOST_OPEN) -> None:
        """`position`: the account's last update that has been dealt with, if known."""
        self.open: dict[str, OrderReply] = {}
        self._closed: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self.position = position
        """Every update up to this one has been heard of, or is part of what was reconciled."""
        self.floor = 0
        """Below it, orders were forgotten: an update of one can not be told from news."""
        self._most_closed = most_closed // 2
        self._most_open = most_open

    def replied(self, reply: OrderReply) -> None:
        """A reply told the state of an order: perhaps an old one, if it was stored."""
        order_id = reply.order_id
        status = reply.status
        if status is _PENDING or status is _PARTIALLY_FILLED:
            known = self.open.get(order_id)
            if (known is None or known.sequence <= reply.sequence) and self.closed_at(order_id) < 0:
                self.open[order_id] = reply
                if known is None and len(self.open) > self._most_open:
                    self._forget_open()
            return
        if reply.sequence == 0:
            return  # refused, or rejected without a trace: nothing that a reconciliation could find
        self.open.pop(order_id, None)
        self._closed[order_id] = reply.sequence
        if len(self._closed) >= self._most_closed:
            self._forget_older()

    def _forget_older(self) -> None:
        """The older half goes, all at once: taking the oldest one by one would cost more than remembering."""
        self.floor = max(self.floor, *self._older.values()) if self._older else self.floor
        self._older, self._closed = self._closed, {}

    def _forget_open(self) -> None:
        """As `_forget_older`. One that is open after all is listed at the next reconciliation."""
        for order_id in list(islice(self.open, len(self.open) // 2)):
            self.floor = max(self.floor, self.open.pop(order_id).sequence)

    def closed_at(self, order_id: str) -> int:
        """The last update of an order that is known to have ended; -1: it is not."""
        at = self._closed.get(order_id, -1)
        return at if at >= 0 else self._older.get(order_id, -1)

    def heard(self, item: OrderUpdate | UpdateGap) -> None:
        """A subscription told an update, or a gap."""
        if isinstance(item, UpdateGap):
            if self.position is not None and item.first_sequence <= self.position + 1:
                self.position = max(self.position, item.last_sequence)
            return
        self.replied(item.order)
        if not item.snapshot and (self.position is None or item.sequence == self.position + 1):
            self.position = item.sequence

    def last_heard(self, order_id: str) -> int:
        """The update that the latest news of an order included; -1: never heard of it."""
        known = self.open.get(order_id)
        return known.sequence if known is not None else self.closed_at(order_id)

    @property
    def remembered(self) -> int:
        """How many ended orders are remembered."""
        return len(self._closed) + len(self._older)

    def settle(self, orders: list[OrderReply], sequence: int) -> None:
        """The engine's open orders as of `sequence` are believed now, but for what was heard since."""
        for order in orders:
            if self.closed_at(order.order_id) < 0:
                self.replied(order)
        ended = self._older | self._closed
        self._older, self._closed = {}, {order_id: at for order_id, at in ended.items() if at > sequence}
        self.position = max(self.position or 0, sequence)
        self.floor = 0
