"""Rows and runs that touch no engine, for tests of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.context import Context
from bench.interleave import Measured
from bench.machine import Machine
from bench.rows.row import Effort, Facts, Group, Opened, Row
from bench.run import Run

EFFORT = Effort(rounds=4, calls=3, lead_in_calls=2, warm_up_calls=7)
GROUP = Group("a-group", "A group", EFFORT, EFFORT, reference="floor")
FACTS = Facts("os", "content", 336, 352)
MACHINE = Machine("cpu", 2, 1.0, "6", "3.11", "unknown", hypervisor=True, load_1min=0.0, busy_share=0.0)


def opening(
    log: list[tuple[str, int]], name: str, *, takes_ns: int = 1000, fails_after: int = 10**9
) -> Callable[[Context], AbstractContextManager[Opened]]:
    """A row that writes down when it was called, and how often; its calls take `takes_ns` each."""

    @contextmanager
    def opened(_: Context) -> Generator[Opened]:
        def timed(calls: int) -> list[int]:
            log.append((name, calls))
            if len([each for each in log if each[0] == name]) > fails_after:
                raise ConnectionResetError("gone")
            return [takes_ns + number for number in range(calls)]

        yield Opened(timed, FACTS)
        log.append((name, -1))

    return opened


def measured(
    name: str, *, facts: Facts = FACTS, group: str = GROUP.name, rounds_ns: list[list[int]] | None = None
) -> Measured:
    """A row that was measured as `EFFORT` says."""
    row = Row(name, group, opening([], name))
    rounds_ns = [[1000] * EFFORT.calls] * EFFORT.rounds if rounds_ns is None else rounds_ns
    return Measured(row, facts, False, EFFORT.warm_up_calls, EFFORT.lead_in_calls, rounds_ns)


def run_of(rows: list[Measured]) -> Run:
    """A run with these rows measured."""
    run = Run(Context(Path("/nowhere")), MACHINE, [each.row for each in rows], on_turn=lambda *_: None)
    run.measured.update({f"{each.row.group}/{each.row.name}": each for each in rows})
    return run
