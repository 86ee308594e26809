"""Clients that are connected, and closed behind whoever measures them; for asyncio each on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import uvloop

LoopKind = Literal["uvloop", "stock"]


class Blocking(Protocol):
    """A client for threads."""

    def connect(self) -> Any: ...
    def close(self) -> None: ...


class Asynchronous(Protocol):
    """A client for one event loop."""

    def connect(self) -> Coroutine[Any, Any, Any]: ...
    def close(self) -> Coroutine[Any, Any, None]: ...


BlockingT = TypeVar("BlockingT", bound=Blocking)
AsyncT = TypeVar("AsyncT", bound=Asynchronous)


def new_loop(kind: LoopKind = "uvloop") -> asyncio.AbstractEventLoop:
    """An event loop of its own."""
    return uvloop.new_event_loop() if kind == "uvloop" else asyncio.SelectorEventLoop()


@contextmanager
def connected(client: BlockingT) -> Generator[BlockingT]:
    """The client, connected."""
    client.connect()
    try:
        yield client
    finally:
        client.close()


@contextmanager
def connected_in_loop(
    make: Callable[[], AsyncT], kind: LoopKind = "uvloop"
) -> Generator[tuple[asyncio.AbstractEventLoop, AsyncT]]:
    """A loop, and the client that `make` made in it, connected."""
    loop = new_loop(kind)
    # grpc.aio asks for the thread's loop.
    asyncio.set_event_loop(loop)

    async def opened() -> AsyncT:
        client = make()
        await client.connect()
        return client

    client = loop.run_until_complete(opened())
    try:
        yield loop, client
    finally:
        loop.run_until_complete(client.close())
        loop.close()
