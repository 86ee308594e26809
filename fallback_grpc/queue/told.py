"""What is still to be told to the application, in order: the receipt of an order before its result. Pure."""

from __future__ import annotations

from collections import deque
from typing import TypedDict

import msgspec

from fallback_grpc.queue.entries import Entry, Stage
from fallback_grpc.queue.events import FinalEvent, QueueEvent, Receipt, Unresolved


class About(TypedDict):
    """The fields of an event that its entry says."""

    number: int
    order_id: str
    command_id: str
    recovered: bool


def about(entry: Entry) -> About:
    """What all events of an entry have in common."""
    return {
        "number": entry.number,
        "order_id": entry.order_id,
        "command_id": entry.command_id,
        "recovered": entry.recovered,
    }


class EventLog:
    """Events that the application has not taken yet: at most three for each entry, so that capacity bounds them."""

    def __init__(self) -> None:
        self._events: deque[QueueEvent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def next(self) -> QueueEvent | None:
        """Takes the first."""
        return self._events.popleft() if self._events else None

    def received(self, entry: Entry, sequence: int) -> None:
        """The engine has it."""
        if not entry.has_receipt:
            entry.has_receipt = True
            self._events.append(Receipt(**about(entry), sequence=sequence))

    def unresolved(self, entry: Entry, reason: str) -> None:
        """Told once, and not of an order that is known to be in the journal: only its result is outstanding."""
        if not entry.told_unresolved and not entry.has_receipt:
            entry.told_unresolved = True
            self._events.append(Unresolved(**about(entry), reason=reason))

    def finish(self, entry: Entry, outcome: FinalEvent) -> None:
        """The final event; what an earlier run wrote is told in the words of this one."""
        if outcome.recovered != entry.recovered:
            outcome = msgspec.structs.replace(outcome, recovered=entry.recovered)
        entry.outcome = outcome
        entry.move(Stage.ANSWERED)
        self._events.append(outcome)
