"""What the bridge reports about its paths, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from transport.contract.replies import Path


class PathEventKind(Enum):
    """What became of a path. Who only wants to know where orders can go listens to UP and DOWN."""

    UP = "up"
    """Orders may use it from now on."""
    DOWN = "down"
    """Orders no longer use it; probes look for its return."""
    PREFERRED = "preferred"
    """Calls take it from now on whenever it is up (`client.prefer`)."""
    CONNECTED = "connected"
    """It has a connection; orders wait until probes have closed its breaker."""
    DISCONNECTED = "disconnected"
    """Its connection went."""
    BREAKER_OPEN = "breaker_open"
    """Its circuit breaker opened, or a probe failed; `reason` is the signal."""
    BREAKER_HALF_OPEN = "breaker_half_open"
    """A probe is on its way."""
    BREAKER_CLOSED = "breaker_closed"
    """Enough probes in a row were good."""
    GOING_AWAY = "going_away"
    """The engine announced its shutdown."""
    JOURNAL_MISMATCH = "journal_mismatch"
    """Another engine answers there: the path is not used, however well it works. Check endpoints and volumes."""
    STATE_REGRESSED = "state_regressed"
    """The engine has forgotten what this client has seen (an older disk). Every path stops, for good: call somebody."""


class BridgePathEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one path; `at_ns` is monotonic."""

    path: Path
    kind: PathEventKind
    reason: str
    at_ns: int


BridgePathListener = Callable[[BridgePathEvent], None]
"""Called in the loop or thread that noticed; must not block. What it raises is logged and goes no further."""


class BridgeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the client was made. One batch of `execute_batch` counts as one call."""

    orders_by_path: dict[Path, int]
    """Calls that a path concluded with a reply (orders; commands are not counted)."""
    resent: int = 0
    """Further copies of requests, whatever path they took."""
    resolved: int = 0
    """Calls that were in doubt and then got their reply."""
    unresolved: int = 0
    """Calls that ended in `OutcomeUnknownError`."""
    failovers: int = 0
    """Times that the preferred path was lost while another could take over."""
    hedged: int = 0
    """Orders that were also sent on the other path because the first copy hesitated."""
    hedge_won: int = 0
    """Of those, how many the second copy answered first."""
    last_failover_ms: float | None = None
    """From the moment the fault was noticed to the next completed order."""
