"""Runs the sweeps and says what they came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from bench.growth import stall_section
from bench.growth.idle import Idle, idle
from bench.growth.starts import Starts
from bench.growth.sweep import Swept
from bench.growth.sweeps import connections, open_orders, remembered
from bench.report import plots
from bench.sections import Section, SectionResult

if TYPE_CHECKING:
    from bench.context import Context


@dataclass(frozen=True)
class Points:
    """Which numbers are tried."""

    remembered: tuple[int, ...]
    connections: tuple[int, ...]
    open_orders: tuple[int, ...]
    idle_s: float


SHORT = Points((1_000, 1_000_000), (1, 1_000), (100, 100_000), idle_s=3.0)
FULL = Points(
    (1_000, 10_000, 100_000, 1_000_000),
    (1, 10, 100, 1_000),
    (100, 1_000, 10_000, 100_000, 1_000_000),
    idle_s=15.0,
)

TITLES = {"remembered": "orders remembered", "connections": "connections", "open_orders": "open orders in the book"}


def run(context: Context) -> SectionResult:
    """Measures all sweeps."""
    points = FULL if context.is_full else SHORT
    idles = idle(context, points.idle_s)
    swept = {
        "connections": connections(context, points.connections),
        "open_orders": open_orders(context, points.open_orders),
    }
    swept["remembered"], starts = remembered(context, points.remembered)
    stall = stall_section.stalls(context)
    return SectionResult(
        data={
            **{name: one.as_json() for name, one in swept.items()},
            "idle": [asdict(one) for one in idles],
            "starts": starts.as_json(),
            "stalls": stall.as_json(),
        },
        markdown="\n".join([_markdown(swept, idles), _start_lines(starts), stall_section.markdown(stall)]) + "\n",
        plots={"growth": _plot(swept), "growth-stalls": stall_section.plot(stall)},
        figures={
            **_figures(swept, idles),
            **stall.figures,
            "growth.remembered.restart_s": starts.from_snapshot.seconds,
        },
        defects=stall.defects,
    )


def _figures(swept: Mapping[str, Swept], idles: Sequence[Idle]) -> dict[str, float]:
    figures = {f"growth.{name}.ratio": one.ratio for name, one in swept.items()}
    for name, one in swept.items():
        figures |= {f"growth.{name}.{what}": value for what, value in one.more.items()}
    for spin_us in {one.spin_us for one in idles}:
        # The busier of the two: an engine is idle with a client's PINGs, too.
        percent = max(one.percent for one in idles if one.spin_us == spin_us)
        figures[f"growth.idle_spin_{spin_us}.cpu_percent"] = percent
    return figures


def _markdown(swept: Mapping[str, Swept], idles: Sequence[Idle]) -> str:
    lines = [
        "One order at a time, native client, both ends spinning, durability `os`; the engines of a table take turns in "
        "one run and differ in that one number alone. Microseconds.",
    ]
    for name, one in swept.items():
        lines += ["", f"| {TITLES[name]} | p50 | p99 |", "| ---: | ---: | ---: |"]
        lines += [f"| {count:,} | {found.us(50):,.1f} | {found.us(99):,.1f} |" for count, found in one.samples.items()]
        lines += ["", f"p50 at the most over p50 at the fewest: {one.ratio:.2f}."]
    open_bytes = swept["open_orders"].more["bytes_per_order"]
    lines += [
        "",
        "| what | cost |",
        "| --- | ---: |",
        f"| memory of a remembered order | {swept['remembered'].more['bytes_per_order']:,.0f} bytes |",
        f"| memory of an open order | {open_bytes:,.0f} bytes |",
        f"| memory of an idle connection | {swept['connections'].more['bytes_per_connection']:,.0f} bytes |",
    ]
    lines += [
        f"| idle engine, `--spin-us {one.spin_us}`, {one.client} | {one.percent:.3f} % of a core |" for one in idles
    ]
    lines += ["", "Memory is the engine's own (`RssAnon`), without the kernel's socket buffers and the page cache."]
    return "\n".join(lines) + "\n"


def _start_lines(found: Starts) -> str:
    return "\n".join([*stall_section.start_table([("all of them over", found)]), ""])


def _plot(swept: Mapping[str, Swept]) -> str:
    figure = Figure(figsize=(8, 3.2))
    axes: Any = figure.subplots()
    for name, one in swept.items():
        counts = sorted(one.samples)
        axes.plot(counts, [one.samples[count].us(50) for count in counts], marker="o", label=TITLES[name])
    axes.set_xscale("log")
    axes.set_ylim(0, 1.2 * max(found.us(50) for one in swept.values() for found in one.samples.values()))
    axes.set_xlabel("how many")
    axes.set_ylabel("p50 of one order, microseconds")
    axes.set_title("What an order takes as things grow", loc="left", fontsize=10)
    axes.legend(fontsize=7)
    return plots.svg_of(figure)


SECTION = Section(name="growth", title="Growth", run=run)
