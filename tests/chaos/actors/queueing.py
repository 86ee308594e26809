"""A trader whose orders go through the queue with an outbox: what it was told of each, line by line."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fallback_grpc import ExecutionBridgeClient
from fallback_grpc.queue import CancelResult, OrderQueue, OutboxError, QueueEvent, QueueFullError, Refused, Result
from tests.chaos.actors.ledger_file import Entry, LedgerFile, order_words, words_of
from tests.chaos.actors.orders import random_order
from transport import ExecutionBridgeError, Order, new_command_id

_CAPACITY = 500
_BATCH_ORDERS = 8
"""A batch reserves room in the journal for each of its orders: larger ones would not fit in the small segments."""
_PUT_TIMEOUT_MS = 500.0
_REMEMBERED = 100
_LOOK_S = 0.1


class QueueTrader:
    """One queue, and the hand that fills it. For one event loop."""

    def __init__(self, client: ExecutionBridgeClient, ledger: LedgerFile, outbox: Path, seed: str) -> None:
        self._ledger = ledger
        self._queue = OrderQueue(client, outbox=outbox, capacity=_CAPACITY, batch_orders=_BATCH_ORDERS)
        self._draw = random.Random(seed)
        self._put: deque[str] = deque(maxlen=_REMEMBERED)
        self._hearing: asyncio.Task[None] | None = None
        self.orders_sent = 0
        self.orders_replied = 0

    async def start(self) -> None:
        """Opens the outbox; what an earlier life left goes first."""
        await self._queue.start()
        self._hearing = asyncio.create_task(self._hear())

    async def step(self) -> None:
        """Puts one order, several, or a cancel."""
        deed = self._draw.random()
        if deed < 0.6:
            await self._put_orders([random_order(self._draw)])
        elif deed < 0.85:
            await self._put_orders([random_order(self._draw) for _ in range(self._draw.randint(2, 15))])
        elif self._put:
            await self._cancel(self._draw.choice(self._put))

    async def settle(self, go_on: Callable[[], bool]) -> int:
        """Waits until all that was put has its final event; how much is left when `go_on` says that it is enough."""
        draining = asyncio.create_task(self._queue.drain())
        while not draining.done() and go_on():
            await asyncio.wait([draining], timeout=_LOOK_S)
        draining.cancel()
        # Its place is free once the reader has taken the last event and asked for the next.
        while self._queue.occupied and go_on():  # noqa: ASYNC110 (the queue has no event for it)
            await asyncio.sleep(_LOOK_S)
        return self._queue.occupied

    async def close(self) -> None:
        """Before the client."""
        await self._queue.close()
        if self._hearing is not None:
            await self._hearing

    async def _put_orders(self, orders: list[Order]) -> None:
        number = self._ledger.intent("put", orders=[order_words(order) for order in orders])
        self.orders_sent += len(orders)
        try:
            await self._queue.put_many(orders, timeout_ms=_PUT_TIMEOUT_MS)
        except QueueFullError as full:
            self._end(number, full, accepted=full.accepted)
        except (OutboxError, ExecutionBridgeError) as problem:
            self._end(number, problem)
        else:
            self._ledger.write({"e": "end", "n": number, "how": "done"})
            self._put.extend(order.order_id for order in orders)

    async def _cancel(self, order_id: str) -> None:
        command = {"command_id": new_command_id(), "order_id": order_id}
        number = self._ledger.intent("queue cancel", command=command)
        try:
            withdrawn = await self._queue.cancel(order_id, command_id=command["command_id"], timeout_ms=_PUT_TIMEOUT_MS)
        except (OutboxError, ExecutionBridgeError) as problem:
            self._end(number, problem)
        else:
            self._ledger.write({"e": "end", "n": number, "how": "withdrawn" if withdrawn is not None else "done"})

    async def _hear(self) -> None:
        async for event in self._queue.events():
            self._ledger.write({"e": "queued"} | _event_words(event))
            self.orders_replied += isinstance(event, Result)

    def _end(self, number: int, problem: Exception, **more: int) -> None:
        end = {"e": "end", "n": number, "how": type(problem).__name__, "message": str(problem)}
        self._ledger.write(end | more)


def _event_words(event: QueueEvent) -> Entry:
    words: Entry = {
        "what": type(event).__name__,
        "id": event.order_id,
        "command_id": event.command_id,
        "number": event.number,
        "recovered": event.recovered,
    }
    if isinstance(event, Result | CancelResult):
        words["reply"] = words_of(event.reply)
    if isinstance(event, Refused):
        words["code"] = event.code.name
    return words
