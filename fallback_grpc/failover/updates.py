"""Where a subscription to order updates stands, across reconnects and paths: each update once and in order. Sans-I/O.

Sequence numbers are the account's, the same on both paths and without holes (invariant 7). So the cursor drops what
it has seen, and asks again from the last good number when one is missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from transport.contract.codes import ReasonCode
from transport.contract.errors import EngineSystemError, ExecutionBridgeError, ExecutionError
from transport.contract.replies import OrderUpdate, UpdateGap

# The same hole twice at one place is no accident of the connection.
_MOST_HOLES = 3
# A stream that ended like this is simply resumed.
_RESUMABLE = frozenset(
    {
        ReasonCode.SLOW_CONSUMER,
        ReasonCode.SHUTTING_DOWN,
        ReasonCode.BUSY,
        ReasonCode.TOO_MANY_CONNECTIONS,
        ReasonCode.HELLO_REQUIRED,
        # Somebody will start the engine again; the numbers go on then.
        ReasonCode.JOURNAL_FAILED,
    }
)


class UpdateCursor:
    """The position of one subscriber."""

    def __init__(self, resume_from: int | None) -> None:
        self._last = resume_from
        self._snapshot_from: int | None = None
        self._holes = 0
        self.is_streaming = False
        """A stream has begun and not ended: the engine has answered its subscription."""
        self.has_hole = False
        """An update is missing: subscribe again at `resume_from`."""

    @property
    def resume_from(self) -> int | None:
        """The number to resume after; None: from now.

        While a snapshot is incoming this is the number before its gap, so that a break brings the whole again.
        """
        return self._last if self._snapshot_from is None else self._snapshot_from

    def accept(self, item: OrderUpdate | UpdateGap) -> OrderUpdate | UpdateGap | None:
        """The item if the subscriber should see it; None if it has seen it, or must not before a missing one."""
        if isinstance(item, UpdateGap):
            self._snapshot_from = item.first_sequence - 1 if self._last is None else self._last
            self._last = item.last_sequence
            return item
        if item.snapshot:
            return item
        self._snapshot_from = None
        if self._last is not None:
            if item.sequence <= self._last:
                return None
            if item.sequence != self._last + 1:
                self._found_hole(item.sequence)
                return None
        self._last = item.sequence
        self._holes = 0
        return item

    def began(self, at: int | None) -> None:
        """The engine says that a stream from now began after this number: it is resumed there, whatever it brings."""
        self.is_streaming = True
        if self._last is None:
            self._last = at

    def restarted(self, began_at: int | None = None) -> None:
        """A new stream begins at `resume_from`; `began_at`: where the one before began, if nothing came of it."""
        self.has_hole = False
        self.began(began_at)
        self.is_streaming = False

    def _found_hole(self, sequence: int) -> None:
        self.has_hole = True
        self._holes += 1
        if self._holes >= _MOST_HOLES:
            raise EngineSystemError(
                f"order updates: {sequence} came after {self._last}, {self._holes} times: the stream has a hole"
            )


def last_sequence_of(headers: Iterable[tuple[str, str | bytes]] | None) -> int | None:
    """Where a stream of updates says that it began; None from an engine that does not say."""
    value = dict(headers or ()).get("x-last-sequence")
    return int(value) if isinstance(value, str) and value.isdigit() else None


def is_final(problem: ExecutionBridgeError) -> bool:
    """Whether a subscription that ended with this must not simply be resumed."""
    return not (isinstance(problem, ExecutionError | EngineSystemError) and problem.code in _RESUMABLE)
