"""A stream of orders over calls that carry many, for asyncio: what the source has ready travels as one message."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from fallback_grpc.stream_results import StreamResults
from transport.contract.errors import NotSentError
from transport.contract.orders import Order
from transport.contract.replies import OrderReply

ItemT = TypeVar("ItemT")

Part = list[Order]
"""Orders of a stream that travel together."""


async def in_parts(
    orders: Iterable[Order] | AsyncIterable[Order],
    execute: Callable[[Part], Awaitable[list[OrderReply | None]]],
    window_size: int,
    results: StreamResults,
    left_unread: Callable[[Part, list[OrderReply | None]], None] | None = None,
) -> AsyncGenerator[OrderReply, None]:
    """Executes orders with at most `window_size` in flight; replies in the order of the orders, as soon as they come.

    Two parts fill the window, so that the engine need not wait for the next. A source that pauses holds nothing back:
    what it has given goes out at once, and replies come as they come. `execute` answers a part by index; None: there
    is no reply, and `results` knows why. Leaving early abandons what is in flight: its outcome is unknown.
    `left_unread` hears then of each part that was answered and waited for those before it.
    """
    source = _Source(orders, window_size, results)
    flights: deque[tuple[Part, asyncio.Task[list[OrderReply | None]]]] = deque()
    try:
        while True:
            source.came.clear()
            while part := source.take(max(window_size // 2, 1)):
                flight = asyncio.ensure_future(execute(part))
                flight.add_done_callback(source.look_again)
                flights.append((part, flight))
            if flights and flights[0][1].done():
                replies = flights.popleft()[1].result()
                source.answered(len(replies))
                for reply in replies:
                    if reply is not None:
                        yield reply
            elif flights or not source.has_ended:
                await source.came.wait()
            else:
                return
    finally:
        source.close()
        for _, flight in flights:
            flight.cancel()
        ended = await asyncio.gather(*(flight for _, flight in flights), return_exceptions=True)
        for (part, _), answered in zip(flights, ended, strict=True):
            if left_unread is not None and not isinstance(answered, BaseException):
                left_unread(part, answered)


class _Source:
    """Reads the orders in a task of its own, as long as there is room."""

    def __init__(
        self, orders: Iterable[Order] | AsyncIterable[Order], window_size: int, results: StreamResults
    ) -> None:
        self.came = asyncio.Event()
        self._orders = orders
        self._size = window_size
        self._results = results
        self._held: Part = []
        self._pending = 0
        self._room = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())
        self._reading.add_done_callback(self.look_again)

    @property
    def has_ended(self) -> bool:
        """Whether no more orders will come."""
        return self._reading.done() and not self._held

    def look_again(self, _: object = None) -> None:
        """Something is done."""
        self.came.set()

    def take(self, most: int) -> Part:
        """The next orders to send: as many as have come."""
        part, self._held = self._held[:most], self._held[most:]
        return part

    def answered(self, orders: int) -> None:
        """Their places are free. The source is read on when half the window is, so that parts do not dwindle."""
        self._pending -= orders
        if self._pending <= self._size // 2:
            self._room.set()

    def close(self) -> None:
        """Reads no further."""
        self._reading.cancel()

    async def _read(self) -> None:
        try:
            async for order in as_async(self._orders):
                self._held.append(order)
                self._pending += 1
                self.came.set()
                if self._pending >= self._size:
                    self._room.clear()
                    await self._room.wait()
        except asyncio.CancelledError:
            self._results.source_failed(NotSentError("the source of the orders was cancelled: no more were sent"))
            raise
        except Exception as problem:  # the source's own
            self._results.source_failed(problem)


async def as_async(items: Iterable[ItemT] | AsyncIterable[ItemT]) -> AsyncIterator[ItemT]:
    """Any iterable as an asynchronous one."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
