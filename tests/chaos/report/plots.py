"""Plots of a run: completed orders over time with the faults, recovery by kind of fault, memory of each process."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.chaos.plan import ENGINE
from tests.chaos.report.figures import MIB, recoveries_ms
from tests.chaos.run import RunResult

_BIN_NS = 250_000_000


def write_plots(result: RunResult, folder: Path) -> tuple[list[str], str]:
    """The names of the files written, or none and why."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError as missing:
        return [], f"{missing.name} is not installed (it is in the bench extra: make bench-build)"
    plots = {"orders.png": _orders, "recovery.png": _recovery, "memory.png": _memory}
    for name, draw in plots.items():
        figure, axes = pyplot.subplots(figsize=(11, 4.5), layout="constrained")
        draw(result, axes)
        figure.savefig(folder / name, dpi=110)  # pyright: ignore[reportUnknownMemberType]
        pyplot.close(figure)
    return list(plots), ""


def _orders(result: RunResult, axes: Any) -> None:
    """How many orders each client completed, per second."""
    assert result.books is not None
    began_ns = min((one.began_ns for one in result.happened), default=0)
    for name, book in result.books.clients.items():
        bins = Counter((call.replied_ns - began_ns) // _BIN_NS for call in book.order_calls() if call.replied_ns)
        if len(bins) > 1:
            span = range(min(bins), max(bins) + 1)
            per_s = 1e9 / _BIN_NS
            axes.plot([number / per_s for number in span], [bins[number] * per_s for number in span], label=name, lw=1)
    for one in result.happened:
        if one.fault.target == ENGINE:
            axes.axvspan((one.began_ns - began_ns) / 1e9, (one.healed_ns - began_ns) / 1e9, color="red", alpha=0.12)
    axes.set(xlabel="seconds since the first fault (red: the engine was broken)", ylabel="order calls completed per s")
    axes.legend(fontsize="small")


def _recovery(result: RunResult, axes: Any) -> None:
    """Every single recovery, by kind."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for _, kind, took_ms in recoveries_ms(result):
        by_kind[kind].append(took_ms)
    kinds = sorted(by_kind)
    for number, kind in enumerate(kinds):
        axes.scatter(by_kind[kind], [number] * len(by_kind[kind]), s=9, alpha=0.6)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set(xscale="log", xlabel="ms from the fault to the next completed order, each client")
    axes.grid(axis="x", alpha=0.3)


def _memory(result: RunResult, axes: Any) -> None:
    """Resident memory over time."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in result.memory:
        for process, rss in sample.rss_bytes.items():
            if rss:
                series[process].append((sample.at_s, rss / MIB))
    for process, points in sorted(series.items()):
        axes.plot(*zip(*points, strict=True), label=process, lw=1)
    axes.set(xlabel="seconds", ylabel="MiB resident")
    axes.legend(fontsize="small")
