"""What the queue holds: one entry per order or cancel, and the stages it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from fallback_grpc.queue.events import FinalEvent
from transport.contract.codes import OrderType
from transport.contract.conclusions import Refused as RefusedCopy
from transport.contract.errors import NotSentError
from transport.contract.orders import Order
from transport.contract.requests import CancelOrder

Item = Order | CancelOrder


class QueueFullError(NotSentError):
    """No room in the queue, and none came in time: the order was not taken and will not be sent.

    `accepted`: how many orders of a `put_many` were taken before that.
    """

    def __init__(self, message: str, *, accepted: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted


class Stage(Enum):
    """Where an entry stands; docs/queue.md has the picture."""

    ADMITTED = "admitted"
    """Taken; its row is not known to be on disk. Not sent before that."""
    STORED = "stored"
    """On disk; waits for its turn."""
    SENT = "sent"
    """With the client: a copy is on its way."""
    DELAYED = "delayed"
    """Its last copy got no answer; waits for its next."""
    SETTLING = "settling"
    """Its end is known, but not told before that is on disk: the engine would not say it again (withdrawn, refused)."""
    ANSWERED = "answered"
    """Its final event is known, and not acknowledged."""
    ACKNOWLEDGED = "acknowledged"
    """The application has handled the final event; its row is being deleted."""


TRANSITIONS: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.ADMITTED: frozenset({Stage.STORED, Stage.SETTLING, Stage.ANSWERED}),
    Stage.STORED: frozenset({Stage.SENT, Stage.SETTLING, Stage.ANSWERED}),
    Stage.SENT: frozenset({Stage.STORED, Stage.DELAYED, Stage.SETTLING, Stage.ANSWERED}),
    Stage.DELAYED: frozenset({Stage.STORED, Stage.SETTLING, Stage.ANSWERED}),
    Stage.SETTLING: frozenset({Stage.ANSWERED}),
    Stage.ANSWERED: frozenset({Stage.ACKNOWLEDGED}),
    Stage.ACKNOWLEDGED: frozenset(),
}
"""ADMITTED to ANSWERED: the row could not be written. STORED to ANSWERED: an answer to an earlier copy, or the end."""


def key_of(item: Item) -> tuple[bool, str]:
    """What makes it the same entry: the order's id, or the cancel's command id."""
    return (True, item.command_id) if isinstance(item, CancelOrder) else (False, item.order_id)


def is_same(one: Item, other: Item) -> bool:
    """Whether both have the same content (a trace context is none)."""
    if isinstance(one, Order) and isinstance(other, Order):
        return msgspec.structs.replace(one, trace_context="") == msgspec.structs.replace(other, trace_context="")
    return one == other


@dataclass(slots=True, eq=False)
class Entry:
    """One order or cancel, from `put` until its final event is acknowledged."""

    number: int
    item: Item
    stage: Stage = Stage.ADMITTED
    recovered: bool = False
    is_stored: bool = False
    is_withdrawn: bool = False
    in_doubt: bool = False
    """A copy may have been executed: no refusal of another settles that."""
    has_receipt: bool = False
    told_unresolved: bool = False
    alone: bool = False
    """Sent singly: a batch with it had no form on the wire."""
    refusal: RefusedCopy | None = None
    """A refusal for good of an order in doubt: a fencing query must say what became of the earlier copy."""
    attempts: int = 0
    asks: int = 0
    outcome: FinalEvent | None = None
    waited_for: bool = True
    """Whether a caller waits for its row (`put`), and is told there if that fails."""

    @property
    def order_id(self) -> str:
        """The order that this is about."""
        return self.item.order_id

    @property
    def key(self) -> tuple[bool, str]:
        """See `key_of`."""
        return key_of(self.item)

    @property
    def command_id(self) -> str:
        """Of a cancel; empty for orders."""
        return self.item.command_id if isinstance(self.item, CancelOrder) else ""

    @property
    def is_urgent(self) -> bool:
        """Market orders and cancels go before the rest."""
        return isinstance(self.item, CancelOrder) or self.item.order_type == OrderType.MARKET

    @property
    def is_on_its_way_to_disk(self) -> bool:
        """Whether its row is not known to be there."""
        return self.stage in (Stage.ADMITTED, Stage.SETTLING) and self.outcome is None and not self.is_stored

    @property
    def is_settled(self) -> bool:
        """Whether its end is known, told or not."""
        return self.outcome is not None or self.stage is Stage.SETTLING

    @property
    def may_be_out(self) -> bool:
        """Whether a copy is, or may be, with the engine: only the engine can cancel it then."""
        return self.in_doubt or self.stage is Stage.SENT

    def move(self, stage: Stage) -> None:
        """Goes to another stage; only as `TRANSITIONS` says."""
        assert stage in TRANSITIONS[self.stage], f"{self.key}: {self.stage.value} to {stage.value}"
        self.stage = stage
