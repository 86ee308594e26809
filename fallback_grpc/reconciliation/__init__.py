"""After a (re)connection: what the client believes, compared with what the engine has; differences are events.

- `beliefs`: what the client has last heard of its account's orders, in bounded memory.
- `comparison`: one comparison, as a pure core; `report`: what comes of it.
- `asynchronous`, `blocking`: the shells, which ask the engine.
"""

from __future__ import annotations

from fallback_grpc.reconciliation.report import (
    Difference,
    MissedChange,
    MissedClose,
    MissedFill,
    MissingAtEngine,
    Reconciliation,
    ReconciliationListener,
    StateDiffers,
    UnknownToClient,
)

__all__ = [
    "Difference",
    "MissedChange",
    "MissedClose",
    "MissedFill",
    "MissingAtEngine",
    "Reconciliation",
    "ReconciliationListener",
    "StateDiffers",
    "UnknownToClient",
]
