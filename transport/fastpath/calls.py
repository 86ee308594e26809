"""A request in flight, and what the core asks its shell to do: the words between core and shells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from transport.contract.conclusions import Conclusion
from transport.contract.path import PathEvent
from transport.wire.messages import EngineMessage


class OpenCarrier(msgspec.Struct, frozen=True):
    """Make a new carrier."""


class CloseCarrier(msgspec.Struct, frozen=True):
    """Close the carrier; what it still holds is of no interest."""


class Send(msgspec.Struct, frozen=True):
    """Send this; if the carrier does not take it, the connection counts as lost."""

    data: bytes


class Tell(msgspec.Struct, frozen=True):
    """Tell the path's listeners."""

    event: PathEvent


ORDERS_PER_WRITE: Final = 64
"""Of many orders: the engine begins with the first while the next are encoded."""

Action = OpenCarrier | CloseCarrier | Send | Tell
StreamSink = Callable[[EngineMessage], None]


class Call(msgspec.Struct, eq=False):
    """One copy of a request in flight, until its conclusion. A struct: one is made for every order."""

    correlation: int
    deadline_ns: int
    expects: type[Any]
    """Kind of message that answers it."""
    conclusion: Conclusion[Any] | None = None
    wake: Callable[[Call], None] | None = None
    """Called once, when the conclusion stands."""
    waiter: Any = None
    """For the shell's use: what `wake` wakes."""
    until_ns: int = 2**63 - 1
    """For the blocking shell's use: it waits no longer, and the call stays in flight."""

    def conclude(self, conclusion: Conclusion[Any]) -> None:
        """Settle the call, and wake who waits for it; the first conclusion stands."""
        if self.conclusion is not None:
            return
        self.conclusion = conclusion
        if self.wake is not None:
            self.wake(self)
