"""`python -m tests.chaos --minutes M --seed N` (`make soak`): a long run and its report; 0 if all is good."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.report import Figures, figures_of, write_report
from tests.chaos.run import RunResult, RunSettings, run
from tests.chaos.world import FULL_CAST, SHORT_CAST

_SEEDS = 1_000_000
_SHOWN = 20


def main(arguments: list[str] | None = None) -> int:
    """Runs as told; 1 where anything differs."""
    told = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    seed = random.SystemRandom().randrange(_SEEDS) if told.seed is None else told.seed
    durability = told.durability or ("always", "os")[seed % 2]
    cast = SHORT_CAST if told.few else FULL_CAST
    pause_ms = (2 * told.pause_ms * 0.1, 2 * told.pause_ms * 0.9)
    settings = RunSettings(seed, int(told.minutes * 60_000), durability, cast, pause_ms)
    folder = told.out / f"seed-{seed}"
    evidence = folder / "run"
    shutil.rmtree(evidence, ignore_errors=True)
    evidence.mkdir(parents=True)
    console = Console(stderr=True)
    console.print(f"chaos: seed {seed}, {told.minutes} minutes, {len(settings.plan)} faults, durability {durability}")
    result = _run(settings, evidence, console)
    figures = figures_of(result)
    report, why_not = write_report(result, figures, folder)
    _print(console, figures, report, why_not)
    if figures.is_good and not told.keep:
        shutil.rmtree(evidence)
    else:
        console.print(f"journal, ledgers and logs: {evidence}")
    totals = " ".join(f"{name}={count}" for name, count in figures.totals.items())
    print(f"soak: seed={seed} orders={figures.orders} {totals} {'ok' if figures.is_good else 'FAILED'}")
    return 0 if figures.is_good else 1


def _end(signal_number: int, _: FrameType | None) -> None:
    """As Ctrl-C does: no process is left behind."""
    sys.exit(128 + signal_number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of faults; what is before and after comes on top")
    parser.add_argument("--seed", type=int, help="makes plan and orders; default: drawn, and printed")
    parser.add_argument("--durability", choices=("always", "os"), help="default: by the seed")
    parser.add_argument("--out", type=Path, default=Path("build") / "chaos", help="where reports go")
    parser.add_argument("--pause-ms", type=float, default=30.0, help="mean pause between two calls of one hand")
    parser.add_argument("--few", action="store_true", help="five clients instead of all")
    parser.add_argument("--keep", action="store_true", help="keep journal and ledgers of a good run too")
    return parser


def _run(settings: RunSettings, folder: Path, console: Console) -> RunResult:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        TextColumn("{task.fields[sent]} orders sent, {task.fields[replied]} answered"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("chaos", total=settings.span_ms, sent=0, replied=0)

        def progress(passed_ms: float, sent: int, replied: int) -> None:
            bar.update(task, completed=passed_ms, sent=sent, replied=replied)

        return run(settings, folder, progress)


def _print(console: Console, figures: Figures, report: Path, why_not: str) -> None:
    for kind, count in figures.faults.items():
        console.print(f"  {count:>5} {kind}")
    if figures.recovery_of_all is not None:
        of_all = figures.recovery_of_all
        console.print(f"recovery of {of_all.samples}: p50 {of_all.p50_ms:.1f} ms, p99 {of_all.p99_ms:.1f} ms")
    for memory in figures.memory:
        console.print(f"memory {memory.process}: {memory.start_mib:.0f} MiB at start, {memory.end_mib:.0f} at the end")
    for difference in figures.differences[:_SHOWN]:
        console.print(difference, style="red", markup=False)
    console.print(f"report: {report}" + (f" (no plots: {why_not})" if why_not else ""))


if __name__ == "__main__":
    sys.exit(main())
