"""Writes what the core wants written, one transaction at a time, and tells callers what became of their rows.

For the tasks of the queue's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from fallback_grpc.queue.admission import RoomLine
from fallback_grpc.queue.core import QueueCore
from fallback_grpc.queue.entries import Entry
from fallback_grpc.queue.events import Withdrawn
from fallback_grpc.queue.outbox import OutboxError, OutboxStore, Write

_log = logging.getLogger(__name__)


class OutboxWriter:
    """The transactions of one queue, and the callers that wait for them."""

    def __init__(
        self,
        store: OutboxStore,
        core: QueueCore,
        room: RoomLine,
        *,
        position: Callable[[], int | None],
        ended: Callable[[bool], None],
    ) -> None:
        """`position`: the account's last update that was dealt with. `ended`: a transaction has ended, well or not."""
        self._store = store
        self._core = core
        self._room = room
        self._position = position
        self._ended = ended
        self._commit: asyncio.Task[None] | None = None
        self._stored: dict[int, asyncio.Future[None]] = {}
        self._withdrawn: dict[int, asyncio.Future[Withdrawn]] = {}

    # ---- callers ----

    def stored(self, entry: Entry) -> asyncio.Future[None]:
        """Ends when the entry's row is on disk, or fails. For many to wait on: shield it."""
        if entry.is_on_its_way_to_disk:
            return self._stored.setdefault(entry.number, _future())
        stored = _future()
        stored.set_result(None)
        return stored

    def withdrawn(self, entry: Entry) -> asyncio.Future[Withdrawn]:
        """Ends when the entry's `Withdrawn` is on disk, or fails. For many to wait on: shield it."""
        return self._withdrawn.setdefault(entry.number, _future())

    def told(self, event: Withdrawn) -> None:
        """The event has been told: who waits for it has it too."""
        if (waiter := self._withdrawn.pop(event.number, None)) is not None:
            _resolve(waiter, event)

    def fail_waiting(self, problem: OutboxError) -> None:
        """Nobody will know any more whether these rows are on disk."""
        for waiter in [*self._stored.values(), *self._withdrawn.values()]:
            _fail(waiter, problem)

    # ---- transactions ----

    def due_ns(self) -> int | None:
        """When the next transaction is to begin; None: nothing is due before the present one has ended."""
        return self._core.write_due_ns() if self._commit is None else None

    def start(self, now_ns: int) -> None:
        """Begins the next transaction, if one is due and none is under way."""
        if (position := self._position()) is not None:
            self._core.set_position(position)
        if self._commit is None and (writes := self._core.take_writes(now_ns)):
            self._commit = asyncio.create_task(self._write(writes), name="outbox-commit")

    async def write_all(self) -> None:
        """Writes what is left; ends early where the disk has failed, and waits for its next attempt."""
        while not self._core.is_written:
            if self._commit is None:
                self._core.hurry_writes()
                self.start(time.monotonic_ns())
            if self._commit is None:
                return
            await asyncio.shield(self._commit)

    async def _write(self, writes: Sequence[Write]) -> None:
        is_written = False
        try:
            await self._store.commit(writes)
        except Exception as problem:
            _log.error("%s", problem)
            known = isinstance(problem, OutboxError)
            self._not_written(problem if known else OutboxError(f"outbox: {problem!r}", may_be_stored=True))
        else:
            is_written = True
            for entry in self._core.committed(time.monotonic_ns()):
                if (waiter := self._stored.pop(entry.number, None)) is not None:
                    _resolve(waiter, None)
            self._room.give()
        finally:
            self._commit = None
            self._ended(is_written)

    def _not_written(self, problem: OutboxError) -> None:
        for entry in self._core.commit_failed(problem, time.monotonic_ns()):
            if (waiter := self._stored.pop(entry.number, None)) is not None:
                _fail(waiter, problem)
        for waiter in self._withdrawn.values():
            _fail(waiter, problem)
        self._withdrawn.clear()
        self._room.give()


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _resolve(waiter: asyncio.Future[Any], value: object) -> None:
    if not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Any], problem: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(problem)
        waiter.exception()  # nobody may wait any more
