"""One run from its start to its findings: trade under faults, heal, resolve, end in order, compare all books."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from examples.rig.engine_process import EngineFailedError
from tests.chaos.checker import Books, Difference, DifferenceKind, check
from tests.chaos.client_process import ClientFailedError, ClientProcess, rss_bytes
from tests.chaos.faults import EngineDiedError, Happened, Saboteur
from tests.chaos.plan import Fault, fault_plan
from tests.chaos.world import FULL_CAST, LANES, PATHS, Cast, World
from transport import ExecutionBridgeError

CONNECT_DEADLINE_S = 60.0
RESOLVE_DEADLINE_S = 60.0
DRAIN_DEADLINE_S = 60.0
_SAMPLE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run is made from. The same settings make the same plan."""

    seed: int
    span_ms: int
    durability: str = "always"
    cast: tuple[Cast, ...] = FULL_CAST
    pause_ms: tuple[float, float] = (5.0, 60.0)

    @property
    def plan(self) -> tuple[Fault, ...]:
        """The faults to come."""
        lanes = [f"{lane}.{path}" for lane in LANES for path in PATHS]
        return fault_plan(self.seed, self.span_ms, lanes, [one.name for one in self.cast])


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Resident bytes of each process at one moment."""

    at_s: float
    rss_bytes: dict[str, int]


@dataclass
class RunResult:
    """What came of it."""

    settings: RunSettings
    happened: Sequence[Happened] = ()
    books: Books | None = None
    differences: list[Difference] = field(default_factory=list[Difference])
    memory: list[MemorySample] = field(default_factory=list[MemorySample])
    took_s: float = 0.0
    full_disks: int = 0
    """Times that the engine said that the disk was full."""
    restarts_after_full_disk: int = 0


Progress = Callable[[float, int, int], None]
"""Told often: milliseconds of the plan that have passed, orders sent, orders replied to."""


def _silent(passed_ms: float, sent: int, replied: int) -> None:
    """Nobody wants to know."""


def run(settings: RunSettings, folder: Path, progress: Progress = _silent) -> RunResult:
    """Carries a run out in an empty folder, where journal, ledgers and logs stay."""
    began = time.monotonic()
    result = RunResult(settings)
    with World(folder, settings.seed, settings.durability, settings.cast, settings.pause_ms) as world:
        conductor = _Conductor(world, settings, result, progress)
        try:
            conductor.conduct()
        except ClientFailedError as failure:
            result.differences.append(Difference(DifferenceKind.CLIENT_FAILED, "run", str(failure)))
        except (EngineDiedError, EngineFailedError, ExecutionBridgeError) as failure:
            result.differences.append(Difference(DifferenceKind.ENGINE_FAILED, "run", str(failure)))
    # The processes are gone, however the run went; what they wrote is there.
    result.books = Books.read(world.ledgers, world.engine, conductor.last_sequence)
    result.differences += check(result.books)
    result.took_s = time.monotonic() - began
    return result


class _Conductor:
    """The phases of one run."""

    def __init__(self, world: World, settings: RunSettings, result: RunResult, progress: Progress) -> None:
        self._world, self._settings, self._result, self._progress = world, settings, result, progress
        self._began = time.monotonic()
        self._sampled = 0.0
        self._pause = threading.Event().wait
        self.last_sequence = 0

    def conduct(self) -> None:
        clients = list(self._world.clients.values())
        self._told(clients, "connected", CONNECT_DEADLINE_S)
        self._result.memory.clear()  # what processes have before they have begun says nothing
        self._sample_memory()
        saboteur = Saboteur(self._world, self._settings.plan)
        self._result.happened = saboteur.happened
        saboteur.run(self._meanwhile, self._pause)
        self._result.full_disks = saboteur.full_disks
        self._result.restarts_after_full_disk = saboteur.restarts_after_full_disk
        self._world.heal()
        self._wind_down(clients)
        self._sample_memory()
        self._end(clients, saboteur)

    def _wind_down(self, clients: list[ClientProcess]) -> None:
        for client in clients:
            client.tell("wind down")
        self._told(clients, "resolved", RESOLVE_DEADLINE_S)
        self.last_sequence, left = self._world.observer.last_words()
        for order_id in left:
            self._differ(DifferenceKind.OPEN_AFTER_CANCEL_ALL, "engine", order_id)
        for client in clients:
            client.tell("drain", sequence=self.last_sequence)
        self._told(clients, "drained", DRAIN_DEADLINE_S)

    def _end(self, clients: list[ClientProcess], saboteur: Saboteur) -> None:
        for client in clients:
            if (code := client.end()) != 0:
                self._differ(DifferenceKind.CLIENT_FAILED, client.name, f"exited {code}")
        codes = [*saboteur.exit_codes, self._world.engine.stop()]
        if any(codes):
            self._differ(DifferenceKind.ENGINE_FAILED, "engine", f"ended by SIGTERM it exited {codes}")

    def _told(self, clients: list[ClientProcess], said: str, deadline_s: float) -> None:
        for client in clients:
            client.wait_until_it_says(said, deadline_s, lambda: self._meanwhile(self._settings.span_ms))

    def _meanwhile(self, passed_ms: float) -> None:
        for client in self._world.clients.values():
            if client.ended_by_itself is not None:
                raise ClientFailedError(f"client {client.name} exited {client.ended_by_itself}: see {client.log_file}")
        if time.monotonic() - self._sampled > _SAMPLE_EVERY_S:
            self._sample_memory()
            counts = [(one.counts, one.earlier_counts) for one in self._world.clients.values()]
            sent, replied = (sum(c.get(name, 0) for pair in counts for c in pair) for name in ("sent", "replied"))
            self._progress(passed_ms, sent, replied)

    def _sample_memory(self) -> None:
        self._sampled = time.monotonic()
        pids = {name: client.pid for name, client in self._world.clients.items() if client.is_running}
        if self._world.engine.is_running:
            pids["engine"] = self._world.engine.pid
        rss = {name: rss_bytes(pid) for name, pid in pids.items()}
        self._result.memory.append(MemorySample(self._sampled - self._began, rss))

    def _differ(self, kind: DifferenceKind, where: str, what: str) -> None:
        self._result.differences.append(Difference(kind, where, what))
