"""Whom the queue lets in: orders of its account that the disk gives back as they are, as long as there is room."""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import InvalidOperation

import msgspec

from fallback_grpc.queue.core import QueueCore
from fallback_grpc.queue.entries import Item, QueueFullError
from transport.contract.errors import ValidationError
from transport.contract.ids import is_printable_ascii_id
from transport.contract.orders import Order
from transport.contract.requests import CancelOrder


def checked_order(order: Order, account: str) -> Order:
    """The order, if the outbox can hold it and give it back the same; raises `ValidationError` otherwise.

    What the engine would reject is not looked at: that is the engine's to say, as a `Result`.
    """
    if order.account != account:
        raise ValidationError(
            f"account: the queue is for account {account!r}, and the order for {order.account!r}", field="account"
        )
    if not is_printable_ascii_id(order.order_id):
        raise ValidationError("order_id: must be 1 to 64 bytes of printable ASCII", field="order_id")
    try:
        same = msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Order) == order
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, InvalidOperation) as problem:
        raise ValidationError(f"order {order.order_id}: it cannot be stored: {problem}") from problem
    if not same:
        raise ValidationError(f"order {order.order_id}: a number in it is none (NaN)")
    return order


class RoomLine:
    """Callers that wait for room, first in, first out; cancels, which have room of their own, before the rest."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core
        self._waiting: deque[tuple[Item, asyncio.Future[None]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def is_free(self, item: Item) -> bool:
        """Whether it may be admitted now, and passes nobody who waits."""
        return self._core.has_room(item) and (not self._waiting or isinstance(item, CancelOrder))

    async def wait(self, item: Item, timeout_ms: float | None) -> None:
        """Returns when there is room: admit then, without awaiting anything. Raises `QueueFullError`."""
        join = self._waiting.appendleft if isinstance(item, CancelOrder) else self._waiting.append
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
                while True:
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    join((item, waiter))
                    try:
                        await waiter
                    except asyncio.CancelledError:
                        self._waiting = deque(pair for pair in self._waiting if pair[1] is not waiter)
                        self.give()  # the place may just have been given to this one
                        raise
                    if self._core.has_room(item):
                        return
                    join = self._waiting.appendleft
        except TimeoutError:
            raise self.error() from None

    def give(self) -> None:
        """There may be room: wakes as many as it is for."""
        room = self._core.free_places
        for item, waiter in tuple(self._waiting):
            if room <= 0 and not (isinstance(item, CancelOrder) and self._core.has_room(item)):
                break
            self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                room -= 1

    def fail(self, problem: Exception) -> None:
        """Nobody gets room any more."""
        while self._waiting:
            _, waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(problem)

    def error(self) -> QueueFullError:
        """The error of a queue that has no room."""
        waiting = "their final events were not acknowledged"
        return QueueFullError(f"queue: {self._core.occupied} orders wait, or {waiting}; this one was not taken")
