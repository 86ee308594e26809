"""What is still to be written to the outbox, gathered into few transactions (group commit). Pure.

Inserts and withdrawals are urgent: somebody waits for them. Conclusions and deletions are not, since the engine can
always be asked again: they wait a little, so that an order that is acknowledged at once costs one deletion and no
more, and go along with whatever is written meanwhile.
"""

from __future__ import annotations

from collections import deque

from fallback_grpc.queue.outbox import Conclude, Delete, Insert, Position, Write


class PendingWrites:
    """Writes in order; at most one transaction at a time."""

    def __init__(self, patience_ns: int, most_at_once: int) -> None:
        self._patience_ns = patience_ns
        self._most_at_once = most_at_once
        self._waiting: deque[Write] = deque()
        self._committing: list[Write] = []
        self._conclusions: set[int] = set()
        self._urgent = 0
        self._patient_since_ns: int | None = None
        self._not_before_ns = 0
        self._position: int | None = None
        self._position_written: int | None = None

    @property
    def is_committing(self) -> bool:
        """Whether a transaction is on its way."""
        return bool(self._committing)

    @property
    def is_empty(self) -> bool:
        """Whether everything is on disk."""
        return not self._waiting and not self._committing

    def add(self, write: Write, now_ns: int, *, urgent: bool = False) -> None:
        """One more; after all that were added before."""
        self._waiting.append(write)
        if isinstance(write, Conclude):
            self._conclusions.add(write.number)
        if urgent:
            self._urgent += 1
        elif self._patient_since_ns is None:
            self._patient_since_ns = now_ns

    def forget_conclusion(self, number: int) -> None:
        """The entry is about to be deleted: its conclusion need not be written, if it was not yet."""
        self._conclusions.discard(number)

    def set_position(self, sequence: int) -> None:
        """Goes along with the next transaction."""
        self._position = sequence

    def hurry(self) -> None:
        """Somebody waits for what the patient ones will free."""
        self._patient_since_ns = None if not self._waiting else -self._patience_ns

    def due_ns(self) -> int | None:
        """When to take the next transaction; None: there is nothing, or one is on its way."""
        if self._committing or not self._waiting:
            return None
        if self._urgent or len(self._waiting) >= self._most_at_once:
            return self._not_before_ns
        return max(self._not_before_ns, (self._patient_since_ns or 0) + self._patience_ns)

    def take(self, now_ns: int) -> list[Write]:
        """The next transaction, if it is due."""
        due_ns = self.due_ns()
        if due_ns is None or due_ns > now_ns:
            return []
        while self._waiting and len(self._committing) < self._most_at_once:
            write = self._waiting.popleft()
            if not isinstance(write, Conclude):
                self._committing.append(write)
            elif write.number in self._conclusions:
                self._conclusions.discard(write.number)
                self._committing.append(write)
        if not self._waiting:
            self._urgent, self._patient_since_ns = 0, None
        if self._position is not None and self._position != self._position_written:
            self._committing.append(Position(self._position))
        return list(self._committing)

    def committed(self) -> list[Write]:
        """The transaction is on disk."""
        done, self._committing = self._committing, []
        for write in done:
            if isinstance(write, Position):
                self._position_written = write.sequence
        self._not_before_ns = 0
        return done

    def failed(self, retry_at_ns: int, *, may_be_stored: bool) -> list[Insert]:
        """The transaction failed: the rest of it is tried again, but its inserts are given up; they are returned.

        Where they may be on disk all the same, they are deleted with what is written next.
        """
        failed, self._committing = self._committing, []
        given_up = [write for write in failed if isinstance(write, Insert)]
        again: list[Write] = [write for write in failed if not isinstance(write, Insert | Position)]
        if may_be_stored:
            again = [Delete(write.number) for write in given_up] + again
        self._conclusions.update(write.number for write in again if isinstance(write, Conclude))
        self._waiting.extendleft(reversed(again))
        if again and self._patient_since_ns is None:
            self._patient_since_ns = 0
        self._not_before_ns = retry_at_ns
        return given_up
