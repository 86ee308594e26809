"""What the queue tells the application: typed values, in one order.

Of one order: first perhaps `Unresolved`, then `Receipt`, then exactly one final event. `FINAL` names those that are
final; each is told until it was acknowledged, across restarts of the client too (docs/queue.md).
"""

from __future__ import annotations

from typing import Final

import msgspec

from transport.contract.codes import ReasonCode
from transport.contract.replies import OrderCommandReply, OrderReply


class QueueEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all events have in common."""

    number: int
    """Place of the order (or cancel) among all that this outbox has taken; FIFO within a priority is by it."""
    order_id: str
    command_id: str = ""
    """Of a cancel; empty for orders."""
    recovered: bool = False
    """It was admitted by an earlier run of this program, which may have been told this already."""


class Receipt(QueueEvent, frozen=True, kw_only=True):
    """The engine has the order in its journal, durably. Always before the order's `Result`.

    A rejection that is stored under no id (FENCED, DUPLICATE_ORDER_ID, ID_TOO_OLD) has one too, with `sequence` 0.
    """

    sequence: int = 0
    """The account's update that the engine's word included for this order; 0: none yet (the venue is silent)."""


class Result(QueueEvent, frozen=True, kw_only=True):
    """Final: the engine's reply to the order, a rejection too. Later fills are told by order updates."""

    reply: OrderReply


class CancelResult(QueueEvent, frozen=True, kw_only=True):
    """Final: the engine's reply to a cancel."""

    reply: OrderCommandReply


class Refused(QueueEvent, frozen=True, kw_only=True):
    """Final: never executed and never will be under what was sent: refused before `apply`, or without wire form."""

    code: ReasonCode
    message: str = ""
    field: str = ""


class Withdrawn(QueueEvent, frozen=True, kw_only=True):
    """Final: cancelled while it still waited here; it was never sent, and no later run will send it."""

    reason: str = "cancelled before it was sent"


class NotStored(QueueEvent, frozen=True, kw_only=True):
    """Final: given by `put_nowait` and not written to the outbox; this run did not send it. `put` raises instead."""

    reason: str
    may_be_stored: bool = False
    """It may be on disk all the same, and a later run may send it: give it no new id, put it again under its own."""


class Untraceable(QueueEvent, frozen=True, kw_only=True):
    """Final: a copy may have been executed, and the engine no longer remembers ids of that age. Look at its archive,
    or at the venue; do not order again before that."""

    reason: str


class Unresolved(QueueEvent, frozen=True, kw_only=True):
    """Nobody knows yet whether it was executed. The queue goes on asking; a final event follows."""

    reason: str


FinalEvent = Result | CancelResult | Refused | Withdrawn | NotStored | Untraceable
FINAL: Final = (Result, CancelResult, Refused, Withdrawn, NotStored, Untraceable)
