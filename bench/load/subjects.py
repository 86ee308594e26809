"""Which clients are put under load: each alone on its engine while its turn lasts, all engines of one binary."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench.connected import connected, connected_in_loop
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

    loop: asyncio.AbstractEventLoop
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
    with connected(BlockingFastPathClient(config)) as client:
        yield Blocking(client)


@contextmanager
def _grpc_blocking(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=0).config("tcp", **PATIENT)
    with connected(BlockingGrpcClient(config)) as client:
        yield Blocking(client)


@contextmanager
def _native_async(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=SPIN_US).config("tcp", carrier="native", **PATIENT)
    with connected_in_loop(lambda: FastPathClient(config)) as (loop, client):
        yield Asynchronous(loop, client)


@contextmanager
def _grpc_async(context: Context) -> Generator[Client]:
    config = context.engine("os", spin_us=0).config("tcp", **PATIENT)
    with connected_in_loop(lambda: GrpcClient(config)) as (loop, client):
        yield Asynchronous(loop, client)


SUBJECTS = (
    Subject("native blocking", _native_blocking),
    Subject("gRPC blocking", _grpc_blocking),
    Subject("native asyncio", _native_async),
    Subject("gRPC asyncio", _grpc_async),
)
