"""Which clients are put under load: each alone on its engine while its turn lasts, all engines of one binary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import uvloop

from bench.context import Context
from bench.engines import SPIN_US
from bench.load.drive import Driven, capacity_async, capacity_blocking, drive_async, drive_blocking
from fallback_grpc import BlockingGrpcClient, GrpcClient
from transport import BlockingFastPathClient, FastPathClient

PATIENT = {"call_timeout_ms": 60_000.0, "heartbeat_timeout_ms": 5_000}
"""An overloaded client is to be late, not to give up: its lateness is what is measured."""


class Client(ABC):
    """A client that is connected."""

    @abstractmethod
    def capacity(self, orders_count: int) -> float:
        """Orders a second at most, measured with so many."""

    @abstractmethod
    def drive(self, starts_ns: Sequence[int]) -> Driven:
        """Sends orders at those instants."""


@dataclass(frozen=True)
class Blocking(Client):
    """A blocking client of one thread."""

    client: BlockingFastPathClient | BlockingGrpcClient

    def capacity(self, orders_count: int) -> float:
        return capacity_blocking(self.client.execute_order, orders_count)

    def drive(self, starts_ns: Sequence[int]) -> Driven:
        return drive_blocking(self.client.execute_order, starts_ns)


@dataclass(frozen=True)
class Asynchronous(Client):
    """An asyncio client on uvloop."""

    loop: uvloop.Loop
    client: FastPathClient | GrpcClient

    def capacity(self, orders_count: int) -> float:
        return self.loop.run_until_complete(capacity_async(self.client.execute_order, orders_count))

    def drive(self, starts_ns: Sequence[int]) -> Driven:
        return self.loop.run_until_complete(drive_async(self.client.execute_order, starts_ns))


@dataclass(frozen=True)
class Subject:
    """One client under load, by name."""

    name: str
    open: Callable[[Context], AbstractContextManager[Client]]


@contextmanager
def _native_blocking(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=SPIN_US).config("tcp", carrier="native", spin_us=SPIN_US, **PATIENT)
    client = BlockingFastPathClient(config)
    client.connect()
    try:
        yield Blocking(client)
    finally:
        client.close()


@contextmanager
def _grpc_blocking(context: Context) -> Generator[Client]:
    client = BlockingGrpcClient(context.engine("os", spin_us=0).config("tcp", **PATIENT))
    client.connect()
    try:
        yield Blocking(client)
    finally:
        client.close()


@contextmanager
def _native_async(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=SPIN_US).config("tcp", carrier="native", **PATIENT)
    yield from _in_loop(lambda: FastPathClient(config))


@contextmanager
def _grpc_async(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=0).config("tcp", **PATIENT)
    yield from _in_loop(lambda: GrpcClient(config))


def _in_loop(make: Callable[[], FastPathClient | GrpcClient]) -> Generator[Client]:
    loop = uvloop.new_event_loop()

    async def connected() -> FastPathClient | GrpcClient:
        client = make()
        await client.connect()
        return client

    client = loop.run_until_complete(connected())
    try:
        yield Asynchronous(loop, client)
    finally:
        loop.run_until_complete(client.close())
        loop.close()


SUBJECTS = (
    Subject("native blocking", _native_blocking),
    Subject("gRPC blocking", _grpc_blocking),
    Subject("native asyncio", _native_async),
    Subject("gRPC asyncio", _grpc_async),
)
