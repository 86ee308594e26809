"""`make simulate`: many seeds with a progress bar and a summary, one seed, or one saved schedule."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation.checker import check, summary
from tests.simulation.explore import Verdict, judge, judge_seed, shrink_and_save, total, words
from tests.simulation.generate import schedule_of
from tests.simulation.planted import kit_with
from tests.simulation.schedule import Schedule, load
from tests.simulation.world import run

_console = Console(highlight=False)


def main() -> int:
    """Exit code 1 where anything does not hold."""
    arguments = argparse.ArgumentParser(prog="make simulate")
    arguments.add_argument("--seed", type=int, help="the first seed; alone: this one, in full")
    arguments.add_argument("--runs", type=int, help="so many seeds")
    arguments.add_argument("--schedule", type=Path, help="a saved schedule")
    arguments.add_argument("--trace", action="store_true", help="print everything that happens (one run)")
    arguments.add_argument("--bug", action="append", default=[], help="plant a bug (planted.py, _native_sim.BUGS)")
    given = arguments.parse_args()
    bugs = frozenset(given.bug)
    if given.schedule is not None:
        return _one(load(given.schedule), bugs, trace=given.trace, shrink=False)
    if given.seed is not None and given.runs is None:
        return _one(schedule_of(given.seed), bugs, trace=given.trace, shrink=True)
    first = given.seed if given.seed is not None else int(time.time()) % 1_000_000 * 1_000
    return _many(first, given.runs or 500)


def _one(schedule: Schedule, bugs: frozenset[str], *, trace: bool, shrink: bool) -> int:
    of_engine, kit = kit_with(bugs)
    over = run(schedule, bugs=of_engine, kit=kit, keep_trace=trace)
    for line in over.lines:
        print(line)
    _print_counts(over.counts)
    violations = check(over.history)
    _console.print(
        f"{schedule.orders} orders, {len(schedule.actions)} actions, {schedule.faults} faults, "
        f"{over.virtual_ms:.0f} ms of virtual time; trace {over.digest}"
    )
    if not violations:
        _console.print("everything held")
        return 0
    for line in summary(violations, most=30):
        _console.print(f"[red]{line}[/red]", markup=True)
    if shrink:
        path = shrink_and_save(schedule, judge(schedule, bugs=bugs), bugs=bugs)
        _console.print(f"short schedule: make simulate SCHEDULE={path}")
    return 1


def _many(first: int, count: int) -> int:
    seeds = range(first, first + count)
    verdicts: list[Verdict] = []
    began_s = time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[failing]} failing"),
    )  # fmt: skip
    workers = max(min(os.cpu_count() or 1, 8), 1)
    with ProcessPoolExecutor(workers) as pool, Progress(*columns, console=_console) as progress:
        bar = progress.add_task(f"seeds {first} to {seeds[-1]}", total=count, failing=0)
        failing = 0
        for verdict in pool.map(judge_seed, seeds, chunksize=4):
            verdicts.append(verdict)
            failing += not verdict.is_good
            progress.update(bar, advance=1, failing=failing)
    _print_counts(total(verdicts))
    _console.print(f"{count} runs in {time.monotonic() - began_s:.0f} s, {failing} failing")
    for verdict in [verdict for verdict in verdicts if not verdict.is_good][:5]:
        saved = shrink_and_save(schedule_of(verdict.seed), verdict)
        print(words(verdict, saved))
    return 1 if failing else 0


def _print_counts(counts: Counter[str]) -> None:
    table = Table("what happened", "times", box=None)
    for name, times in sorted(counts.items()):
        table.add_row(name, str(times))
    _console.print(table)


if __name__ == "__main__":
    sys.exit(main())
