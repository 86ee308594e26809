"""One client under fault after fault: orders go one by one, the fast path breaks, gRPC takes over, the path heals."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import uvloop

from bench.orders import fresh_orders
from bench.recovery.proxy import ProxyProcess
from fallback_grpc import BlockingExecutionBridgeClient, BlockingGrpcClient, ExecutionBridgeClient, GrpcClient
from transport import BridgeConfig, ExecutionStatus, Path

LONGEST_LEAD_S = 0.06
"""Before a fault orders go their way for up to so long, by chance: it shall hit every phase of the heartbeat."""
DEADLINE_S = 20.0


@dataclass(frozen=True)
class Recovered:
    """What the rounds of one client and one fault came to."""

    milliseconds: list[float]
    """From the fault to the next order completed after it: by gRPC, since the fast path is gone."""
    resent: int
    """Orders that were in flight and went again under their ids."""


class Saboteur:
    """Breaks the fast path from another process, at an instant that the client does not know."""

    def __init__(self, proxy: ProxyProcess, fault: str, random: Random) -> None:
        self._proxy, self._fault, self._random = proxy, fault, random
        self._at_ns = 0

    def strike_soon(self) -> None:
        """A fault within `LONGEST_LEAD_S`."""
        self._at_ns = 0
        self._proxy.strike(self._fault, self._random.uniform(0, LONGEST_LEAD_S))

    def took_ms(self, path: Path, completed_ns: int) -> float | None:
        """From the fault to this order, if it is the first that was completed after it; None: not yet.

        The instant is asked for only after an order that went by gRPC: nothing waits for it during the failover.
        """
        if path != "grpc":
            return None
        self._at_ns = self._at_ns or self._proxy.struck_at_ns()
        return (completed_ns - self._at_ns) / 1e6 if completed_ns > self._at_ns else None

    def heal(self) -> None:
        """New connections pass."""
        self._proxy.heal()


def blocking_rounds(config: BridgeConfig, saboteur: Saboteur, rounds: int) -> Recovered:
    """The blocking client, in this thread."""
    taken_ms: list[float] = []
    pause = threading.Event()
    with BlockingExecutionBridgeClient(config) as client, _collected_before():
        for _ in range(rounds):
            _until(lambda: client.usable_paths[:1] == ("zmq",), pause.wait)
            saboteur.strike_soon()
            ends = time.monotonic() + DEADLINE_S
            while True:
                (order,) = fresh_orders(1)
                delivery = client.deliver_order(order)
                took_ms = saboteur.took_ms(delivery.path, time.monotonic_ns())
                _check(delivery.reply.status, ends)
                if took_ms is not None:
                    break
            taken_ms.append(took_ms)
            saboteur.heal()
        return Recovered(taken_ms, client.statistics.resolved)


def asyncio_rounds(config: BridgeConfig, saboteur: Saboteur, rounds: int) -> Recovered:
    """The asyncio client, on uvloop."""
    return uvloop.run(_asyncio_rounds(config, saboteur, rounds))


async def _asyncio_rounds(config: BridgeConfig, saboteur: Saboteur, rounds: int) -> Recovered:
    taken_ms: list[float] = []
    client = ExecutionBridgeClient(config)
    await client.connect()
    try:
        with _collected_before():
            for _ in range(rounds):
                async with asyncio.timeout(DEADLINE_S):
                    while client.usable_paths[:1] != ("zmq",):  # noqa: ASYNC110 (a bench, not a test of events)
                        await asyncio.sleep(0.002)
                saboteur.strike_soon()
                ends = time.monotonic() + DEADLINE_S
                while True:
                    (order,) = fresh_orders(1)
                    delivery = await client.deliver_order(order)
                    took_ms = saboteur.took_ms(delivery.path, time.monotonic_ns())
                    _check(delivery.reply.status, ends)
                    if took_ms is not None:
                        break
                taken_ms.append(took_ms)
                saboteur.heal()
        return Recovered(taken_ms, client.statistics.resolved)
    finally:
        await client.close()


def blocking_grpc_alone(config: BridgeConfig, random: Random, rounds: int) -> list[float]:
    """What one order takes by gRPC with nothing else in the process, after a pause: what every failover contains."""
    pause = threading.Event()
    taken_ms: list[float] = []
    with BlockingGrpcClient(config) as client, _collected_before():
        for _ in range(rounds):
            pause.wait(random.uniform(0, LONGEST_LEAD_S))
            (order,) = fresh_orders(1)
            began_ns = time.monotonic_ns()
            client.execute_order(order)
            taken_ms.append((time.monotonic_ns() - began_ns) / 1e6)
    return taken_ms


def asyncio_grpc_alone(config: BridgeConfig, random: Random, rounds: int) -> list[float]:
    """The same, for asyncio on uvloop."""
    return uvloop.run(_asyncio_grpc_alone(config, random, rounds))


async def _asyncio_grpc_alone(config: BridgeConfig, random: Random, rounds: int) -> list[float]:
    taken_ms: list[float] = []
    async with GrpcClient(config) as client:
        with _collected_before():
            for _ in range(rounds):
                await asyncio.sleep(random.uniform(0, LONGEST_LEAD_S))
                (order,) = fresh_orders(1)
                began_ns = time.monotonic_ns()
                await client.execute_order(order)
                taken_ms.append((time.monotonic_ns() - began_ns) / 1e6)
    return taken_ms


Rounds = Callable[[BridgeConfig, Saboteur, int], Recovered]
CLIENTS: dict[str, Rounds] = {"blocking": blocking_rounds, "asyncio": asyncio_rounds}
GrpcAlone = Callable[[BridgeConfig, Random, int], list[float]]
GRPC_ALONE: dict[str, GrpcAlone] = {"blocking": blocking_grpc_alone, "asyncio": asyncio_grpc_alone}


@contextmanager
def _collected_before() -> Generator[None]:
    """The collector leaves alone what there is now: the heap of the test runner is not the client's."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _until(condition: Callable[[], bool], pause: Callable[[float], object]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"the fast path did not come back within {DEADLINE_S} s")
        pause(0.002)


def _check(status: ExecutionStatus, ends: float) -> None:
    if status != ExecutionStatus.FILLED:
        raise ValueError(f"an order of the bench came to {status.name}")
    if time.monotonic() > ends:
        raise TimeoutError(f"no failover within {DEADLINE_S} s")
