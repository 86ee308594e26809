"""One run: the schedule's actions at their times, then everything healed, every doubt resolved, and the books read."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial, singledispatchmethod
from typing import Any, Final
from unittest import mock

from fallback_grpc import service
from tests.simulation import schedule as plan
from tests.simulation.client_host import ClientHost, Kit
from tests.simulation.clock import MS, SECOND, Clock, spell
from tests.simulation.engine_host import EngineHost, native
from tests.simulation.grpc_channel import CARRIED_UPDATES
from tests.simulation.history import Fill, History, JournalBook
from tests.simulation.ledger import Ending, Ledger
from tests.simulation.loop import SimulationStalledError, VirtualLoop
from tests.simulation.network import Connection, Network, Trap, Way
from tests.simulation.schedule import Effect, Schedule
from tests.simulation.trace import Trace
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


class World:
    """The run's machines, and the hand that moves them."""

    def __init__(self, schedule: Schedule, *, bugs: frozenset[str], kit: Kit, keep_trace: bool) -> None:
        settings = schedule.settings
        self.schedule = schedule
        self.clock = Clock()
        self.trace = Trace(self.clock, keep=keep_trace)
        self.loop = VirtualLoop(self.clock)
        self.engine = EngineHost(self.loop, self.trace, settings, bugs)
        self.network = Network(self.loop, self.trace, str(settings.seed), self.engine)
        self.engine.network = self.network
        self.network.on_trap = self._trapped
        self.ledger = Ledger()
        self.clients = [
            ClientHost(self.loop, self.trace, self.network, settings, self.ledger, number, kit)
            for number in range(settings.clients)
        ]
        self._healing = False

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

    # ---- actions ----

    @singledispatchmethod
    def act(self, action: Any) -> None:
        """Does what the schedule says."""
        raise TypeError(f"no such action: {action}")

    def _do(self, client: int, act: Callable[..., Awaitable[None]], *args: Any, **named: Any) -> None:
        host = self.clients[client % len(self.clients)]
        method = act.__get__(host)
        host.do(partial(method, *args, **named), method.__name__)

    @act.register
    def _(self, action: plan.Place) -> None:
        self._do(action.client, ClientHost.place, action.order, action.timeout_ms)

    @act.register
    def _(self, action: plan.PlaceBatch) -> None:
        self._do(action.client, ClientHost.place_batch, action.orders)

    @act.register
    def _(self, action: plan.PlaceStream) -> None:
        self._do(action.client, ClientHost.place_stream, action.orders)

    @act.register
    def _(self, action: plan.Enqueue) -> None:
        self._do(action.client, ClientHost.enqueue, action.order)

    @act.register
    def _(self, action: plan.Resend) -> None:
        self._do(action.client, ClientHost.resend, action.number)

    @act.register
    def _(self, action: plan.Alter) -> None:
        self._do(action.client, ClientHost.alter, action.number, action.quantity)

    @act.register
    def _(self, action: plan.Cancel) -> None:
        self._do(action.client, ClientHost.cancel, action.number)

    @act.register
    def _(self, action: plan.Replace) -> None:
        self._do(action.client, ClientHost.replace, action.number, action.quantity, action.price)

    @act.register
    def _(self, action: plan.CancelAll) -> None:
        self._do(action.client, ClientHost.cancel_all, action.symbol)

    @act.register
    def _(self, action: plan.SetState) -> None:
        self._do(action.client, ClientHost.set_state, action.state, cancel_open_orders=action.cancel_open_orders)

    @act.register
    def _(self, action: plan.Query) -> None:
        self._do(action.client, ClientHost.query, action.number, fence=action.fence)

    @act.register
    def _(self, action: plan.Quotes) -> None:
        if self.engine.venue is not None:
            self.engine.market_moves(action.symbol, action.bid, action.ask)
        else:
            self._do(action.client, ClientHost.quote, action.symbol, action.bid, action.ask)

    @act.register
    def _(self, action: plan.Prefer) -> None:
        client = self.clients[action.client % len(self.clients)].client
        prefer = getattr(client, "prefer", None)
        if prefer is not None:
            prefer(action.path)

    @act.register
    def _(self, action: plan.CutPath) -> None:
        self._fault(action)
        self.network.cut(action.path)
        if action.refused_ms:
            self.network.paths[action.path].refusing = True
            self._after(action.refused_ms, self._accept, action.path)

    @act.register
    def _(self, action: plan.Silence) -> None:
        self._fault(action, "both" if action.to_engine and action.to_client else "one_way")
        ways = {Way.TO_ENGINE} if action.to_engine else set[Way]()
        if action.to_client:
            ways.add(Way.TO_CLIENT)
        self.network.silence(action.path, ways)
        self._after(action.lasts_ms, self.network.heal, action.path)

    @act.register
    def _(self, action: plan.Delay) -> None:
        self._fault(action)
        self.network.paths[action.path].extra_ns = int(action.extra_ms * MS)
        self._after(action.lasts_ms, self._hasten, action.path)

    @act.register
    def _(self, action: plan.SetTrap) -> None:
        trap = Trap(action.path, action.point, action.nth, action.effect, action.lasts_ms)
        self.network.traps.append(trap)
        self.trace.note("set_trap", f"{action.path} {action.point.value} {action.effect.value}")

    @act.register
    def _(self, action: plan.KillEngine) -> None:
        self._fault(action)
        self.engine.kill(action.down_ms)

    @act.register
    def _(self, action: plan.CrashMachine) -> None:
        self._fault(action)
        self.engine.crash_machine(action.down_ms)

    @act.register
    def _(self, action: plan.DieAfter) -> None:
        self._fault(action, "machine" if action.machine else "process")
        self.engine.dies_with_machine, self.engine.dies_for_ms = action.machine, action.down_ms
        self.engine.disk.die_after(action.operations)

    @act.register
    def _(self, action: plan.DrainEngine) -> None:
        self._fault(action)
        self.engine.drain(action.drain_ms, action.down_ms)

    @act.register
    def _(self, action: plan.SlowDisk) -> None:
        self._fault(action)
        self.engine.sync_ns = int(action.sync_ms * MS)
        self._after(action.lasts_ms, self._quick_disk)

    @act.register
    def _(self, action: plan.FullDisk) -> None:
        self._fault(action)
        self.engine.set_room(action.room_bytes)
        self._after(action.lasts_ms, self.engine.set_room, None)

    @act.register
    def _(self, action: plan.FailSync) -> None:
        self._fault(action)
        self.engine.restart_after_failure_ms = action.down_ms
        self.engine.disk_may_fail = True
        self.engine.disk.fail_sync(action.nth)

    @act.register
    def _(self, action: plan.FailWrite) -> None:
        self._fault(action)
        self.engine.restart_after_failure_ms = action.down_ms
        self.engine.disk_may_fail = True
        self.engine.disk.fail_write(action.nth)

    @act.register
    def _(self, action: plan.EngineClock) -> None:
        self._fault(action)
        self.clock.engine_offset_ns += int(action.jump_ms * MS)

    @act.register
    def _(self, action: plan.ClientClock) -> None:
        self._fault(action)
        self.clock.client_offset_ns += int(action.jump_ms * MS)

    @act.register
    def _(self, action: plan.CutVenue) -> None:
        self._fault(action)
        self.engine.is_venue_reachable = False
        self.engine.cut_venue()
        self._after(action.lasts_ms, self._reach_venue)

    @act.register
    def _(self, action: plan.SlowVenue) -> None:
        self._fault(action)
        self.engine.venue_extra_ns = int(action.extra_ms * MS)
        self._after(action.lasts_ms, self._quick_venue)

    @act.register
    def _(self, action: plan.KillClient) -> None:
        self._fault(action)
        self._kill_client(self.clients[action.client % len(self.clients)], action.down_ms)

    # ---- what faults need ----

    def _fault(self, action: Any, kind: str = "") -> None:
        name = action.__struct_config__.tag + (f"_{kind}" if kind else "")
        path = getattr(action, "path", "")
        self.trace.note("fault", f"{name} {path}")
        self.trace.count(f"fault_{name}" + (f"_{path}" if path else ""))

    def _after(self, after_ms: float, act: Callable[..., None], *args: Any) -> None:
        self.loop.at_ns(self.clock.now_ns + int(after_ms * MS), act, *args)

    def _accept(self, path: plan.Path) -> None:
        self.network.paths[path].refusing = False

    def _hasten(self, path: plan.Path) -> None:
        self.network.paths[path].extra_ns = 0

    def _quick_disk(self) -> None:
        self.engine.sync_ns = self.schedule.settings.sync_us * 1_000

    def _quick_venue(self) -> None:
        self.engine.venue_extra_ns = 0

    def _reach_venue(self) -> None:
        self.engine.is_venue_reachable = True

    def _kill_client(self, host: ClientHost, down_ms: float) -> None:
        host.kill()
        self._after(down_ms, host.start)

    def _trapped(self, trap: Trap, connection: Connection) -> None:
        match trap.effect:
            case Effect.RESET:
                connection.reset("cut by a trap")
            case Effect.SILENCE:
                self.network.silence(trap.path, {Way.TO_ENGINE, Way.TO_CLIENT})
                self._after(trap.lasts_ms, self.network.heal, trap.path)
            case Effect.KILL_ENGINE:
                self.engine.kill(trap.lasts_ms)
            case Effect.CRASH_MACHINE:
                self.engine.crash_machine(trap.lasts_ms)
            case Effect.KILL_CLIENT:
                for host in self.clients:
                    if host.process is connection.process:
                        # Not in the middle of its own line: the loop's next turn.
                        self.loop.soon(self._kill_client, host, trap.lasts_ms)

    # ---- the end ----

    async def _heal(self) -> None:
        """Nothing is broken any more, and everybody is up."""
        self._healing = True
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
        for client in self.clients:
            if not client.regressed and client.client is not None and client.process is not None:
                task = self.loop.spawn(client.process, self._ask_at_the_end(client), "the end")
                await asyncio.wait([task], timeout=20.0)

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
