"""Many orders: the conclusion of a batch message, and orders streamed singly through a bounded window.

Whatever ends a stream early (its source raised, an order has no form on the wire, an outcome stayed unknown), nothing
that was sent is passed over: it is concluded, its replies come, and only then the error is raised.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from transport.contract.conclusions import Conclusion, Replied, Unknown
from transport.contract.errors import ExecutionBridgeError, ExecutionError, NotSentError, OutcomeUnknownError
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply, refused_reply
from transport.fastpath.calls import ORDERS_PER_WRITE, Call

if TYPE_CHECKING:
    from transport.fastpath.asynchronous import FastPathClient
    from transport.fastpath.blocking import BlockingFastPathClient

Pending = deque[tuple[Order, Call]]
"""Orders of a stream that were sent and not settled yet, the oldest first."""


def batch_conclusion(conclusion: Conclusion[Any], orders: int) -> Conclusion[list[ExecuteReply]]:
    """The conclusion with the replies unpacked; an answer for another number of orders is no answer."""
    if not isinstance(conclusion, Replied):
        return conclusion
    replies: list[ExecuteReply] = conclusion.reply.replies
    if len(replies) != orders:
        return Unknown(f"the engine answered {len(replies)} orders of a batch of {orders}")
    return Replied(replies, all(each.duplicate for each in replies) and orders > 0, conclusion.correlation)


_END: Final = object()
"""What an exhausted source gives; whatever else it gives is taken for an order."""


class Ending:
    """Why a stream takes no more orders: its first error, raised once everything that was sent has been concluded."""

    def __init__(self) -> None:
        self.begun = False
        """No more orders are taken."""
        self._error: Exception | None = None
        self._where = ""
        self._in_doubt: list[str] = []

    def exhausted(self) -> None:
        """The source has no more."""
        self.begun = True

    def broken(self, error: Exception) -> None:
        """The source raised, or gave what cannot be sent."""
        self.begun = True
        self._error = self._error or error
        self._where = self._where or "before the next order was sent"

    def without_reply(self, order: Order, error: ExecutionBridgeError) -> OrderReply | None:
        """A refusal is a FAILED reply of its order alone; anything else is the end, and its order may be in doubt."""
        if isinstance(error, ExecutionError):
            return refused_reply(order, error.code, str(error), error.field)
        self.begun = True
        self._error = self._error or error
        self._where = self._where or f"at {order.order_id}"
        if isinstance(error, OutcomeUnknownError):
            self._in_doubt.append(order.order_id)
        return None

    def raise_if_early(self) -> None:
        """Raise what ended the stream, if it was not its own end; says who is in doubt."""
        if self._error is None:
            return
        if not self._in_doubt:
            raise self._error
        raise OutcomeUnknownError(
            f"the stream of orders ended {self._where}: {self._error}; {len(self._in_doubt)} orders are in doubt: "
            "send them again under the same ids",
            order_ids=tuple(self._in_doubt),
        ) from self._error


class Window:
    """A stream's orders, from its source until they are settled: at most `batch_window` of them sent at a time."""

    def __init__(self, client: FastPathClient | BlockingFastPathClient, orders: Iterable[Order]) -> None:
        self.pending: Pending = deque()
        self.ending = Ending()
        self._client = client
        self._source = iter(orders)
        self._source_end: object = None
        self._held: list[Order] = []
        """Taken from the source, and not sent yet."""
        self._size = client.config.batch_window
        self.refill_at = self._size // 2
        """When to fill again: with many at once, and while the engine has enough to do."""

    def fill(self) -> bool:
        """Send orders until the window is full, as far as the connection takes them; whether any pend."""
        try:
            while self._can_go_on() and self._send():
                pass
        except Exception as error:
            self.ending.broken(error)
        return bool(self.pending)

    def _can_go_on(self) -> bool:
        """Whether there is an order to send, and a place for it; takes from the source as much as is sent at once."""
        room = self._size - len(self.pending)
        if room > 0 and not self._held and self._source_end is None and not self.ending.begun:
            self._held, self._source_end = _taken(self._source, min(room, ORDERS_PER_WRITE))
        if not self._held and self._source_end is not None:
            if isinstance(self._source_end, Exception):
                self.ending.broken(self._source_end)
            self.ending.exhausted()
        return room > 0 and not self.ending.begun

    def _send(self) -> bool:
        """Send of what is held; False where the connection takes no more, and an order that pends will free a place."""
        calls = self._client.start_orders(
            self._held, self._client.config.call_timeout_ms, only_at_once=bool(self.pending)
        )
        self.pending.extend(zip(self._held, calls, strict=False))
        del self._held[: len(calls)]
        return bool(calls)


