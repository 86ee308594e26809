"""Ten implementations of one contract, behind one blocking face, so that each test is written once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import uvloop

import fallback_grpc
import transport
from examples.rig.engine_process import EngineProcess
from transport import BridgeConfig

CALL_DEADLINE_S = 60.0


def bridge_config(engine: EngineProcess, **changes: Any) -> BridgeConfig:
    """Configuration of a client of this engine, as its ready line names the endpoints.

    The machine may stand still for seconds: with these times only the engine or the test ends a connection or a call.
    """
    settings: dict[str, Any] = {
        "zmq_endpoint": engine.zmq, "pub_endpoint": engine.pub, "grpc_endpoint": engine.grpc,
        "connect_timeout_ms": 10_000.0, "heartbeat_timeout_ms": 5_000, "call_timeout_ms": 15_000.0,
    }  # fmt: skip
    return BridgeConfig(**(settings | changes))


class LoopThread:
    """One uvloop on a thread: runs a coroutine and returns its result, or raises its error."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conformance-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine's result, within the deadline of every test's single step."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_DEADLINE_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_DEADLINE_S)
        self._loop.close()


class BlockingFace:
    """An asynchronous client as the tests use it: coroutines are waited for, iterators become plain ones."""

    def __init__(self, client: Any, loop: LoopThread) -> None:
        self._client, self._loop = client, loop

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member):
            return member

        def call(*positional: Any, **named: Any) -> Any:
            return self._unwrapped(member, positional, named)

        return call

    def _unwrapped(self, member: Callable[..., Any], positional: Any, named: Any) -> Any:
        async def on_loop() -> Any:
            result = member(*positional, **named)
            return await result if inspect.isawaitable(result) else result

        result = self._loop.run(on_loop())
        return _PlainIterator(result, self._loop) if hasattr(result, "__anext__") else result


class _PlainIterator:
    def __init__(self, iterator: AsyncIterator[Any], loop: LoopThread) -> None:
        self._iterator, self._loop = iterator, loop

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def step() -> Any:
            return await anext(self._iterator, _END)

        item = self._loop.run(step())
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        async def end() -> None:
            await self._iterator.aclose()  # type: ignore[attr-defined]

        self._loop.run(end())


_END = object()


class AsyncDriver(AbstractContextManager[Any]):
    """Opens an asynchronous client on a loop of its own and closes both."""

    def __init__(self, connect: Callable[[BridgeConfig], Coroutine[Any, Any, Any]], config: BridgeConfig) -> None:
        self._connect, self._config = connect, config

    def __enter__(self) -> BlockingFace:
        self._loop = LoopThread()
        self._client = self._loop.run(self._connect(self._config))
        return BlockingFace(self._client, self._loop)

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._client.close())
        self._loop.close()


class BlockingDriver(AbstractContextManager[Any]):
    """Opens a blocking client and closes it."""

    def __init__(self, connect: Callable[[BridgeConfig], Any], config: BridgeConfig) -> None:
        self._connect, self._config = connect, config

    def __enter__(self) -> Any:
        self._client = self._connect(self._config)
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()


Opener = Callable[[BridgeConfig], AbstractContextManager[Any]]


def _over(carrier: str, connect: Callable[[BridgeConfig], Any]) -> Callable[[BridgeConfig], Any]:
    return lambda config: connect(BridgeConfig.of(config, carrier=carrier))


def _over_each_carrier() -> dict[str, Opener]:
    """The fast path and failover, over both carriers: `zmq` and `failover` are native, `...-pyzmq` are libzmq's."""
    openers: dict[str, Opener] = {}
    for name, connect, connect_blocking in (
        ("zmq", transport.connect, transport.connect_blocking),
        ("failover", fallback_grpc.connect, fallback_grpc.connect_blocking),
    ):
        for suffix, carrier in (("", "native"), ("-pyzmq", "pyzmq")):
            openers[f"{name}-async{suffix}"] = partial(AsyncDriver, _over(carrier, connect))
            openers[f"{name}-blocking{suffix}"] = partial(BlockingDriver, _over(carrier, connect_blocking))
    return openers


def _hedged(connect: Callable[[BridgeConfig], Any]) -> Callable[[BridgeConfig], Any]:
    """Failover with every order sent on both paths, as nearly as that can be: no test may notice."""
    return lambda config: connect(BridgeConfig.of(config, hedge_after_us=1, hedge_share=1.0))


IMPLEMENTATIONS: dict[str, Opener] = {
    "grpc-blocking": partial(BlockingDriver, fallback_grpc.connect_grpc_blocking),
    "grpc-async": partial(AsyncDriver, fallback_grpc.connect_grpc),
    **_over_each_carrier(),
    "failover-async-hedged": partial(AsyncDriver, _hedged(fallback_grpc.connect)),
    "failover-blocking-hedged": partial(BlockingDriver, _hedged(fallback_grpc.connect_blocking)),
}
