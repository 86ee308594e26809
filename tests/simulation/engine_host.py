"""The engine's machine: its process, its disk, its clock, and the operator who starts it anew.

The engine itself is the true one (`_native_sim`). This file is what a kernel and a supervisor are to it: it brings
messages and takes outputs, lets virtual time pass for syncs, and ends the process as the schedule says.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.simulation.clock import MS
from tests.simulation.leases import LeaseClock
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Connection, Item, Mark, Trap
from tests.simulation.schedule import Point, Settings
from tests.simulation.snapshots import SnapshotMaker
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.simulation import _native_sim as native
    from tests.simulation.network import Network
else:
    native = importlib.import_module("tests.simulation._native_sim")

_TURN_NS: Final = 3_000
"""What arrives within so long is one turn."""
_VENUE_LATENCY_NS: Final = 200_000
_VENUE_BACKOFF_NS: Final = 20 * MS

ResultT = TypeVar("ResultT")


class EngineHost:
    """The machine with the engine, and the external venue beside it where the run has one."""

    def __init__(self, loop: VirtualLoop, trace: Trace, settings: Settings, bugs: frozenset[str]) -> None:
        self._loop = loop
        self._trace = trace
        self._settings = settings
        self._bugs = bugs
        self._chance = random.Random(f"{settings.seed} engine")
        self.network: Network
        self.disk = native.Disk(settings.seed)
        self.venue = native.Venue(settings.seed) if settings.venue == "external" else None
        self.engine: native.Engine | None = None
        self.is_machine_up = True
        self.incarnation = 0
        self.sync_ns = settings.sync_us * 1_000
        self.venue_extra_ns = 0
        self.is_venue_reachable = True
        self.dies_with_machine = False
        self.dies_for_ms = 50.0
        self.room_bytes: int | None = None
        """What is left on the disk that is full."""
        self.disk_may_fail = False
        """A write or sync of this disk is going to fail."""
        self.problems: list[str] = []
        """What must not happen at an engine, whatever the schedule does."""
        self.failed_at_ns: int | None = None
        self.restart_after_failure_ms = 50.0
        self.regressions_allowed = False
        """The machine was lost while the journal was not synced: what was acknowledged may be gone."""
        self.snapshots = SnapshotMaker(self, trace)
        self.leases = LeaseClock(self, loop, trace)
        self._connections: dict[int, Connection] = {}
        self._turn_is_due = False
        self._armed_ns: int | None = None
        self._is_linked = False
        self._link = 0
        self._venue_last_at_ns = [0, 0]
        self.on_the_link = 0
        """Messages between engine and venue that have not arrived."""
        self._restart_is_due = False

    # ---- the process ----

    def start(self) -> None:
        """The operator starts the engine; on a disk that does not take it, again and again."""
        self._restart_is_due = False
        if self.engine is not None:
            return
        self.is_machine_up = True
        self.incarnation += 1
        self.failed_at_ns = None
        settings = self._settings
        try:
            self.engine = native.Engine(
                self.disk,
                now_ns=self.now_ns(),
                durability=settings.durability,
                venue=self.venue,
                segment_bytes=settings.segment_bytes,
                update_history=settings.update_history,
                max_parked_outputs=settings.max_parked_outputs,
                bugs=sorted(self._bugs),
            )
        except native.EngineDied:
            self._trace.note("engine_died_starting")
            self._after_death(machine=self.dies_with_machine)
            return
        except native.OpenError as problem:
            self._trace.note("engine_refused_to_start", str(problem))
            if self.room_bytes is None and not self.disk_may_fail:
                self.problems.append(f"the engine does not start: {problem}")
            self._replace_disk(self.disk.kill())
            self._start_later(50.0)
            return
        recovered = self.engine.recovered
        about = f"epoch {self.engine.epoch}, {recovered['records']} records, {recovered['cut_bytes']} bytes cut"
        self._trace.note("engine_started", about)
        if recovered["cut_bytes"]:
            self._trace.count("torn_tail_cut")
        self.snapshots.started(self.engine)
        self.leases.engine_started()
        self._connect_venue()
        self.later(_TURN_NS, self._turn)

    def kill(self, down_ms: float) -> None:
        """SIGKILL."""
        if self.engine is not None:
            self._trace.note("engine_killed")
            self._death(machine=False, down_ms=down_ms)

    def crash_machine(self, down_ms: float) -> None:
        """The power goes."""
        if self.is_machine_up:
            self._trace.note("machine_crashed", "engine up" if self.engine else "engine down")
            self._death(machine=True, down_ms=down_ms)

    def drain(self, drain_ms: float, down_ms: float) -> None:
        """SIGTERM: an end in order."""
        engine = self.engine
        if engine is None or self.failed_at_ns is not None:
            return
        self._trace.note("engine_drains")
        self.with_engine(lambda engine: engine.begin_drain(self.now_ns()))
        self.turn_soon()
        self.later(int(drain_ms * MS), self._close, down_ms)

    def _close(self, down_ms: float) -> None:
        engine = self.engine
        if engine is None:
            return
        try:
            self.with_engine(lambda engine: engine.close(self.now_ns()))
            self._dispatch_outputs(engine)
        except RuntimeError:
            if not self.disk_may_fail:
                raise
        if self.engine is None:
            return
        self._death(machine=False, down_ms=down_ms)

    def _died(self) -> None:
        """A disk operation was the process's last."""
        self._trace.note("engine_died_writing", "machine" if self.dies_with_machine else "process")
        self._death(machine=self.dies_with_machine, down_ms=self.dies_for_ms)

    def _death(self, *, machine: bool, down_ms: float) -> None:
        self.engine = None
        self._turn_is_due = False
        self._armed_ns = None
        self._is_linked = False
        self._link += 1
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.engine_died(silently=machine)
        if self.venue is not None:
            self.venue.disconnected()
        self._after_death(machine=machine, down_ms=down_ms)

    def _after_death(self, *, machine: bool, down_ms: float = 50.0) -> None:
        if machine and self._settings.durability == "os":
            self.regressions_allowed = True
        self._replace_disk(self.disk.crash() if machine else self.disk.kill())
        self.is_machine_up = self.is_machine_up and not machine
        self._start_later(down_ms)

    def _start_later(self, after_ms: float) -> None:
        if not self._restart_is_due:
            self._restart_is_due = True
            self.later(int(after_ms * MS), self.start, whoever=True)

    @property
    def is_listening(self) -> bool:
        return self.engine is not None

    # ---- the disk ----

    def _replace_disk(self, disk: native.Disk) -> None:
        """As the next process finds it."""
        self.disk = disk
        self.disk_may_fail = False
        if self.room_bytes is not None:
            disk.set_capacity(disk.used_bytes + self.room_bytes)

    def set_room(self, room_bytes: int | None) -> None:
        """So many bytes are left on the disk; None: as many as anybody wants."""
        self.room_bytes = room_bytes
        self.disk.set_capacity(None if room_bytes is None else self.disk.used_bytes + room_bytes)

    # ---- connections ----

    def accepted(self, connection: Connection) -> None:
        """A client's connection stands."""

        def connect(engine: native.Engine) -> int:
            return engine.connect(connection.path, connection.session_id, self.now_ns())

        number = self.with_engine(connect)
        if number is not None and self.engine is not None:
            connection.engine_number = number
            connection.identity = (self.engine.journal_id, self.engine.epoch)
            self._connections[number] = connection

    def gone(self, connection: Connection) -> None:
        """A client's connection is over."""
        number = connection.engine_number
        if number is not None:
            connection.engine_number = None
            self._connections.pop(number, None)
            self.leases.gone(connection)
            self.with_engine(lambda engine: engine.disconnect(number, self.now_ns()))
            self.turn_soon()

    def arrived(self, connection: Connection, item: Item) -> None:
        """A message of a client, or a PING, which the engine answers whatever else it does."""
        number = connection.engine_number
        if self.engine is None or number is None:
            return
        if item is Mark.PING:
            connection.send_to_client(Mark.PONG)
        elif isinstance(item, bytes):
            self._trace.note("taken", str(connection), item)
            self.leases.spoke(connection)
            self.with_engine(lambda engine: engine.receive(number, item, self.now_ns()))
            self.turn_soon()
            self.network.springs(Point.TAKEN, connection)

    # ---- turns ----

    def turn_soon(self) -> None:
        """A turn ends shortly."""
        if not self._turn_is_due and self.engine is not None:
            self._turn_is_due = True
            self.later(_TURN_NS, self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        if self.with_engine(lambda engine: engine.end_turn(self.now_ns())):
            self.later(self._sync_takes_ns(), self._synced)
        self._dispatch()

    def _synced(self) -> None:
        if self.with_engine(lambda engine: engine.sync_done(self.now_ns())):
            self.later(self._sync_takes_ns(), self._synced)
        self._dispatch()

    def _sync_takes_ns(self) -> int:
        return int(self.sync_ns * (0.5 + self._chance.random()))

    def _on_time(self) -> None:
        self._armed_ns = None
        self.with_engine(lambda engine: engine.on_time(self.now_ns()))
        self.turn_soon()
        self._arm()

    def _dispatch(self) -> None:
        """Brings out what may leave, and minds what the engine says of itself."""
        engine = self.engine
        if engine is None:
            return
        self._dispatch_outputs(engine)
        if self.engine is engine:
            self._send_to_venue(engine)
            self._arm()
            self.leases.look()
            if engine.failed is not None and self.failed_at_ns is None:
                self.failed_at_ns = self._loop.clock.now_ns
                self._trace.note("journal_failed", engine.failed)
                self.later(int(self.restart_after_failure_ms * MS), self.kill, 20.0)

    def _dispatch_outputs(self, engine: native.Engine) -> None:
        for number, message in engine.take_outputs():
            connection = self._connections.get(number)
            if connection is None or self.engine is not engine:
                continue
            if message is None:
                self._connections.pop(number, None)
                self.leases.gone(connection)
                connection.close_by_engine()
            else:
                connection.send_to_client(message)

    def _arm(self) -> None:
        engine = self.engine
        deadline_ns = engine.next_deadline_ns() if engine is not None else None
        if deadline_ns is None or (self._armed_ns is not None and self._armed_ns <= deadline_ns):
            return
        self._armed_ns = deadline_ns
        self.later(max(deadline_ns - self.now_ns(), 0), self._on_time)

    # ---- the external venue ----

    @property
    def is_reconciled(self) -> bool:
        """Whether engine and venue have told each other all there is."""
        return self.venue is None or (self._is_linked and not self.on_the_link)

    def _connect_venue(self) -> None:
        if self.venue is None or self.engine is None or self._is_linked:
            return
        if not self.is_venue_reachable:
            self.later(_VENUE_BACKOFF_NS, self._connect_venue)
            return
        self._is_linked = True
        self.with_engine(lambda engine: engine.venue_connected(self.now_ns()))
        self.turn_soon()

    def cut_venue(self) -> None:
        """The link is gone: what is under way to the engine is lost, what is under way to the venue may arrive."""
        if self.venue is None or not self._is_linked:
            return
        self._is_linked = False
        self._link += 1
        self.venue.disconnected()
        self.with_engine(lambda engine: engine.venue_disconnected())
        if self.engine is not None:
            self.later(_VENUE_BACKOFF_NS, self._connect_venue)

    def market_moves(self, symbol: str, bid: tuple[str, str] | None, ask: tuple[str, str] | None) -> None:
        """A quote at the external venue."""
        if self.venue is not None:
            self.venue.quote(symbol, bid, ask)
            self._take_from_venue()

    def _send_to_venue(self, engine: native.Engine) -> None:
        if self.venue is None:
            return
        for message in engine.venue_out():
            self._trace.note("to_venue", "", message)
            self.on_the_link += 1
            self._loop.at_ns(self._venue_at_ns(0), self._at_venue, message)

    def _at_venue(self, message: bytes) -> None:
        assert self.venue is not None
        self.on_the_link -= 1
        self.venue.receive(message)
        self._take_from_venue()

    def _take_from_venue(self) -> None:
        assert self.venue is not None
        for message in self.venue.take_out():
            self.on_the_link += 1
            self._loop.at_ns(self._venue_at_ns(1), self._from_venue, self._link, message)

    def _from_venue(self, link: int, message: bytes) -> None:
        self.on_the_link -= 1
        if link != self._link or self.engine is None:
            return
        self._trace.note("from_venue", "", message)
        taken = self.with_engine(lambda engine: engine.venue_in(message, self.now_ns()))
        if taken is False:
            self.cut_venue()
        self.turn_soon()

    def _venue_at_ns(self, way: int) -> int:
        latency_ns = int((_VENUE_LATENCY_NS + self.venue_extra_ns) * (0.5 + self._chance.random()))
        at_ns = max(self._loop.clock.now_ns + latency_ns, self._venue_last_at_ns[way] + 100)
        self._venue_last_at_ns[way] = at_ns
        return at_ns

    # ---- inside ----

    def now_ns(self) -> int:
        """What the engine's clock says."""
        return self._loop.clock.engine_time_ns()

    def with_engine(self, act: Callable[[native.Engine], ResultT]) -> ResultT | None:
        """Does something with the engine, which may be its last."""
        engine = self.engine
        if engine is None:
            return None
        try:
            return act(engine)
        except native.EngineDied:
            self._died()
            return None

    def later(self, after_ns: int, act: Callable[..., Any], *args: Any, whoever: bool = False) -> None:
        """Acts after a while, if this process of the engine is still there then (`whoever`: in any case)."""
        incarnation = self.incarnation

        def now() -> None:
            if whoever or (incarnation == self.incarnation and self.engine is not None):
                act(*args)

        self._loop.at_ns(self._loop.clock.now_ns + after_ns, now)

    def trapped(self, trap: Trap, connection: Connection) -> None:
        """What a trap does to the engine's machine."""
        self.network.trace.count(f"trapped_{trap.effect.value}_{connection.path}")
