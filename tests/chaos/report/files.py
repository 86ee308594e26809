"""Writes a run's report: Markdown for people, JSON for programs, plots where matplotlib is installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.report.figures import Figures
from tests.chaos.report.plots import write_plots
from tests.chaos.run import RunResult

_MOST_DIFFERENCES = 200


def write_report(result: RunResult, figures: Figures, folder: Path) -> tuple[Path, str]:
    """Writes into `folder`; where the report is, and what kept the plots from being drawn (empty: nothing)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(dataclasses.asdict(figures), indent=2) + "\n")
    (folder / "timeline.json").write_text(json.dumps(_timeline(result), indent=1) + "\n")
    plots, why_not = write_plots(result, folder)
    report = folder / "report.md"
    report.write_text(markdown(figures, plots, why_not))
    return report, why_not


def markdown(figures: Figures, plots: Sequence[str] = (), why_not: str = "") -> str:
    """The whole report."""
    verdict = "good" if figures.is_good else "NOT GOOD"
    totals = " ".join(f"{name}={count}" for name, count in figures.totals.items())
    parts = [
        f"# Chaos, seed {figures.seed}: {verdict}",
        f"{figures.minutes:.1f} minutes of faults, durability `{figures.durability}`, {figures.took_s:.0f} s in all; "
        f"**{totals}**",
        f"{figures.orders} orders in {figures.calls} calls; {figures.journal_orders} orders in the journal; "
        f"{figures.duplicates_answered} replies from memory; {figures.updates} updates delivered.",
        "## Faults",
        _table(("kind", "times"), figures.faults.items()),
        f"A full disk was refused with BUSY {figures.full_disks} times; {figures.full_disks_that_failed} of the full "
        "disks were failed ones to the engine.",
        "## Recovery, from the fault to the next completed order (ms)",
        _table(
            ("client", "fault", "samples", "p50", "p99", "worst"),
            (
                (one.client, one.fault, one.samples, f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.worst_ms:.1f}")
                for one in [*([figures.recovery_of_all] if figures.recovery_of_all else []), *figures.recovery]
            ),
        ),
        "## Memory (MiB resident)",
        _table(
            ("process", "start", "end", "most"),
            ((m.process, f"{m.start_mib:.1f}", f"{m.end_mib:.1f}", f"{m.most_mib:.1f}") for m in figures.memory),
        ),
        "## How calls ended",
        _table(
            ("client", "lives", "calls"),
            (
                (name, figures.client_lives[name], ", ".join(f"{how}: {n}" for how, n in sorted(ends.items())))
                for name, ends in figures.ends.items()
            ),
        ),
        "## Differences",
        _differences(figures.differences),
        *([f"![{plot}]({plot})" for plot in plots] or [f"No plots: {why_not}"]),
    ]
    return "\n\n".join(parts) + "\n"


def _timeline(result: RunResult) -> list[dict[str, Any]]:
    """Every fault as it came to pass; the clock is the ledgers'."""
    return [
        dataclasses.asdict(one.fault) | {"began_ns": one.began_ns, "healed_ns": one.healed_ns}
        for one in result.happened
    ]


def _differences(differences: Sequence[str]) -> str:
    if not differences:
        return "None."
    shown = [f"- {one}" for one in differences[:_MOST_DIFFERENCES]]
    left_out = len(differences) - len(shown)
    return "\n".join(shown + ([f"- and {left_out} more"] if left_out else []))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])
