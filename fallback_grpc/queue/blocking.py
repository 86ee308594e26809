"""The queue for threads: an `OrderQueue` and a bridge client of its own, in a background event loop.

    with BlockingOrderQueue({"zmq_endpoint": ..., "grpc_endpoint": ...}, outbox="orders.outbox") as queue:
        queue.put(order)
        for event in queue.events():
            ...

Orders that are not urgent bear the hop to another thread; those that are go through `BlockingExecutionBridgeClient`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import suppress
from typing import Any, Literal, Self, TypeVar

from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.bridge_settings import bridge_settings
from fallback_grpc.queue.delivery import EventListener
from fallback_grpc.queue.events import QueueEvent, Withdrawn
from fallback_grpc.queue.order_queue import OrderQueue
from fallback_grpc.queue.outbox import OutboxStore
from fallback_grpc.queue.settings import QueueSettings
from transport.contract.config import BridgeConfig
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, ForkedProcessError
from transport.contract.orders import Order

ResultT = TypeVar("ResultT")
_JOIN_S = 10.0
_POLL_S = 0.5


class BlockingOrderQueue:
    """As `OrderQueue`, from any number of threads. Not across `os.fork`."""

    def __init__(
        self,
        config: Mapping[str, Any] | BridgeConfig | None = None,
        *,
        outbox: str | os.PathLike[str] | OutboxStore | None = None,
        acknowledge: Literal["auto", "manual"] = "auto",
        settings: QueueSettings | None = None,
        **changes: Any,
    ) -> None:
        """`config` as for `connect_blocking`; the rest as for `OrderQueue`. `start()` or `with` begins."""
        self._settings = bridge_settings(config)
        self._options: dict[str, Any] = {"outbox": outbox, "acknowledge": acknowledge, "settings": settings, **changes}
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: ExecutionBridgeClient | None = None
        self._queue: OrderQueue | None = None
        self._closed = False

    def start(self) -> Self:
        """Connects, opens the outbox and begins to send. Raises as `connect` and `OrderQueue.start` do."""
        if self._loop is not None or self._closed:
            return self
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="order-queue", daemon=True)
        self._thread.start()
        try:
            self._do(self._begin())
        except BaseException:
            self.close()
            raise
        return self

    async def _begin(self) -> None:
        self._client = ExecutionBridgeClient(self._settings)
        await self._client.connect()
        self._queue = await OrderQueue(self._client, **self._options).start()

    def close(self, *, drain_ms: float | None = None) -> None:
        """As `OrderQueue.close`; then the client and the loop end."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            self._do(self._end(drain_ms))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_JOIN_S)

    async def _end(self, drain_ms: float | None) -> None:
        try:
            if self._queue is not None:
                await self._queue.close(drain_ms=drain_ms)
        finally:
            if self._client is not None:
                await self._client.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, order: Order, *, timeout_ms: float | None = None) -> None:
        """As `OrderQueue.put`."""
        self._do(self._open().put(order, timeout_ms=timeout_ms))

    def put_many(self, orders: Iterable[Order], *, timeout_ms: float | None = None) -> None:
        """As `OrderQueue.put_many`; the orders are taken from the iterable before the first is put."""
        self._do(self._open().put_many(list(orders), timeout_ms=timeout_ms))

    def put_nowait(self, order: Order) -> None:
        """As `OrderQueue.put_nowait`: waits for no room and for no disk."""
        queue = self._open()

        async def put() -> None:
            queue.put_nowait(order)

        self._do(put())

    def cancel(
        self, order_id: str, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> Withdrawn | None:
        """As `OrderQueue.cancel`."""
        return self._do(self._open().cancel(order_id, command_id=command_id, timeout_ms=timeout_ms))

    def drain(self) -> None:
        """As `OrderQueue.drain`."""
        self._do(self._open().drain())

    def events(self) -> Iterator[QueueEvent]:
        """As `OrderQueue.events`, for one thread. Ends when the queue is closed and its last events are told.

        An exception while this waits (`KeyboardInterrupt`, say) costs no event: ask `events()` again.
        """
        queue = self._open()
        items = queue.events()
        while True:
            step = _Step(queue, items)
            try:
                event = self._do(step.run())
            except ClientClosedError:
                if not self._closed:
                    raise
                break
            except BaseException:
                self._interrupt(step)
                raise
            if event is None:
                break  # it is over, or its loop ended the reading when there was more
            yield event
        yield from self._left_over(queue, step)

    def _left_over(self, queue: OrderQueue, step: _Step) -> Iterator[QueueEvent]:
        """What the queue had still to tell when its loop ended; from then on nobody else touches it."""
        assert self._thread is not None
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            return
        step.give_back()
        while (event := queue.left_over()) is not None:
            yield event

    def _interrupt(self, step: _Step) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(step.give_back)

    def on_event(self, listener: EventListener) -> None:
        """As `OrderQueue.on_event`; called in the queue's thread, where it must not call the queue."""
        queue = self._open()

        async def add() -> None:
            queue.on_event(listener)

        self._do(add())

    def ack(self, event: QueueEvent) -> None:
        """As `OrderQueue.ack`."""
        queue = self._open()

        async def acknowledge() -> None:
            queue.ack(event)

        self._do(acknowledge())

    @property
    def occupied(self) -> int:
        """As `OrderQueue.occupied`."""
        return self._open().occupied

    @property
    def position(self) -> int | None:
        """As `OrderQueue.position`."""
        return self._open().position

    @property
    def halted(self) -> ExecutionBridgeError | None:
        """As `OrderQueue.halted`."""
        return self._open().halted

    def _open(self) -> OrderQueue:
        if os.getpid() != self._process:
            raise ForkedProcessError("this queue was made in the parent process: make one of its own in the child")
        if self._closed or self._queue is None:
            raise ClientClosedError("the queue is closed, or not started: nothing was taken")
        return self._queue

    def _do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        assert self._loop is not None
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a listener called its queue: it would wait for itself")
        try:
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise ClientClosedError("the queue was closed") from None
        try:
            while True:
                wait([running], _POLL_S)
                if running.cancelled() or (not running.done() and not self._is_running):
                    raise ClientClosedError("the queue was closed")
                if running.done():
                    return running.result()
        except BaseException:
            with suppress(RuntimeError):  # the loop has ended
                running.cancel()  # nobody waits for it any more
            if not self._is_running:
                work.close()  # a loop that ended first has never begun it
            raise

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class _Step:
    """One event that a thread asks for, and may not live to see: it goes back then. For the queue's loop."""

    def __init__(self, queue: OrderQueue, items: AsyncIterator[QueueEvent]) -> None:
        self._queue = queue
        self._items = items
        self._event: QueueEvent | None = None
        self._is_over = False

    async def run(self) -> QueueEvent | None:
        """The next event; None at the end."""
        if not self._is_over:
            self._event = await anext(self._items, None)
        if self._is_over:
            self.give_back()
        return self._event

    def give_back(self) -> None:
        """Whoever asked is gone."""
        self._is_over = True
        event, self._event = self._event, None
        if event is not None:
            self._queue.unread(event)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        others = asyncio.all_tasks(loop)
        for task in others:
            task.cancel()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
