"""What the actions of a schedule do to the machines of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, singledispatchmethod
from typing import Any

from tests.simulation import schedule as plan
from tests.simulation.client_host import ClientHost, Kit
from tests.simulation.clock import MS, Clock
from tests.simulation.engine_host import EngineHost
from tests.simulation.ledger import Ledger
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Connection, Network, Trap, Way
from tests.simulation.schedule import Effect, Schedule
from tests.simulation.trace import Trace


class Machines:
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
    def _(self, action: plan.SetLimits) -> None:
        self._do(action.client, ClientHost.set_limits, action)

    @act.register
    def _(self, action: plan.SetLease) -> None:
        self._do(action.client, ClientHost.set_lease, action.grace_ms)

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
    def _(self, action: plan.TakeSnapshot) -> None:
        if action.dies_in is not None:
            self._fault(action, "dies_with_machine" if action.machine else "dies")
        self.engine.snapshots.begin(action)

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
