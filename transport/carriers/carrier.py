"""The carrier seam: how whole messages travel between this process and the engine, and nothing else.

A carrier is one connection, for one connection epoch: it is made, becomes ready, and is lost or closed; it never
connects again by itself, so that nothing accepted for one connection can come out of another. It never blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec


class CarrierState(Enum):
    """What happened to a carrier."""

    READY = "ready"
    """The transport's own handshake is done: messages may be sent."""
    LOST = "lost"
    """The connection went, or could not be made; the carrier is of no more use."""


class CarrierEvent(msgspec.Struct, frozen=True):
    """A change of a carrier's state, with the transport's reason in words."""

    state: CarrierState
    reason: str = ""


class Carrier(Protocol):
    """One connection. To be used by one thread at a time (a lock between threads will do)."""

    def filenos(self) -> tuple[int, ...]:
        """Descriptors that become readable when `receive` or `events` may have something.

        They may be edge-triggered (libzmq's are): wait on them only after `receive` and `events` had nothing, and
        look again after each `send`.
        """
        ...

    def send(self, data: bytes) -> bool:
        """Hand one message over. False: not accepted, and it will not be sent. True: it may have been sent."""
        ...

    def receive(self) -> bytes | None:
        """The next message, or None where there is none yet."""
        ...

    def events(self) -> list[CarrierEvent]:
        """What happened since the last call. Messages received before a loss can still be read."""
        ...

    def close(self) -> None:
        """Drop the connection, and what was accepted but not sent. May be called again."""
        ...


class WaitingCarrier(Carrier, Protocol):
    """A carrier whose descriptors are its own business: it does the waiting. `filenos` has none."""

    def wait(self, timeout_ns: int, spin_ns: int) -> bool:
        """Until there is something to receive, or an event, or `wake` was called, or the time is over.

        True: `events` has something. Looks again and again for `spin_ns`, then sleeps. While one thread waits, another
        may use the carrier.
        """
        ...

    def wake(self) -> None:
        """End the present `wait`, or the next one. From any thread."""
        ...


CarrierFactory = Callable[[], Carrier]
"""Begins a connection; may raise `OSError` where it cannot even begin."""
