"""The asynchronous queue: orders that are not urgent, bounded, by priority, with a durable outbox (docs/queue.md).

- `core`: what to take, write, send and tell; `entries`, `waiting_line`, `pending_writes`, `asks`, `told`: its parts.
- `outbox`: the seam to the disk, and rows in memory; `sqlite_outbox`: rows in a file.
- `order_queue`, with `admission`, `sender`, `outbox_writer`, `delivery`: the asyncio shell; `blocking`: for threads.
"""

from __future__ import annotations

from fallback_grpc.queue.blocking import BlockingOrderQueue
from fallback_grpc.queue.entries import QueueFullError
from fallback_grpc.queue.events import (
    FINAL,
    CancelResult,
    FinalEvent,
    NotStored,
    QueueEvent,
    Receipt,
    Refused,
    Result,
    Unresolved,
    Untraceable,
    Withdrawn,
)
from fallback_grpc.queue.order_queue import OrderQueue
from fallback_grpc.queue.outbox import (
    MemoryOutbox,
    OutboxDamagedError,
    OutboxError,
    OutboxInUseError,
    OutboxMismatchError,
    OutboxStore,
)
from fallback_grpc.queue.settings import QueueSettings
from fallback_grpc.queue.sqlite_outbox import SqliteOutbox

__all__ = [
    "FINAL",
    "BlockingOrderQueue",
    "CancelResult",
    "FinalEvent",
    "MemoryOutbox",
    "NotStored",
    "OrderQueue",
    "OutboxDamagedError",
    "OutboxError",
    "OutboxInUseError",
    "OutboxMismatchError",
    "OutboxStore",
    "QueueEvent",
    "QueueFullError",
    "QueueSettings",
    "Receipt",
    "Refused",
    "Result",
    "SqliteOutbox",
    "Unresolved",
    "Untraceable",
    "Withdrawn",
]
