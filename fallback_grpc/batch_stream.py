"""Orders over one bidirectional `ExecuteBatchOrders` stream, with a window; what it leaves open is settled singly.

The stream is only a faster way to send: each order stands by itself. When the stream breaks, the orders without an
answer are in doubt and are sent again under their ids, and the rest of the source goes on as batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message

from fallback_grpc import service
from fallback_grpc.order_stream import as_async, in_parts
from fallback_grpc.outcome import Done, conclusion_of_batched
from fallback_grpc.stream_results import StreamResults
from transport.contract.conclusions import Replied
from transport.contract.errors import ExecutionBridgeError, ValidationError
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply


class OrderStreamer(Protocol):
    """What the stream needs of its client."""

    def open_order_stream(self, requests: AsyncIterator[Message]) -> AsyncIterator[ExecuteReply]: ...
    async def settle_order(self, order: Order, *, in_doubt: bool) -> Done[OrderReply]: ...
    async def execute_part(self, part: Sequence[Order], results: StreamResults) -> list[OrderReply | None]: ...


@dataclass(slots=True, eq=False)
class _Slot:
    order: Order
    answer: ExecuteReply | None = None


class _Window:
    """The orders on the stream: at most `size`, answered in any order, handed out in theirs."""

    def __init__(self, size: int, source: asyncio.Queue[Order | None], results: StreamResults) -> None:
        self.slots: deque[_Slot] = deque()
        self._by_id: dict[str, deque[_Slot]] = {}
        self._room = asyncio.Semaphore(size)
        self._source = source
        self._results = results

    async def requests(self) -> AsyncIterator[Message]:
        """The messages to send, as room comes free."""
        while True:
            await self._room.acquire()
            order = await self._source.get()
            if order is None:
                self._source.put_nowait(None)  # for whoever reads the rest
                return
            try:
                message = service.EXECUTE_BATCH_ORDERS.request(order)
            except ValidationError as problem:
                self._results.reply_for(order, problem)
                self._room.release()
                continue
            slot = _Slot(order)
            self.slots.append(slot)
            self._by_id.setdefault(order.order_id, deque()).append(slot)
            yield message

    def answered(self, answer: ExecuteReply) -> list[_Slot]:
        """Takes an answer; returns the slots that are now complete up to the first open one."""
        same_id = self._by_id.get(answer.reply.order_id)
        if same_id:
            same_id.popleft().answer = answer
            if not same_id:
                del self._by_id[answer.reply.order_id]
        complete: list[_Slot] = []
        while self.slots and self.slots[0].answer is not None:
            complete.append(self.slots.popleft())
            self._room.release()
        return complete


async def stream_orders(
    client: OrderStreamer, orders: Iterable[Order] | AsyncIterable[Order], window_size: int
) -> AsyncIterator[OrderReply]:
    """The replies, in the order of the orders; see `AsyncCalls.execute_batch_orders` for errors."""
    results = StreamResults()
    queue: asyncio.Queue[Order | None] = asyncio.Queue(window_size + 1)
    feeder = asyncio.create_task(_feed(orders, queue), name="order-stream-source")
    window = _Window(window_size, queue, results)
    try:
        try:
            async with aclosing(_closable(client.open_order_stream(window.requests()))) as answers:
                async for answer in answers:
                    for slot in window.answered(answer):
                        reply = await _settle(client, slot, results)
                        if reply is not None:
                            yield reply
        except ExecutionBridgeError:
            pass  # broken or refused: what the stream left open is settled below
        for slot in window.slots:
            reply = await _settle(client, slot, results)
            if reply is not None:
                yield reply
        rest = in_parts(_rest(queue), lambda part: client.execute_part(part, results), window_size, results)
        async with aclosing(rest) as replies:
            async for reply in replies:
                yield reply
        try:
            await feeder
        except Exception as problem:  # the source's own
            results.source_failed(problem)
    finally:
        feeder.cancel()
    results.raise_if_failed()


async def _settle(client: OrderStreamer, slot: _Slot, results: StreamResults) -> OrderReply | None:
    in_doubt = slot.answer is None
    if slot.answer is not None and isinstance(conclusion_of_batched(slot.answer), Replied):
        return slot.answer.reply
    try:
        return (await client.settle_order(slot.order, in_doubt=in_doubt)).reply
    except ExecutionBridgeError as problem:
        return results.reply_for(slot.order, problem)


async def _feed(orders: Iterable[Order] | AsyncIterable[Order], queue: asyncio.Queue[Order | None]) -> None:
    """Reads the source into the queue; a source that fails ends the stream there, and its error is raised last."""
    try:
        async for order in as_async(orders):
            await queue.put(order)
    finally:
        # Cancelled, the stream was left: nobody reads the queue, and a full one would hold this task for ever.
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            await queue.put(None)


async def _rest(queue: asyncio.Queue[Order | None]) -> AsyncIterator[Order]:
    while (order := await queue.get()) is not None:
        yield order


async def _closable(answers: AsyncIterator[ExecuteReply]) -> AsyncGenerator[ExecuteReply, None]:
    async for answer in answers:
        yield answer
