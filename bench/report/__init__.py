"""What a run leaves behind: tables on the terminal, JSON, Markdown and plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.defects import all_defects
from bench.noise import noise_of
from bench.report.tables import all_tables, targets_table
from bench.report.terminal import as_text
from bench.run import Run
from bench.targets import evaluate_all


def write_report(run: Run, out: str) -> list[str]:
    """Writes the run's files into the folder `out` (if it is given); returns the lines for the terminal."""
    outcomes = evaluate_all(run.term)
    defects = all_defects(run)
    noise = noise_of(run)
    run.machine.warnings += noise
    if out:
        # Only here: the tables need no matplotlib.
        from bench.report.figures import plots_of  # noqa: PLC0415
        from bench.report.markdown import as_document  # noqa: PLC0415

        plots = plots_of(run)
        written: dict[str, Any] = run.as_json()
        written |= {"targets": [outcome.as_json() for outcome in outcomes], "defects": defects}
        files = {f"{run.context.profile}.json": json.dumps(written, indent=1) + "\n"}
        files[f"{run.context.profile}.md"] = as_document(run, outcomes, list(plots), defects)
        files |= {f"{run.context.profile}-{name}.svg": svg for name, svg in plots.items()}
        _write_all(Path(out), files)
    lines = as_text([*all_tables(run), targets_table(outcomes)])
    return [*lines, *(f"WARNING: {warning}" for warning in noise), *(f"!! DEFECT !! {defect}" for defect in defects)]


def _write_all(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
