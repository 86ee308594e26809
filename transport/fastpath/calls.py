"""A request in flight, and what the core asks its shell to do: the words between core and shells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


Action = OpenCarrier | CloseCarrier | Send | Tell
StreamSink = Callable[[EngineMessage], None]


class Call:
    """One copy of a request in flight, until its conclusion. `wake` is called once, when the conclusion stands."""

    __slots__ = ("conclusion", "correlation", "deadline_ns", "expects", "waiter", "wake")

    def __init__(self, correlation: int, deadline_ns: int, expects: type[Any]) -> None:
        self.correlation = correlation
        self.deadline_ns = deadline_ns
        self.expects = expects
        self.conclusion: Conclusion[Any] | None = None
        self.wake: Callable[[Call], None] | None = None
        self.waiter: Any = None
        """For the shell's use: what `wake` wakes."""

    def conclude(self, conclusion: Conclusion[Any]) -> None:
        """Settle the call, and wake who waits for it; the first conclusion stands."""
        if self.conclusion is not None:
            return
        self.conclusion = conclusion
        if self.wake is not None:
            self.wake(self)
