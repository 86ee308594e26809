"""The run behind the tests: rows take their turns first, and pytest-benchmark is told each row's rounds from tape."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.context import Context
from bench.interleave import Measured
from bench.machine import BusyMachineError, CpuTimes, cpu_times, look_at_machine
from bench.registry import rows as declared_rows
from bench.report import write_report
from bench.rows.row import Group, Row
from bench.run import Run

ROOT = Path(__file__).resolve().parents[1]
_RUN = pytest.StashKey[Run]()
_CPU = pytest.StashKey[CpuTimes]()
_REPORTED = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `make bench`."""
    group = parser.getgroup("bench")
    group.addoption("--bench-full", action="store_true", help="the long form")
    group.addoption("--bench-out", default="", help="folder of JSON, Markdown and plots; without it nothing is written")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row and for each section."""
    if "row" in metafunc.fixturenames:
        rows = declared_rows()
        metafunc.parametrize("row", rows, ids=[f"{row.group}/{row.name}" for row in rows])


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """The run, with the rows that this session has collected."""
    config = request.config
    # Not pytest's folder: paths of Unix sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        machine = look_at_machine(folder, must_be_quiet=os.environ.get("BENCH_QUIET") == "1")
    except BusyMachineError as busy:
        folder.rmdir()
        pytest.exit(str(busy), returncode=3)
    config.stash[_CPU] = cpu_times()
    for warning in machine.warnings:
        _say(f"WARNING: {warning}")
    context = Context(folder, "full" if config.getoption("--bench-full") else "short", _say)
    chosen = _rows_of(request.session.items)
    one = Run(context, machine, chosen, on_turn=_show_turn)
    config.stash[_RUN] = one
    yield one
    context.close()
    shutil.rmtree(folder, ignore_errors=True)
    _finish(one, cpu_times().since(config.stash[_CPU])[1])
    out = str(config.getoption("--bench-out") or "")
    if out and _CALLED[0] < len(request.session.items):
        _say(f"ended early: nothing is written to {out}")
        out = ""
    config.stash[_REPORTED] = write_report(one, out)


_CALLED = [0]
"""Tests that were run so far: a run that ends early must not overwrite a whole one."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts tests."""
    _CALLED[0] += report.when == "call"


def _finish(one: Run, steal_share: float) -> None:
    one.machine.steal_share = round(steal_share, 4)
    one.machine.duration_s = round(time.monotonic() - one.context.started_s, 1)
    one.machine.commit = _commit()
    one.machine.finished = datetime.now(UTC).isoformat(timespec="seconds")


def _commit() -> str:
    """Of the tree; with a mark where it has changes that are not committed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _rows_of(items: Sequence[pytest.Item]) -> list[Row]:
    specs: list[Any] = [getattr(item, "callspec", None) for item in items]
    return [spec.params["row"] for spec in specs if spec is not None and "row" in spec.params]


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Callable[[Measured], None]:
    """Hands the rounds of a row to pytest-benchmark: its clock reads them from tape.

    Each round counts the sum of the calls' own times; lead-in, the building of orders and the checks of replies
    between two calls are in no figure.
    """

    def play(measured: Measured) -> None:
        tape = list(itertools.chain.from_iterable((0.0, sum(one) / 1e9) for one in measured.rounds_ns))
        request.node.add_marker(pytest.mark.benchmark(timer=iter(tape).__next__, group=measured.row.group))
        benchmark: Any = request.getfixturevalue("benchmark")
        calls = len(measured.rounds_ns[0]) * measured.row.orders_per_call
        benchmark.pedantic(_replayed, rounds=len(measured.rounds_ns), iterations=calls)
        told = [sum(one) / 1e9 / calls for one in measured.rounds_ns]
        assert benchmark.stats.stats.data == pytest.approx(told), "pytest-benchmark has read another tape"
        benchmark.extra_info.update(measured.samples.as_json())

    return play


def _replayed() -> None:
    """What pytest-benchmark calls while it reads the tape; the row's own calls were made before."""


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _show_turn(group: Group, done: int, of: int) -> None:
    """A bar that moves on a terminal; elsewhere a line for every quarter."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // of)
        ending = "\n" if done == of else ""
        print(f"\rbench: {group.name:16} [{bar:30}] round {done}/{of}", end=ending, file=sys.stderr, flush=True)
    elif 4 * done // of > 4 * (done - 1) // of:
        _say(f"{group.name}: round {done} of {of}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The tables of the report, after pytest-benchmark's own."""
    if _REPORTED in config.stash:
        for line in config.stash[_REPORTED]:
            terminalreporter.write_line(line)
