"""One client under fault after fault: orders go one by one, the fast path breaks, gRPC takes over, the path heals."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import uvloop

from bench.orders import fresh_orders
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import BlockingExecutionBridgeClient, ExecutionBridgeClient
from transport import BridgeConfig, ExecutionStatus, Path

T = TypeVar("T")
Fault = Callable[[FaultProxy], None]
FAULTS: dict[str, Fault] = {"reset": FaultProxy.reset_connections, "blackhole": FaultProxy.blackhole}
"""RST on every connection of the fast path; or nothing passes any more, either way, and nobody is told."""
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


class TimedProxy(FaultProxy):
    """A fault proxy that knows when it struck: in its own thread, right before it breaks something."""

    struck_at_ns = 0

    def _on_loop(self, act: Callable[..., T], **named: Any) -> T:
        def timed(**given: Any) -> T:
            self.struck_at_ns = time.monotonic_ns()
            return act(**given)

        return super()._on_loop(timed, **named)


class Saboteur:
    """Breaks the fast path from a thread of its own, at an instant that the client does not know."""

    def __init__(self, proxy: TimedProxy, fault: Fault, random: Random) -> None:
        self._proxy, self._fault, self._random = proxy, fault, random
        self._thread = ThreadPoolExecutor(1, "saboteur")

    @property
    def at_ns(self) -> int:
        """When the last fault came; 0: not yet."""
        return self._proxy.struck_at_ns

    def strike_soon(self) -> None:
        """A fault within `LONGEST_LEAD_S`."""
        self._proxy.struck_at_ns = 0
        self._thread.submit(self._strike, self._random.uniform(0, LONGEST_LEAD_S))

    def has_hit(self, path: Path, completed_ns: int) -> bool:
        """Whether an order that this path completed then is the first after the fault."""
        return path == "grpc" and 0 < self.at_ns < completed_ns

    def heal(self) -> None:
        """New connections pass."""
        self._proxy.heal()

    def end(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _strike(self, lead_s: float) -> None:
        threading.Event().wait(lead_s)
        self._fault(self._proxy)


def blocking_rounds(config: BridgeConfig, saboteur: Saboteur, rounds: int) -> Recovered:
    """The blocking client, in this thread."""
    taken_ms: list[float] = []
    pause = threading.Event()
    with BlockingExecutionBridgeClient(config) as client:
        for _ in range(rounds):
            _until(lambda: client.usable_paths[:1] == ("zmq",), pause.wait)
            saboteur.strike_soon()
            ends = time.monotonic() + DEADLINE_S
            while True:
                (order,) = fresh_orders(1)
                delivery = client.deliver_order(order)
                now_ns = time.monotonic_ns()
                _check(delivery.reply.status, ends)
                if saboteur.has_hit(delivery.path, now_ns):
                    break
            taken_ms.append((now_ns - saboteur.at_ns) / 1e6)
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
        for _ in range(rounds):
            async with asyncio.timeout(DEADLINE_S):
                while client.usable_paths[:1] != ("zmq",):  # noqa: ASYNC110 (a bench, not a test of events)
                    await asyncio.sleep(0.002)
            saboteur.strike_soon()
            ends = time.monotonic() + DEADLINE_S
            while True:
                (order,) = fresh_orders(1)
                delivery = await client.deliver_order(order)
                now_ns = time.monotonic_ns()
                _check(delivery.reply.status, ends)
                if saboteur.has_hit(delivery.path, now_ns):
                    break
            taken_ms.append((now_ns - saboteur.at_ns) / 1e6)
            await asyncio.to_thread(saboteur.heal)
        return Recovered(taken_ms, client.statistics.resolved)
    finally:
        await client.close()


Rounds = Callable[[BridgeConfig, Saboteur, int], Recovered]
CLIENTS: dict[str, Rounds] = {"blocking": blocking_rounds, "asyncio": asyncio_rounds}


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
