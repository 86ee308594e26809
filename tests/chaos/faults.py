"""Carries out the faults of a plan on a world: each begins, each is healed, and when is written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.plan import ENGINE, Fault, FaultKind
from tests.chaos.world import SEGMENT_BYTES, World

_OFTEN_S = 0.05


class EngineDiedError(RuntimeError):
    """The engine ended though nobody ended it."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it came to pass; CLOCK_MONOTONIC, as in the ledgers."""

    fault: Fault
    began_ns: int
    healed_ns: int


class Saboteur:
    """Breaks and heals, in the order of the plan.

    Its clock stands still while it acts: a start of the engine takes its time, and moves all that follows back. So no
    target is broken again before it was healed, on a slow machine either.
    """

    def __init__(self, world: World, plan: Sequence[Fault]) -> None:
        self._world = world
        self.happened: list[Happened] = []
        self.exit_codes: list[int] = []
        """Of engines that were ended by SIGTERM with a disk that worked."""
        self.full_disks = 0
        """How often the engine said that there was no room."""
        self.restarts_after_full_disk = 0
        """A segment that was made larger for a large reservation: a limit below its size fails it, as a broken disk."""
        steps = [(fault.at_ms, 1, number, fault) for number, fault in enumerate(plan)]
        steps += [(fault.at_ms + fault.lasts_ms, 2, number, fault) for number, fault in enumerate(plan)]
        self._steps = sorted(steps)

    def run(self, meanwhile: Callable[[float], None], pause: Callable[[float], object]) -> None:
        """Carries out the whole plan; `meanwhile` is called often with the milliseconds that have passed, `pause` waits
        some seconds.

        Raises:
            EngineDiedError: the engine ended by itself.
        """
        began = time.monotonic()
        began_ns: dict[int, int] = {}
        for at_ms, step, number, fault in self._steps:
            while (now_ms := (time.monotonic() - began) * 1000) < at_ms:
                meanwhile(now_ms)
                self._check_engine()
                pause(min(_OFTEN_S, (at_ms - now_ms) / 1000))
            acting = time.monotonic()
            if step == 1:
                began_ns[number] = time.monotonic_ns()
                self._begin(fault)
            else:
                self._heal(fault)
                self.happened.append(Happened(fault, began_ns[number], time.monotonic_ns()))
            began += time.monotonic() - acting

    def _begin(self, fault: Fault) -> None:
        if fault.target == ENGINE:
            self._begin_on_engine(fault.kind)
        elif fault.target in self._world.clients:
            client = self._world.clients[fault.target]
            if fault.kind is FaultKind.CLIENT_KILL:
                client.kill()
            else:
                client.pause()
        else:
            self._begin_on_path(fault)

    def _begin_on_engine(self, kind: FaultKind) -> None:
        engine = self._world.engine
        match kind:
            case FaultKind.ENGINE_KILL:
                engine.kill()
            case FaultKind.ENGINE_PAUSE:
                engine.pause()
            case FaultKind.ENGINE_STOP:
                self.exit_codes.append(engine.stop())
            case FaultKind.DISK_FULL:
                # A new segment has no room; those that have theirs are written on.
                engine.limit_file_bytes(SEGMENT_BYTES - 1)
                self.full_disks += self._world.observer.fill_the_disk()
            case _:
                engine.limit_file_bytes(1)

    def _begin_on_path(self, fault: Fault) -> None:
        proxy = self._world.proxies[fault.target]
        begin: dict[FaultKind, Callable[[], None]] = {
            FaultKind.LATENCY: lambda: proxy.delay(fault.strength, fault.strength / 2),
            FaultKind.DRIP: lambda: proxy.drip(fault.strength),
            FaultKind.LOSS: proxy.close_connections,
            FaultKind.RESET: proxy.reset_connections,
            FaultKind.REFUSE: proxy.refuse_connections,
            FaultKind.BLACKHOLE: proxy.blackhole,
            FaultKind.REQUESTS_LOST: proxy.withhold_requests,
            FaultKind.REPLIES_LOST: proxy.withhold_replies,
            FaultKind.ENGINE_SIDE_GONE: lambda: proxy.leave_half_open("client"),
            FaultKind.CLIENT_SIDE_GONE: lambda: proxy.leave_half_open("engine"),
        }
        begin[fault.kind]()

    def _heal(self, fault: Fault) -> None:
        engine = self._world.engine
        match fault.kind:
            case FaultKind.ENGINE_KILL | FaultKind.ENGINE_STOP:
                engine.start()
            case FaultKind.ENGINE_PAUSE:
                engine.resume()
            case FaultKind.DISK_FULL:
                engine.limit_file_bytes(None)
                if not self._world.observer.is_serving():
                    self.restarts_after_full_disk += 1
                    engine.stop()
                    engine.start()
            case FaultKind.DISK_FAILS:
                # Nothing but a new start helps an engine whose write failed; it says so as it ends.
                engine.limit_file_bytes(None)
                engine.stop()
                engine.start()
            case FaultKind.CLIENT_KILL:
                self._world.clients[fault.target].start()
            case FaultKind.CLIENT_PAUSE:
                self._world.clients[fault.target].resume()
            case _:
                self._world.proxies[fault.target].heal()

    def _check_engine(self) -> None:
        code = self._world.engine.exit_code
        if code is not None:
            raise EngineDiedError(f"the engine exited {code} by itself\n{self._world.engine.last_log_lines(40)}")
