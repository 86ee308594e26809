"""One run: the schedule's actions at their times, then everything healed, every doubt resolved, and the books read."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final
from unittest import mock

from fallback_grpc import service
from tests.simulation.acts import Machines
from tests.simulation.client_host import ClientHost, Kit
from tests.simulation.clock import MS, SECOND, spell
from tests.simulation.engine_host import native
from tests.simulation.grpc_channel import CARRIED_UPDATES
from tests.simulation.history import Fill, History, JournalBook
from tests.simulation.ledger import Ending
from tests.simulation.loop import SimulationStalledError
from tests.simulation.schedule import Schedule
from transport.contract.errors import ExecutionBridgeError

_SETTLE_S: Final = 0.3
_MOST_HEALING_S: Final = 5.0
_MOST_SETTLING_S: Final = 30.0
_ASKED_AT_THE_END: Final = 12
"""Orders that are asked for once more at the very end."""


@dataclass
class Run:
    """What came of a run."""

    history: History
    digest: str
    """Of everything that happened: equal for equal schedules."""
    counts: Counter[str]
    lines: list[str] = field(default_factory=list[str])
    virtual_ms: float = 0.0


class World(Machines):
    """The run: it begins, and it comes to an end."""

    async def live(self) -> None:
        """The whole run."""
        self.engine.start()
        for client in self.clients:
            client.start()
        began_ns = self.clock.now_ns
        for action in self.schedule.actions:
            await self._until(began_ns + int(action.at_ms * MS))
            self.act(action)
        await asyncio.sleep(_SETTLE_S)
        await self._heal()
        if self.engine.engine is not None:
            await self._settle()

    async def _until(self, at_ns: int) -> None:
        left_ns = at_ns - self.clock.now_ns
        if left_ns > 0:
            await asyncio.sleep(left_ns / 1e9)

    # ---- the end ----

    async def _heal(self) -> None:
        """Nothing is broken any more, and everybody is up."""
        self.network.traps.clear()
        for path in self.network.paths:
            self.network.heal(path)
        self._quick_disk()
        self._quick_venue()
        self._reach_venue()
        self.engine.set_room(None)
        ends_ns = self.clock.now_ns + int(_MOST_HEALING_S * SECOND)
        while self.clock.now_ns < ends_ns:
            for client in self.clients:
                client.start()
            if self.engine.engine is not None and self.engine.failed_at_ns is None:
                self.trace.note("healed")
                return
            await asyncio.sleep(0.05)
        self.engine.problems.append("the engine is not up, and nothing keeps it down")

    async def _settle(self) -> None:
        """Every call has ended, every doubt is resolved, every update has arrived."""
        ends_ns = self.clock.now_ns + int(_MOST_SETTLING_S * SECOND)
        while self.clock.now_ns < ends_ns:
            await asyncio.sleep(0.1)
            if not all(client.regressed for client in self.clients):
                self._resolve_doubts()
            if self._is_settled():
                break
        await self._reconcile()
        for client in self.clients:
            if not client.regressed and client.client is not None and client.process is not None:
                task = self.loop.spawn(client.process, self._ask_at_the_end(client), "the end")
                await asyncio.wait([task], timeout=20.0)

    async def _reconcile(self) -> None:
        """Who does not follow the updates starts once more, and is told of all that it has missed."""
        settings, engine = self.schedule.settings, self.engine.engine
        if settings.subscribes or not settings.reconciles or engine is None:
            return
        going_on = [client for client in self.clients if not client.regressed]
        self.ledger.to_reconcile = engine.last_sequence()
        for client in going_on:
            client.kill()
            client.start()
        ends_ns = self.clock.now_ns + int(_MOST_HEALING_S * SECOND)
        while self.clock.now_ns < ends_ns:
            await asyncio.sleep(0.1)
            if all(client.regressed or client.reconciled.position >= self.ledger.to_reconcile for client in going_on):
                return

    def _resolve_doubts(self) -> None:
        for belief in self.ledger.orders.values():
            if belief.is_in_doubt and not any(call.ending is Ending.OPEN for call in belief.calls):
                host = self.clients[belief.number % len(self.clients)]
                host.do(partial(host.resolve, belief), "resolve")

    def _is_settled(self) -> bool:
        calls = [call for belief in self.ledger.orders.values() for call in belief.calls]
        calls += [command.call for command in self.ledger.commands]
        if any(call.ending is Ending.OPEN for call in calls):
            return False
        going_on = [client for client in self.clients if not client.regressed]
        if not going_on:
            return True
        if any(belief.is_in_doubt for belief in self.ledger.orders.values()):
            return False
        engine = self.engine.engine
        if engine is None or not self.engine.is_reconciled:
            return False
        last = engine.last_sequence()
        if not self.schedule.settings.subscribes:
            return True
        # Who has come further than the engine has yet to learn that it forgot.
        return all(client.heard.reached == last for client in going_on)

    async def _ask_at_the_end(self, client: ClientHost) -> None:
        assert client.client is not None
        beliefs = sorted(self.ledger.orders.values(), key=lambda belief: belief.number)
        step = max(len(beliefs) // _ASKED_AT_THE_END, 1)
        for belief in beliefs[client.number :: step]:
            try:
                self.ledger.final[belief.order.order_id] = await client.client.get_order(belief.order.order_id)
            except ExecutionBridgeError as problem:
                self.trace.note("asked_in_vain", f"{type(problem).__name__}: {problem}")

    def history(self) -> History:
        """The books of the run that is over."""
        engine = self.engine.engine
        last_sequence = engine.last_sequence() if engine is not None else 0
        disk = self.engine.disk.kill()
        journal, verified = JournalBook(), ""
        try:
            journal = JournalBook.read(native.dump(disk))
            native.verify(disk)
        except ValueError as problem:
            verified = str(problem)
        venue = self.engine.venue
        did = venue.executions() if venue is not None else []
        if venue is None and not verified:
            did = native.exchange_executions(disk)
        exchange: dict[str, list[Fill]] = defaultdict(list)
        for execution in did:
            fill = Fill(execution.execution_id, Decimal(execution.quantity), Decimal(execution.price))
            exchange[execution.order_id].append(fill)
        received = venue.received() if venue is not None else []
        return History(
            settings=self.schedule.settings,
            ledger=self.ledger,
            journal=journal,
            exchange=exchange,
            exchange_new=Counter(order_id for what, order_id in received if what == "new"),
            verified=verified,
            problems=[*self.engine.problems, *self.loop.problems, *self.ledger.strange],
            forgot=self.engine.regressions_allowed,
            loud=bool(self.ledger.stopped),
            engine_last_sequence=last_sequence,
            recoveries=self.engine.snapshots.recoveries,
            lease_looks=self.engine.leases.looks,
            at_the_end=self.engine.leases.alone_at_the_end(),
            ended_ns=self.clock.now_ns,
        )


def run(
    schedule: Schedule, *, bugs: frozenset[str] = frozenset(), kit: Kit | None = None, keep_trace: bool = False
) -> Run:
    """Lives through a schedule. The same schedule gives the same run, in any process."""
    clean = random.Random(f"{schedule.settings.seed} process")
    kit = kit or Kit()
    world = World(schedule, bugs=bugs, kit=kit, keep_trace=keep_trace)
    loop = world.loop
    asyncio.set_event_loop(None)
    carried = mock.patch.object(service, "SUBSCRIBE_ORDER_UPDATES", CARRIED_UPDATES)
    with spell(world.clock, clean), carried, kit.patched():
        try:
            try:
                loop.run_until_complete(world.live())
            except SimulationStalledError as stalled:
                loop.problems.append(f"stalled: {stalled}")
            loop.note_what_tasks_raised()
            history = world.history()
            digest = world.trace.digest()
        finally:
            world.trace.is_open = False
            loop.bury()
            loop.close()
    counts = world.trace.counts
    return Run(history, digest, counts, world.trace.lines or [], world.clock.elapsed_ns / MS)
