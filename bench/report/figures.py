"""Which plots a run has."""

from __future__ import annotations

from bench import registry
from bench.report.plots import BLUE, GREEN, GREY, ORANGE, Bar, bars, curves
from bench.rows.row import Group
from bench.run import Run
from bench.samples import CURVE, Samples

_CURVES = ("floor-tcp-spin", "native-spin", "native-block", "native-uvloop", "pyzmq", "grpc-sync", "grpc-aio")


def plots_of(run: Run) -> dict[str, str]:
    """SVG by name: bars of every group's medians, and latencies by percentile where orders go one at a time."""
    made: dict[str, str] = {}
    for group in registry.groups().values():
        rows = _bars(run, group)
        if not rows:
            continue
        label = "us per order, p50 (line: to p99)"
        made[group.name] = bars(group.title, label, rows, logarithmic=_wide(rows))
        if lines := _lines(run, group):
            made[f"{group.name}-percentiles"] = curves(f"{group.title}: latency by percentile", "us", lines)
    for name, result in run.sections.items():
        made |= {f"{name}-{plot}" if not plot.startswith(name) else plot: svg for plot, svg in result.plots.items()}
    return made


def _bars(run: Run, group: Group) -> list[Bar]:
    found = [one for one in run.measured.values() if one.row.group == group.name and one.failure is None]
    return [
        Bar(one.row.name, one.samples.us(50), _p99(one.samples), _colour(one.row.name))
        for one in sorted(found, key=lambda one: one.samples.us(50))
    ]


def _p99(samples: Samples) -> float | None:
    return samples.us(99) if samples.can_say(99) else None


def _colour(name: str) -> str:
    if name.startswith(("floor", "socket", "disk", "tonic")):
        return GREY
    if name.startswith("native"):
        return GREEN
    return ORANGE if name.startswith(("grpc", "protobuf")) else BLUE


def _wide(rows: list[Bar]) -> bool:
    """Where the slowest is more than thirty times the fastest, a linear axis shows only the slowest."""
    return rows[-1].p50 > 30 * rows[0].p50


def _lines(run: Run, group: Group) -> list[tuple[str, list[float], list[float]]]:
    found = [(name, run.samples(f"{group.name}/{name}")) for name in _CURVES]
    there = [(name, one, [percent for percent in CURVE if one.can_say(percent)]) for name, one in found if one]
    return [(name, percents, [one.us(percent) for percent in percents]) for name, one, percents in there]
