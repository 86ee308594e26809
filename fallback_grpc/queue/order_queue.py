"""The asynchronous queue over a bridge client: orders that are not urgent, each on disk before it is sent.

    async with OrderQueue(client, outbox="orders.outbox") as queue:
        await queue.put(order)
        async for event in queue.events():
            ...

All decisions are the core's (`core.py`); this does the waiting, with `sender` (the calls), `outbox_writer` (the disk)
and `delivery` (the events). For the tasks of the client's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal, Self

from fallback_grpc.queue.admission import RoomLine, checked_order
from fallback_grpc.queue.core import NS_PER_MS, QueueCore
from fallback_grpc.queue.delivery import Delivery, EventListener
from fallback_grpc.queue.entries import Item, QueueFullError, is_same, key_of
from fallback_grpc.queue.events import QueueEvent, Withdrawn
from fallback_grpc.queue.outbox import MemoryOutbox, OutboxError, OutboxStore, Owner
from fallback_grpc.queue.outbox_writer import OutboxWriter
from fallback_grpc.queue.sender import QueueClient, Sender
from fallback_grpc.queue.settings import QueueSettings
from fallback_grpc.queue.sqlite_outbox import SqliteOutbox
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, ForkedProcessError, ValidationError
from transport.contract.ids import new_command_id
from transport.contract.orders import Order
from transport.contract.requests import CancelOrder

_log = logging.getLogger(__name__)

# A queue without an outbox finishes what it has for so long when it is closed; what is left then is told as it is.
_DRAIN_MS = 5_000.0
# The last transaction of a queue that is closed.
_LAST_WRITES_S = 10.0


class OrderQueue:
    """A bounded queue of orders and cancels; see docs/queue.md for what it guarantees."""

    def __init__(
        self,
        client: QueueClient,
        *,
        outbox: str | os.PathLike[str] | OutboxStore | None = None,
        acknowledge: Literal["auto", "manual"] = "auto",
        settings: QueueSettings | None = None,
        **changes: Any,
    ) -> None:
        """A queue that is not started yet; `start()` or `async with` does that, with a client that is connected.

        Args:
            client: a connected `ExecutionBridgeClient`.
            outbox: the file of the durable outbox; None: orders are kept in memory alone. An `OutboxStore` is used
                as it is.
            acknowledge: `auto`: a final event is handled when the next event is asked for (or, without a reader of
                `events()`, when all listeners have returned); `manual`: only `ack` says so.
            settings, changes: `QueueSettings`, or some of its fields: `capacity=1_000`.
        """
        self._client = client
        self._settings = settings if settings is not None else QueueSettings(**changes)
        self._is_durable = outbox is not None
        if outbox is None:
            self._store: OutboxStore = MemoryOutbox()
        else:
            self._store = SqliteOutbox(outbox) if isinstance(outbox, str | os.PathLike) else outbox
        self._wake = asyncio.Event()
        self._delivery = Delivery(is_automatic=acknowledge == "auto", acknowledge=self.ack)
        self._pump: asyncio.Task[None] | None = None
        self._begin(QueueCore(self._settings))
        self._process: int | None = None  # the one that started it
        self._closed = False
        self.position: int | None = None
        """The account's last update that an earlier run had dealt with, if known; for `on_reconciled(since=)`."""

    # ---- life ----

    async def start(self) -> Self:
        """Opens the outbox and begins to send; what an earlier run left goes first. Raises `OutboxError`.

        The client must be connected. `ClientClosedError` otherwise.
        """
        self._check_process()
        if self._pump is not None:
            return self
        self._process = os.getpid()
        if not self._client.journal_id:
            raise ClientClosedError("the queue's client is not connected: an outbox belongs to one engine's journal")
        recovered = await self._store.open(Owner(self._client.account, self._client.journal_id))
        self._begin(QueueCore(self._settings, recovered))
        self.position = recovered.position
        if recovered.entries:
            _log.warning("outbox: %d orders and cancels of an earlier run", len(recovered.entries))
        self._client.on_path_event(lambda _: self._wake.set())
        self._pump = asyncio.create_task(self._run(), name="order-queue")
        return self

    def _begin(self, core: QueueCore) -> None:
        """Everything that works on a core, for this one."""
        self._core = core
        self._room = RoomLine(core)
        self._sender = Sender(self._client, core, self._wake.set)
        self._writer = OutboxWriter(
            self._store, core, self._room, position=lambda: self._client.last_sequence, ended=self._write_ended
        )

    async def close(self, *, drain_ms: float | None = None) -> None:
        """Takes nothing new, finishes what it can within `drain_ms`, and ends `events()`.

        With an outbox, what is not answered by then is left to the next run (`drain_ms` 0 by default). Without one it
        is told as it is: `Withdrawn` if it was never sent, `Unresolved` if it was (5 s by default). Close the queue
        before its client.
        """
        if self._closed or self._is_of_a_parent:
            return
        self._closed = True
        if self._pump is not None:
            await self._finish(drain_ms if drain_ms is not None else 0.0 if self._is_durable else _DRAIN_MS)
        self._room.fail(ClientClosedError("the queue was closed; this was not taken"))
        # These were taken: their rows may be on disk, and a later run may send them.
        self._writer.fail_waiting(
            OutboxError("the queue was closed before this was known to be on disk", may_be_stored=True)
        )
        self._delivery.end()
        await self._store.close()

    async def _finish(self, drain_ms: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_ms / 1_000):
                await self.drain()
        assert self._pump is not None
        # What is with the client ends here as unknown; an outbox will ask again.
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await self._sender.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITES_S):
                await self._writer.write_all()
        if not self._is_durable:
            for entry in list(self._core.unfinished()):
                self._core.give_up(entry, "the queue was closed")
        self._delivery.deliver(self._core, self._writer)

    async def drain(self) -> None:
        """Waits until every order that was put has its final event, or the queue has halted."""
        self._check_process()
        while self._core.halted is None and self._core.unfinished_count:
            await self._delivery.next_news()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- what the application does ----

    async def put(self, order: Order, *, timeout_ms: float | None = None) -> None:
        """Takes an order; with an outbox it is on disk when this returns.

        Waits for room, at most `timeout_ms` (None: as long as it takes). The same order again is the same entry.
        Raises `QueueFullError` (not taken), `OutboxError` (not sent; `may_be_stored` says whether a later run might),
        `ValidationError` (it cannot be sent, or its id stands for another order). Cancelling the task after the order
        was taken abandons the wait, not the order.
        """
        await asyncio.shield(await self._admit(checked_order(order, self._client.account), timeout_ms))

    async def put_many(self, orders: Iterable[Order], *, timeout_ms: float | None = None) -> None:
        """As `put`, for many: they share transactions and messages.

        All are looked at before the first is taken: `ValidationError` means that none was. `QueueFullError.accepted`
        and `OutboxError.accepted` say how many were taken, from the first; each of these may be stored and sent.
        Whatever else ends it after the first was taken is an `OutboxError` from that.
        """
        items = [checked_order(order, self._client.account) for order in orders]
        self._check_ids(items)
        ends_ns = None if timeout_ms is None else time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        stored: list[asyncio.Future[None]] = []
        try:
            for item in items:
                left_ms = None if ends_ns is None else max(ends_ns - time.monotonic_ns(), 0) / NS_PER_MS
                stored.append(await self._admit(item, left_ms))
            for waiter in stored:
                await asyncio.shield(waiter)
        except QueueFullError as problem:
            raise QueueFullError(f"{problem}; {len(stored)} were taken", accepted=len(stored)) from problem
        except ExecutionBridgeError as problem:
            if not stored:
                raise
            is_passing = isinstance(problem, OutboxError) and problem.is_passing
            message = f"{problem}; {len(stored)} of {len(items)} orders were taken before, and may be stored or sent"
            raise OutboxError(message, may_be_stored=True, is_passing=is_passing, accepted=len(stored)) from problem

    def put_nowait(self, order: Order) -> None:
        """Takes an order at once or raises `QueueFullError`; it is sent once it is on disk (else: `NotStored`)."""
        self._check_open()
        item = checked_order(order, self._client.account)
        if self._core.known(item) is None and not self._room.is_free(item):
            raise self._room.error()
        self._core.admit(item, time.monotonic_ns(), waited_for=False)
        self._wake.set()

    async def cancel(
        self, order_id: str, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> Withdrawn | None:
        """Cancels an order of this account.

        One that still waits here is withdrawn: it is never sent, and `Withdrawn` is returned (and told) once that is
        on disk. Any other is cancelled by the engine: that goes to the head of the queue, None is returned, and its
        `CancelResult` follows as an event. Raises as `put` does.
        """
        self._check_open()
        entry = self._core.withdraw(order_id, time.monotonic_ns())
        if entry is not None:
            self._wake.set()
            if isinstance(entry.outcome, Withdrawn):
                return entry.outcome
            return await asyncio.shield(self._writer.withdrawn(entry))
        command = CancelOrder(
            order_id=order_id, command_id=command_id or new_command_id(), account=self._client.account
        )
        await asyncio.shield(await self._admit(command, timeout_ms))
        return None

    def events(self) -> AsyncIterator[QueueEvent]:
        """All events in order, for one reader. Ends with the queue; raises why, if that halted (see `halted`)."""
        self._check_process()
        self._delivery.expect_reader()
        return self._delivery.read(lambda: self.halted)

    def unread(self, event: QueueEvent) -> None:
        """An event that `events()` gave, but nobody has seen: the next reader gets it first."""
        self._delivery.unread(event)

    def left_over(self) -> QueueEvent | None:
        """The next event that nobody has read, of a queue that has ended. It stays unacknowledged."""
        return self._delivery.left_over()

    def on_event(self, listener: EventListener) -> None:
        """Calls `listener` with every event from now on; the first one, if there is no reader, also with those that
        wait (of an earlier run, say). Events are kept for a reader only if there is one, or there are no listeners."""
        self._delivery.add_listener(listener)
        self._wake.set()

    def ack(self, event: QueueEvent) -> None:
        """The application has handled a final event: it is not told again after a restart, and its place is free."""
        self._core.acknowledge(event, time.monotonic_ns())
        if self._room:
            self._core.hurry_writes()
        self._wake.set()

    @property
    def occupied(self) -> int:
        """Orders and cancels in the queue, up to the acknowledgement of their final events."""
        return self._core.occupied

    @property
    def halted(self) -> ExecutionBridgeError | None:
        """Why nothing is sent any more: another engine, one that forgot, missing rights, a closed client."""
        return self._core.halted

    # ---- admission ----

    @property
    def _is_of_a_parent(self) -> bool:
        return self._process is not None and self._process != os.getpid()

    def _check_process(self) -> None:
        if self._is_of_a_parent:
            raise ForkedProcessError(f"this queue was started in process {self._process}: make one in the child")

    def _check_open(self) -> None:
        self._check_process()
        if self._closed or self._pump is None:
            raise ClientClosedError("the queue is closed, or not started: nothing was taken")
        if self._core.halted is not None:
            raise self._core.halted

    def _check_ids(self, items: Sequence[Item]) -> None:
        """Raises `ValidationError` if an id stands for two different orders, here or in the queue."""
        firsts: dict[tuple[bool, str], Item] = {}
        for item in items:
            self._core.known(item)
            if not is_same(firsts.setdefault(key_of(item), item), item):
                raise ValidationError(f"order_id: {item.order_id} stands for two different orders", field="order_id")

    async def _admit(self, item: Item, timeout_ms: float | None) -> asyncio.Future[None]:
        """Takes it; the future ends when it is on disk, or fails. For many to wait on: shield it."""
        self._check_open()
        if self._core.known(item) is None and not self._room.is_free(item):
            self._core.hurry_writes()
            self._wake.set()
            await self._room.wait(item, timeout_ms)
            self._check_open()
        entry = self._core.admit(item, time.monotonic_ns())
        self._wake.set()
        return self._writer.stored(entry)

    # ---- the pump ----

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                now_ns = time.monotonic_ns()
                self._sender.send_what_is_due(now_ns)
                self._writer.start(now_ns)
                self._delivery.deliver(self._core, self._writer)
                await self._sleep()
        except Exception as problem:
            _log.exception("the queue failed")
            self._core.halt(ExecutionBridgeError(f"the queue failed, which is a fault of it: {problem!r}"))
            self._delivery.news()

    async def _sleep(self) -> None:
        now_ns = time.monotonic_ns()
        times = [self._core.next_at_ns(now_ns), self._writer.due_ns()]
        at_ns = min((at for at in times if at is not None), default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if at_ns is None else max(at_ns - now_ns, 0) / 1e9):
                await self._wake.wait()

    def _write_ended(self, is_written: bool) -> None:
        self._wake.set()
        if not is_written:
            self._delivery.news()  # who waits for the end of all may have waited for these