def _taken(source: Iterator[Order], at_most: int) -> tuple[list[Order], object]:
    """The source's next orders, and its end if it came to that: `_END`, or what it raised."""
    taken: list[Order] = []
    try:
        for order in islice(source, at_most):
            taken.append(order)
    except Exception as error:
        return taken, error
    return taken, None if len(taken) == at_most else _END


def blocking_batch(client: BlockingFastPathClient, orders: Iterable[Order]) -> Iterator[OrderReply]:
    """Stream orders, `batch_window` in flight, with retries for each; replies in the order of the orders."""
    window = Window(client, orders)
    pending = window.pending
    while len(pending) > window.refill_at or window.fill():
        order, call = pending.popleft()
        conclusion: Conclusion[OrderReply] | None = call.conclusion
        if isinstance(conclusion, Replied):
            yield conclusion.reply
        else:
            reply = _settle_blocking(client, order, call, window.ending)
            if reply is not None:
                yield reply
    window.ending.raise_if_early()


def _settle_blocking(client: BlockingFastPathClient, order: Order, call: Call, ending: Ending) -> OrderReply | None:
    conclusion = client.finish(call)
    if isinstance(conclusion, Replied):
        return conclusion.reply
    try:
        return client.persist_order(order, conclusion, call.deadline_ns).reply
    except ExecutionBridgeError as error:
        return ending.without_reply(order, error)


def async_batch(client: FastPathClient, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
    """As `blocking_batch`, for asyncio. An asynchronous source may be slow: replies do not wait for its next order."""
    return _from_slow_source(client, orders) if isinstance(orders, AsyncIterable) else _from_source(client, orders)


async def _from_source(client: FastPathClient, orders: Iterable[Order]) -> AsyncIterator[OrderReply]:
    window = Window(client, orders)
    pending = window.pending
    while len(pending) > window.refill_at or window.fill():
        order, call = pending[0]
        if call.conclusion is None:
            await client.waiter_of(call)
        pending.popleft()
        conclusion: Conclusion[OrderReply] | None = call.conclusion
        if isinstance(conclusion, Replied):
            yield conclusion.reply
        else:
            reply = await _settle(client, order, call, window.ending)
            if reply is not None:
                yield reply
    window.ending.raise_if_early()


async def _from_slow_source(client: FastPathClient, orders: AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
    pump = _Pump(client, orders)
    pending = pump.pending
    sending = asyncio.ensure_future(pump.run())
    try:
        while pending or await pump.next_order():
            order, call = pending[0]
            if call.conclusion is None:
                await client.waiter_of(call)
            pending.popleft()
            pump.make_room()
            conclusion: Conclusion[OrderReply] | None = call.conclusion
            if isinstance(conclusion, Replied):
                yield conclusion.reply
            else:
                reply = await _settle(client, order, call, pump.ending)
                if pump.ending.begun:
                    sending.cancel()
                if reply is not None:
                    yield reply
    finally:
        sending.cancel()
    pump.ending.raise_if_early()


class _Pump:
    """Sends the orders of an asynchronous source as they come, in a task of its own, while there is room."""

    def __init__(self, client: FastPathClient, orders: AsyncIterable[Order]) -> None:
        self.pending: Pending = deque()
        self.ending = Ending()
        self._client = client
        self._orders = orders
        self._size = client.config.batch_window
        self._came = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Until the source has ended, or an order of it cannot be sent."""
        timeout_ms = self._client.config.call_timeout_ms
        try:
            async for order in self._orders:
                self.pending.append((order, self._client.start_order(order, timeout_ms)))
                self._came.set()
                if len(self.pending) >= self._size:
                    self._room.clear()
                    await self._room.wait()
            self.ending.exhausted()
        except asyncio.CancelledError:
            self.ending.broken(NotSentError("the source of the orders was cancelled: no more were sent"))
            raise
        except Exception as error:
            self.ending.broken(error)
        finally:
            self._came.set()

    async def next_order(self) -> bool:
        """Wait, while none pends, for an order that was sent; False at the end."""
        while not self.pending and not self.ending.begun:
            self._came.clear()
            await self._came.wait()
        return bool(self.pending)

    def make_room(self) -> None:
        """An order has been taken from those that pend."""
        if len(self.pending) <= self._size // 2 and not self._room.is_set():
            self._room.set()


async def _settle(client: FastPathClient, order: Order, call: Call, ending: Ending) -> OrderReply | None:
    conclusion: Conclusion[OrderReply] = await client.finish(call)
    if isinstance(conclusion, Replied):
        return conclusion.reply
    try:
        return (await client.persist_order(order, conclusion, call.deadline_ns)).reply
    except ExecutionBridgeError as error:
        return ending.without_reply(order, error)
