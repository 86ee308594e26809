"""Sends orders on a schedule and times each from the instant it was to leave. Orders are built before the first.

The client looks at the clock until an order is due (it does not sleep: a timer's lateness would count as latency).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.orders import fresh_orders, read_fields
from transport import ExecutionStatus, Order, OrderReply

CAPACITY_IN_FLIGHT = 64
"""Orders in flight while an asyncio client's capacity is measured."""
MOST_IN_FLIGHT = 512
"""Of an asyncio client under load, below any window: what exceeds it waits for its turn, and its clock runs."""


@dataclass(frozen=True)
class Driven:
    """What came of one schedule."""

    latencies_ns: list[int]
    """From the intended start of each order to every field of its reply read, in order of completion."""
    lasted_s: float

    @property
    def per_s(self) -> float:
        """Orders completed a second, all of them counted."""
        return len(self.latencies_ns) / self.lasted_s


def drive_blocking(call: Callable[[Order], OrderReply], starts_ns: Sequence[int]) -> Driven:
    """One thread, one order at a time: an order that finds the client busy waits, and its clock runs."""
    orders, clock, latencies = fresh_orders(len(starts_ns)), time.perf_counter_ns, list[int]()
    began = clock()
    for order, offset_ns in zip(orders, starts_ns, strict=True):
        intended = began + offset_ns
        while clock() < intended:
            pass
        _read(call(order))
        latencies.append(clock() - intended)
    return Driven(latencies, (clock() - began) / 1e9)


async def drive_async(call: Callable[[Order], Awaitable[OrderReply]], starts_ns: Sequence[int]) -> Driven:
    """One event loop, a task an order: many in flight."""
    orders, clock, latencies = fresh_orders(len(starts_ns)), time.perf_counter_ns, list[int]()
    turn, window = asyncio.sleep, asyncio.Semaphore(MOST_IN_FLIGHT)

    async def one(order: Order, intended: int) -> None:
        async with window:
            _read(await call(order))
        latencies.append(clock() - intended)

    began = clock()
    async with asyncio.TaskGroup() as tasks:
        for order, offset_ns in zip(orders, starts_ns, strict=True):
            intended = began + offset_ns
            while clock() < intended:
                await turn(0)
            tasks.create_task(one(order, intended))
    return Driven(latencies, (clock() - began) / 1e9)


def capacity_blocking(call: Callable[[Order], OrderReply], orders_count: int) -> float:
    """Orders a second that one thread completes when each follows the one before at once."""
    return drive_blocking(call, [0] * orders_count).per_s


async def capacity_async(call: Callable[[Order], Awaitable[OrderReply]], orders_count: int) -> float:
    """Orders a second that a loop completes with `CAPACITY_IN_FLIGHT` of them in flight all the time."""
    waiting = iter(fresh_orders(orders_count))

    async def worker() -> None:
        for order in waiting:
            _read(await call(order))

    began = time.perf_counter_ns()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CAPACITY_IN_FLIGHT):
            tasks.create_task(worker())
    return orders_count / ((time.perf_counter_ns() - began) / 1e9)


def _read(reply: OrderReply) -> None:
    read_fields(reply)
    if reply.status != ExecutionStatus.FILLED:
        raise RuntimeError(f"not filled under load: {reply}")
