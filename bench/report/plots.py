"""Plots as SVG: small, without text as paths, and the same bytes for the same figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "execution-bridge",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "x",
        "grid.alpha": 0.3,
    }
)

from matplotlib.figure import Figure  # noqa: E402 (the backend is chosen first)

GREEN, GREY, BLUE, ORANGE = "#2a9d5c", "#9aa0a6", "#3b6fb6", "#e08e0b"


@dataclass(frozen=True)
class Bar:
    """One bar of a plot of rows: its median, and how far the 99th percentile lies beyond it."""

    name: str
    p50: float
    p99: float | None = None
    colour: str = BLUE


def svg_of(figure: Figure) -> str:
    """The figure as SVG text, without a date."""
    out = io.StringIO()
    untyped: Any = figure
    untyped.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def bars(title: str, label: str, rows: Sequence[Bar], *, logarithmic: bool = False) -> str:
    """Horizontal bars, the first row on top; a thin line from the median to the 99th percentile."""
    figure = Figure(figsize=(8, 0.9 + 0.32 * len(rows)))
    axes: Any = figure.subplots()
    places = list(range(len(rows)))
    axes.barh(places, [row.p50 for row in rows], color=[row.colour for row in rows], height=0.62)
    for place, row in zip(places, rows, strict=True):
        if row.p99 is not None:
            axes.plot([row.p50, row.p99], [place, place], color="black", linewidth=0.8)
            axes.plot([row.p99], [place], marker="|", color="black", markersize=5)
        axes.annotate(f" {row.p50:,.3g}", (row.p50, place), va="bottom", fontsize=7)
    axes.set_yticks(places, [row.name for row in rows])
    axes.invert_yaxis()
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(left=10 ** floor(log10(min(row.p50 for row in rows))))
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.set_title(title, loc="left", fontsize=10)
    return svg_of(figure)


def curves(title: str, label: str, lines: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    """Latency by percentile: (name, percentiles, values) of each row, the percentiles on a scale of nines."""
    figure = Figure(figsize=(8, 4))
    axes: Any = figure.subplots()
    for name, percents, values in lines:
        # The largest value stands at the right edge, one step beyond the last percentile.
        places = [1 / max(1 - percent / 100, 1e-5) for percent in percents]
        axes.plot(places, values, label=name, linewidth=1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    marks = (0, 50, 90, 99, 99.9, 99.99)
    axes.set_xticks([1 / (1 - mark / 100) for mark in marks], [f"{mark:g} %" for mark in marks])
    axes.set_ylabel(label)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(fontsize=7)
    return svg_of(figure)
