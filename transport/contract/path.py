"""What a path to the engine tells whoever listens: the evidence that failover decides by."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from transport.contract.codes import ReasonCode


class PathConnected(msgspec.Struct, frozen=True, kw_only=True):
    """The path is open, and the engine has said who it is."""

    journal_id: str
    epoch: int
    connection: int
    """Counts this client's connections of the path from 1."""


class PathLost(msgspec.Struct, frozen=True, kw_only=True):
    """An open path went (reset, silence, garbage): requests in flight on it are unknown now."""

    reason: str
    in_flight: int


class PathRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A connection could not be opened: nobody there, no handshake in time, or the engine refused the Hello."""

    reason: str
    code: ReasonCode = ReasonCode.NONE
    """The engine's code where it was the engine that refused."""


class PathGoingAway(msgspec.Struct, frozen=True, kw_only=True):
    """The engine shuts down: it answers what it owes and takes nothing new."""

    message: str
    drain_ms: int


PathEvent = PathConnected | PathLost | PathRefused | PathGoingAway
PathListener = Callable[[PathEvent], None]
"""Called in the thread (or loop) that drives the path, with no lock held that a client call needs; must not block."""
