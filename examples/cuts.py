"""Cuts the fast path under orders in flight, and says what was in flight, executed and answered again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from examples.orchestrator import Orchestrator
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import GrpcClient
from transport import Health, Order

CutKind = Literal["reset", "blackhole"]
STEP_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Cut:
    """What one cut did."""

    kind: CutKind
    in_flight: int
    """Orders sent and not answered at the moment of the cut."""
    executed_unanswered: int
    """Of those, executed by the engine: only their replies were lost."""
    duplicates: int
    """Copies that the engine answered from memory because of the cut (its own counter)."""
    failover_ms: float
    """From the fault to the next completed order."""


class Saboteur:
    """Breaks the fast path at given baskets and heals it some days later. The strategy is not told."""

    def __init__(self, proxy: FaultProxy, observer: GrpcClient, plan: Sequence[tuple[int, CutKind]]) -> None:
        self._proxy, self._observer = proxy, observer
        self._plan = dict(plan)
        self._baskets = 0
        self.cuts: list[Cut] = []

    async def send_basket(self, orchestrator: Orchestrator, orders: Sequence[Order]) -> None:
        """Sends a basket, through a cut where the plan has one."""
        self._baskets += 1
        kind = self._plan.pop(self._baskets, None)
        if kind is None:
            await orchestrator.execute_at_once(orders)
        else:
            self.cuts.append(await self._cut_under(kind, orchestrator, orders))

    async def _cut_under(self, kind: CutKind, orchestrator: Orchestrator, orders: Sequence[Order]) -> Cut:
        before = await self._observer.health_check()
        # The fault begins here: requests still arrive and execute, replies do not come back.
        fault_at = time.monotonic_ns()
        self._proxy.withhold_replies()
        completed_at: list[int] = []
        calls = [asyncio.ensure_future(orchestrator.execute(order, sent="in basket")) for order in orders]
        for call in calls:
            call.add_done_callback(lambda _: completed_at.append(time.monotonic_ns()))
        executed = await self._executed_since(before, at_least=len(orders))
        in_flight = sum(not call.done() for call in calls)
        if kind == "reset":
            self._proxy.refuse_connections()
        else:
            self._proxy.blackhole()
        await asyncio.gather(*calls)
        after = await self._observer.health_check()
        return Cut(
            kind,
            in_flight=in_flight,
            executed_unanswered=min(executed, in_flight),
            duplicates=after.duplicates - before.duplicates,
            failover_ms=(completed_at[0] - fault_at) / 1e6,
        )

    async def _executed_since(self, before: Health, at_least: int) -> int:
        def executed(now: Health) -> int:
            return now.counters["orders"] - before.counters["orders"]

        now = await wait_for(self._observer, lambda health: executed(health) >= at_least)
        return executed(now)


async def wait_for(observer: GrpcClient, condition: Callable[[Health], bool]) -> Health:
    """Asks for the engine's health until the condition holds.

    Raises:
        TimeoutError: it did not hold within 5 seconds.
    """
    async with asyncio.timeout(STEP_DEADLINE_S):
        while not condition(health := await observer.health_check()):  # noqa: ASYNC110 (the engine has no event for it)
            await asyncio.sleep(0.0005)
    return health
