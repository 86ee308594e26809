"""The engine's snapshots: made beside its work one disk operation at a time, and looked at when it starts from one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tests.simulation.clock import MS
from tests.simulation.history import Recovery
from tests.simulation.schedule import TakeSnapshot
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.simulation import _native_sim as native
    from tests.simulation.engine_host import EngineHost
else:
    native = importlib.import_module("tests.simulation._native_sim")


class SnapshotMaker:
    """What stands for the product's thread that makes snapshots."""

    def __init__(self, host: EngineHost, trace: Trace) -> None:
        self._host = host
        self._trace = trace
        self.recoveries: list[Recovery] = []

    def begin(self, action: TakeSnapshot) -> None:
        """Begins one, where there is something to put in and none is being made."""
        if self._host.with_engine(lambda engine: engine.begin_snapshot()):
            self._trace.note("snapshot_begun")
            self._next(action, 0)
        elif self._host.engine is not None:
            self._trace.note("no_snapshot_to_make")

    def _next(self, action: TakeSnapshot, operation: int) -> None:
        self._host.later(max(int(action.operation_ms * MS), 1), self._operate, action, operation)

    def _operate(self, action: TakeSnapshot, operation: int) -> None:
        host = self._host
        if operation == action.dies_in:
            host.dies_with_machine, host.dies_for_ms = action.machine, action.down_ms
            host.disk.die_after(0)
        engine, made = host.engine, host.with_engine(lambda engine: engine.step_snapshot())
        if host.engine is not engine:
            self._trace.count("died_in_a_snapshot")
        elif made is None:
            self._next(action, operation + 1)
        elif made["problem"] is None:
            self._trace.note("snapshot_made", f"at {made['seq']}, {made['archived_segments']} segments archived")
            if made["archived_segments"]:
                self._trace.count("segments_archived")
        else:
            self._trace.note("snapshot_not_made", made["problem"])

    def started(self, engine: native.Engine) -> None:
        """An engine has started: from a snapshot it must stand where all records lead to."""
        recovered = engine.recovered
        for problem in recovered["unusable_snapshots"]:
            self._trace.note("snapshot_unusable", problem)
        if not recovered["snapshot_seq"]:
            return
        self._trace.note("started_from_snapshot", str(recovered["snapshot_seq"]))
        state_hash = engine.health(self._host.now_ns())["state_hash"]
        try:
            replayed = native.verify(self._host.disk)
        except ValueError as problem:
            self.recoveries.append(Recovery(recovered["snapshot_seq"], 0, state_hash, "", str(problem)))
            return
        self.recoveries.append(
            Recovery(recovered["snapshot_seq"], replayed["first_seq"], state_hash, replayed["state_hash"], "")
        )
