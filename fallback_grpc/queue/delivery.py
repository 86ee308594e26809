"""Hands the core's events out, in order: to the reader of `events()`, to listeners, or to both.

For the tasks of the queue's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from fallback_grpc.queue.core import QueueCore
from fallback_grpc.queue.events import FINAL, QueueEvent, Withdrawn
from fallback_grpc.queue.outbox_writer import OutboxWriter
from transport.contract.errors import ExecutionBridgeError

_log = logging.getLogger(__name__)

EventListener = Callable[[QueueEvent], None]
"""Called in the event loop, in the events' order; must not block. What it raises is logged."""


class Delivery:
    """The events of one queue that have been told, or wait to be."""

    def __init__(self, *, is_automatic: bool, acknowledge: Callable[[QueueEvent], None]) -> None:
        """`is_automatic`: asking for the next event acknowledges the one before, by `acknowledge`."""
        self._is_automatic = is_automatic
        self._acknowledge = acknowledge
        self._came = asyncio.Event()
        self._ready: deque[QueueEvent] = deque()
        self._given: QueueEvent | None = None
        self._listeners: list[EventListener] = []
        self._has_reader = False
        self._ended = False

    def expect_reader(self) -> None:
        """Events are kept for a reader from now on."""
        self._has_reader = True

    def add_listener(self, listener: EventListener) -> None:
        """Calls `listener` with every event from now on."""
        self._listeners.append(listener)

    def news(self) -> None:
        """Who waits for events, or for the end of all orders, looks again."""
        self._came.set()

    async def next_news(self) -> None:
        """Waits for an event, or for another `news`."""
        self._came.clear()
        await self._came.wait()

    def end(self) -> None:
        """No more events will come."""
        self._ended = True
        self._came.set()

    async def read(self, halted: Callable[[], ExecutionBridgeError | None]) -> AsyncIterator[QueueEvent]:
        """All events, for one reader; raises why, if the queue has `halted`."""
        while True:
            if self._given is not None and self._is_automatic:
                self._acknowledge(self._given)
            self._given = None
            while not self._ready:
                if (problem := halted()) is not None:
                    raise problem
                if self._ended:
                    return
                await self.next_news()
            self._given = self._ready.popleft()
            yield self._given

    def unread(self, event: QueueEvent) -> None:
        """An event that `read` gave, but nobody has seen: the next reader gets it first."""
        if self._given is event:
            self._given = None
        self._ready.appendleft(event)
        self._came.set()

    def left_over(self) -> QueueEvent | None:
        """The next event that nobody has read, once no more will come."""
        return self._ready.popleft() if self._ended and self._ready else None

    def deliver(self, core: QueueCore, writer: OutboxWriter) -> None:
        """Tells what the core has to tell."""
        while (event := self._next_event(core)) is not None:
            if isinstance(event, Withdrawn):
                writer.told(event)
            handled = self._tell(event)
            if self._has_reader or not self._listeners:
                self._ready.append(event)
            elif handled and self._is_automatic and isinstance(event, FINAL):
                self._acknowledge(event)
            self._came.set()
        if core.halted is not None:
            self._came.set()

    def _next_event(self, core: QueueCore) -> QueueEvent | None:
        """What came before the first listener goes to the listeners too, if no reader will take it."""
        if self._ready and self._listeners and not self._has_reader:
            return self._ready.popleft()
        return core.next_event()

    def _tell(self, event: QueueEvent) -> bool:
        handled = True
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # the user's code must not stop the queue; the event is told again after a restart
                handled = False
                _log.exception("a listener of the queue failed on %s", event)
        return handled
