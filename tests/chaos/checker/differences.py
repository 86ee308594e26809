"""The names of all that can be wrong after a run, and under which of the three totals each counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Total = Literal["lost", "duplicated", "unresolved", "other"]


class DifferenceKind(StrEnum):
    """What differs."""

    ACKNOWLEDGED_LOST = "acknowledged and not in the journal"
    COMMAND_LOST = "command acknowledged and not in the journal"
    UPDATE_HOLE = "update missing in between"
    UPDATES_MISSING = "last updates never came"
    UPDATE_GAP = "gap message within the history"
    SAID_TO_BE_FORGOTTEN = "a reconciliation said that the engine had forgotten an order"
    EXECUTED_TWICE = "taken as a new order twice"
    OPENED_TWICE = "opened twice at the exchange"
    FILLED_TWICE = "one execution twice"
    OVERFILLED = "filled beyond its quantity"
    COMMAND_TWICE = "command executed twice"
    UPDATE_REPEATED = "update delivered again or out of order"
    UNRESOLVED = "outcome never learned"
    COMMAND_UNRESOLVED = "answer to a command never learned"
    REPLY_DIFFERS = "reply is not the stored one"
    COMMAND_REPLY_DIFFERS = "answer to a command is not the stored one"
    QUERY_DIFFERS = "query does not tell the stored reply"
    EXECUTED_UNSENT = "taken though its client was told that nothing was sent or done"
    EXECUTED_FENCED = "taken though it was said never to execute"
    FENCE_UNRECORDED = "said to be fenced, and the journal knows of no fence"
    REJECTED_AS_FENCED = "rejected as fenced, and no fence stands"
    REJECTED_AS_OTHER = "rejected as another order's id, and no other order stands"
    EXECUTED_EXPIRED = "taken after it had expired"
    CONTENT_DIFFERS = "taken with another content than was sent"
    FROM_NOWHERE = "in the journal, and nobody sent it"
    FILLS_DIFFER = "the account was told of other fills than the exchange made"
    FILLS_HEARD_DIFFER = "a subscriber heard of other fills than the exchange made"
    STATE_DIFFERS = "the last update's executed quantity is not the sum of the fills"
    UPDATES_DISAGREE = "two subscribers were given different updates under one number"
    LEASE_EXPIRED_EARLY = "a session's orders were cancelled before it had been gone for its grace"
    CANCELLED_WITHOUT_LEASE = "an order was cancelled on disconnect, and no lease of its session had expired"
    OPEN_AFTER_CANCEL_ALL = "an order is open after all were cancelled"
    TOLD_AFTER_THE_END = "the queue told more of an order after its final event"
    TOLD_TWO_ENDS = "the queue told two different ends of one order"
    RECONCILED_UNTRUE = "a reconciliation told of a fill that the exchange never made"
    SUBSCRIPTION_ENDED = "a subscription ended with an error that no fault explains"
    SURPRISE = "an exception that is not of the bridge"
    UNEXPECTED_END = "a call ended in an error that no fault explains"
    VERIFY_FAILED = "the engine's own verify failed"
    CLIENT_FAILED = "a client process ended or hung"
    ENGINE_FAILED = "the engine ended by itself, hung, or exited with a failure"


_TOTALS: dict[DifferenceKind, Total] = {
    DifferenceKind.ACKNOWLEDGED_LOST: "lost",
    DifferenceKind.COMMAND_LOST: "lost",
    DifferenceKind.UPDATE_HOLE: "lost",
    DifferenceKind.UPDATES_MISSING: "lost",
    DifferenceKind.UPDATE_GAP: "lost",
    DifferenceKind.SAID_TO_BE_FORGOTTEN: "lost",
    DifferenceKind.EXECUTED_TWICE: "duplicated",
    DifferenceKind.OPENED_TWICE: "duplicated",
    DifferenceKind.FILLED_TWICE: "duplicated",
    DifferenceKind.OVERFILLED: "duplicated",
    DifferenceKind.COMMAND_TWICE: "duplicated",
    DifferenceKind.UPDATE_REPEATED: "duplicated",
    DifferenceKind.UNRESOLVED: "unresolved",
    DifferenceKind.COMMAND_UNRESOLVED: "unresolved",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is wrong."""

    kind: DifferenceKind
    where: str
    """The client, or `journal`, `engine`."""
    what: str
    """Which order, command or update, and both sides of the difference."""

    @property
    def total(self) -> Total:
        """Under what it counts."""
        return _TOTALS.get(self.kind, "other")

    def __str__(self) -> str:
        return f"{self.kind} [{self.where}] {self.what}"
