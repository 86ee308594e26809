"""What a run leaves behind: tables on the terminal, JSON, Markdown and plots."""

from __future__ import annotations

import json
from pathlib import Path

from bench.run import Run


def write_report(run: Run, out: str) -> list[str]:
    """Writes the run's files into the folder `out` (if it is given); returns the lines for the terminal."""
    if out:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{run.context.profile}.json").write_text(json.dumps(run.as_json(), indent=1) + "\n")
    return [
        f"{key:40} {one.samples.us(50):9.2f} {one.samples.us(99):9.2f} {one.samples.us(99.9):9.2f}"
        for key, one in run.measured.items()
        if one.failure is None
    ]
