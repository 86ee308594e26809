"""The clients of the bridge behind one asynchronous face: those for threads are called from threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from fallback_grpc import BlockingExecutionBridgeClient, BlockingGrpcClient, ExecutionBridgeClient, GrpcClient
from transport import (
    BlockingFastPathClient,
    BridgeConfig,
    Delivery,
    ExecutionBridgeError,
    FastPathClient,
    Order,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)

T = TypeVar("T")
_THREADS = 8
_MOST_WAITING = 64


class Face(Protocol):
    """One client, whatever its path and shell. Calls raise what the client raises."""

    @property
    def client(self) -> Any: ...
    async def deliver(self, order: Order) -> Delivery: ...
    async def batch(self, orders: Sequence[Order]) -> list[OrderReply]: ...
    def stream(self, orders: Iterable[Order]) -> AsyncIterator[OrderReply]: ...
    async def command(self, name: str, *positional: Any, **named: Any) -> Any:
        """The client's method of this name, for all that has one reply."""
        ...

    def updates(self, resume_from: int) -> AsyncIterator[OrderUpdate | UpdateGap]: ...
    async def close(self) -> None: ...


class AsyncFace:
    """A client for asyncio, as it is."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def client(self) -> Any:
        """The client itself."""
        return self._client

    async def deliver(self, order: Order) -> Delivery:
        return await self._client.deliver_order(order)

    async def batch(self, orders: Sequence[Order]) -> list[OrderReply]:
        return await self._client.execute_batch(orders)

    def stream(self, orders: Iterable[Order]) -> AsyncIterator[OrderReply]:
        return self._client.execute_batch_orders(orders)

    async def command(self, name: str, *positional: Any, **named: Any) -> Any:
        return await getattr(self._client, name)(*positional, **named)

    def updates(self, resume_from: int) -> AsyncIterator[OrderUpdate | UpdateGap]:
        return self._client.subscribe_order_updates(resume_from=resume_from)

    async def close(self) -> None:
        await self._client.close()


class ThreadedFace:
    """A client for threads: every call runs in a thread of a pool, every iterator in a thread of its own."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._pool = ThreadPoolExecutor(_THREADS, "chaos-call")

    @property
    def client(self) -> Any:
        """The client itself."""
        return self._client

    async def deliver(self, order: Order) -> Delivery:
        return await self._in_pool(self._client.deliver_order, order)

    async def batch(self, orders: Sequence[Order]) -> list[OrderReply]:
        return await self._in_pool(self._client.execute_batch, orders)

    def stream(self, orders: Iterable[Order]) -> AsyncIterator[OrderReply]:
        # The source is asked in the reading thread: what it writes down must be written before.
        return _in_thread(partial(self._client.execute_batch_orders, list(orders)))

    async def command(self, name: str, *positional: Any, **named: Any) -> Any:
        return await self._in_pool(partial(getattr(self._client, name), *positional, **named))

    def updates(self, resume_from: int) -> AsyncIterator[OrderUpdate | UpdateGap]:
        return _in_thread(partial(self._client.subscribe_order_updates, resume_from=resume_from))

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)
        self._pool.shutdown(wait=False)

    async def _in_pool(self, call: Callable[..., T], *positional: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *positional)


async def _in_thread(open_iterator: Callable[[], Iterable[T]]) -> AsyncIterator[T]:
    """The items of an iterator that a thread of its own opens and reads."""
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue(_MOST_WAITING)

    def hand_over(is_item: bool, item: Any) -> None:
        asyncio.run_coroutine_threadsafe(items.put((is_item, item)), loop).result()

    def read() -> None:
        try:
            for item in open_iterator():
                hand_over(True, item)
        except Exception as problem:
            hand_over(False, problem)
        else:
            hand_over(False, None)

    threading.Thread(target=read, name="chaos-iterator", daemon=True).start()
    while True:
        is_item, item = await items.get()
        if is_item:
            yield item
        elif item is None:
            return
        else:
            raise item


def _async(make: Callable[[BridgeConfig], Any]) -> Callable[[BridgeConfig], Awaitable[Face]]:
    async def connect(config: BridgeConfig) -> Face:
        client = make(config)
        try:
            await client.connect()
        except BaseException:
            await client.close()
            raise
        return AsyncFace(client)

    return connect


def _threaded(make: Callable[[BridgeConfig], Any]) -> Callable[[BridgeConfig], Awaitable[Face]]:
    async def connect(config: BridgeConfig) -> Face:
        client = make(config)
        try:
            await asyncio.to_thread(client.connect)
        except BaseException:
            client.close()
            raise
        return ThreadedFace(client)

    return connect


CLIENTS: dict[str, Callable[[BridgeConfig], Awaitable[Face]]] = {
    "bridge": _async(ExecutionBridgeClient),
    "bridge-blocking": _threaded(BlockingExecutionBridgeClient),
    "zmq": _async(FastPathClient),
    "zmq-blocking": _threaded(BlockingFastPathClient),
    "grpc": _async(GrpcClient),
    "grpc-blocking": _threaded(BlockingGrpcClient),
}
"""How each kind of client connects."""

_RETRY_S = 0.1


async def connect(kind: str, config: BridgeConfig, note: Callable[[ExecutionBridgeError], None]) -> Face:
    """A connected client, however long that takes: the run may begin under a fault. `note` hears of each failure."""
    while True:
        try:
            return await CLIENTS[kind](config)
        except ExecutionBridgeError as problem:
            note(problem)
            await asyncio.sleep(_RETRY_S)
