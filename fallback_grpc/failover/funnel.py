"""Keeps a crowd of orders from swamping gRPC: few at a time singly, the rest together as batches.

When the fast path goes, every order in flight moves at once. A unary gRPC call costs hundreds of microseconds of
Python; thousands of them would take seconds. So at most `max_singles` travel as calls of their own, and what has to
wait goes as `ExecuteBatch`, which is answered order by order: each keeps its id, its reply and its conclusion.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.outcome import conclusion_of_batched
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.errors import ExecutionBridgeError, ValidationError
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply


class OrderPath(Protocol):
    """What the funnel needs of a path."""

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]: ...
    async def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]: ...


@dataclass(slots=True, eq=False)
class _Waiting:
    order: Order
    deadline_ns: int
    done: asyncio.Future[Conclusion[OrderReply]]
    sent: bool = False


class OrderFunnel:
    """Bounds what one path carries at once. For the tasks of one event loop."""

    def __init__(
        self, path: OrderPath, *, max_singles: int = 16, max_batches: int = 4, max_batch_orders: int = 128
    ) -> None:
        self._path = path
        self._max_singles = max_singles
        self._max_batches = max_batches
        self._max_batch_orders = max_batch_orders
        self._singles = 0
        self._batches: set[asyncio.Task[None]] = set()
        self._queue: deque[_Waiting] = deque()

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        """One copy of one order, singly or as part of a batch."""
        if self._singles < self._max_singles and not self._queue:
            self._singles += 1
            try:
                return await self._path.attempt_order(order, timeout_ms)
            finally:
                self._singles -= 1
        return await self._queued(order, timeout_ms)

    async def _queued(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        waiting = _Waiting(order, deadline_ns, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if len(self._batches) < self._max_batches:
            # The batch starts with the loop's next turn, when the crowd has joined.
            task = asyncio.create_task(self._send_batches(), name="order-funnel")
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                return await waiting.done
        except TimeoutError:
            if waiting.sent:
                return Unknown("no answer to the batch that carried this order")
            return NotSent("too many orders waited for gRPC")
        finally:
            waiting.done.cancel()  # whoever is still in the queue is passed over

    async def _send_batches(self) -> None:
        while batch := self._take():
            try:
                await self._send(batch)
            except ExecutionBridgeError as problem:
                _fail(batch, problem)
            except BaseException:
                _conclude(batch, Unknown("the client was closed"))
                raise

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._max_batch_orders:
            waiting = self._queue.popleft()
            if not waiting.done.done():
                waiting.sent = True
                batch.append(waiting)
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        timeout_ms = max((max(w.deadline_ns for w in batch) - time.monotonic_ns()) / NS_PER_MS, 0.0)
        try:
            conclusion = await self._path.attempt_batch([waiting.order for waiting in batch], timeout_ms)
        except ValidationError:
            if len(batch) == 1:
                raise
            await self._one_by_one(batch)
            return
        if isinstance(conclusion, Replied):
            if len(conclusion.reply) != len(batch):
                _conclude(batch, Unknown(f"a batch of {len(batch)} orders got {len(conclusion.reply)} answers"))
                return
            for waiting, answer in zip(batch, conclusion.reply, strict=True):
                _conclude([waiting], conclusion_of_batched(answer))
        elif self._is_too_large(conclusion) and len(batch) > 1:
            self._max_batch_orders = max(len(batch) // 2, 1)
            for waiting in reversed(batch):
                waiting.sent = False  # refused whole, before any effect
                self._queue.appendleft(waiting)
        else:
            _conclude(batch, conclusion)

    async def _one_by_one(self, batch: list[_Waiting]) -> None:
        """One order of the batch has no form on the wire: only its own caller shall hear of that."""
        for waiting in batch:
            try:
                await self._send([waiting])
            except ExecutionBridgeError as problem:
                _fail([waiting], problem)

    @staticmethod
    def _is_too_large(conclusion: object) -> bool:
        return isinstance(conclusion, Refused) and conclusion.code in (
            ReasonCode.BATCH_TOO_LARGE,
            ReasonCode.MESSAGE_TOO_LARGE,
        )


def _conclude(batch: Sequence[_Waiting], conclusion: Conclusion[OrderReply]) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_result(conclusion)


def _fail(batch: Sequence[_Waiting], problem: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(problem)
