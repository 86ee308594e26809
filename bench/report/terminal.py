"""Tables for a person at a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

import rich.table
from rich.console import Console

from bench.report.tables import Table

WIDTH = 150


def as_text(tables: Sequence[Table]) -> list[str]:
    """Lines of all tables."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, no_color=True, legacy_windows=False)
    for table in tables:
        drawn = rich.table.Table(title=table.title, title_justify="left", expand=False)
        for place, column in enumerate(table.columns):
            texts = place < table.left or column in ("notes", "verdict")
            drawn.add_column(column, justify="left" if texts else "right", overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    return out.getvalue().splitlines()
