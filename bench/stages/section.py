"""One order at a time with a clock at every seam: tcp and ipc with durability `os`, and tcp with `always`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from bench.engines import SPIN_US, BenchEngine, start_engine
from bench.orders import fresh_orders, read_fields
from bench.report import plots
from bench.rows.row import Durability
from bench.samples import percentile
from bench.sections import Section, SectionResult
from bench.stages.breakdown import (
    STAGES,
    read_engine_stamps,
    stage_percentiles,
    stages_of,
    typical,
)
from bench.stages.seam_client import ClientStamps, SeamClient
from transport import BlockingFastPathClient, Order

if TYPE_CHECKING:
    from bench.context import Context

ROUNDS, ROUNDS_FULL = 20, 100
CALLS, LEAD_IN_CALLS = 150, 20
"""Of each client in its turn; the lead-in does not count."""
FIRST_CORRELATION = 1_000_000_000
"""Of the first way; each further way begins as much higher."""
_COLOURS = ("#7fb8e6", "#3b6fb6", "#d0d3d6", "#b7e0c4", "#8fd0a4", "#2a9d5c", "#e08e0b", "#63b983", "#1f7a47",
            "#9aa0a6", "#24508f")  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way to the engine."""

    name: str
    transport: str
    durability: Durability


WAYS = (
    Way("tcp, os", "tcp", "os"),
    Way("ipc, os", "ipc", "os"),
    Way("tcp, always", "tcp", "always"),
)


@dataclass(frozen=True)
class Found:
    """What came of one way."""

    way: Way
    orders: list[tuple[int, ...]]
    """Stages of each order."""
    whole_ns: list[int]
    """What the product's client took for an order, in turns with the other."""

    @property
    def typical_us(self) -> list[float]:
        """Stages that add up to the median order."""
        return [value / 1e3 for value in typical(self.orders)]

    @property
    def whole_p50_us(self) -> float:
        """Median of the product's own client."""
        return percentile(sorted(self.whole_ns), 50) / 1e3


def run(context: Context) -> SectionResult:
    """Measures all ways."""
    rounds = ROUNDS_FULL if context.is_full else ROUNDS
    found = [_measure(context, way, number, rounds) for number, way in enumerate(WAYS)]
    return SectionResult(
        data={one.way.name: _json(one) for one in found},
        markdown=_markdown(found),
        plots={"stages": _plot(found)},
        figures=_figures(found),
    )


def _measure(context: Context, way: Way, number: int, rounds: int) -> Found:
    context.say(f"stages: {way.name}")
    name = f"stages-{way.transport}-{way.durability}"
    stamps_file = context.folder / f"{name}.jsonl"
    first = FIRST_CORRELATION * (number + 1)
    arguments = ("--stage-times", str(stamps_file))
    with start_engine(context.folder / name, way.durability, SPIN_US, arguments) as engine:
        stamps, whole_ns = _take_turns(engine, way, first, rounds)
    # The engine writes what it has seen when it ends.
    with stamps_file.open() as lines:
        seen = read_engine_stamps(lines)
    orders = [stages_of(one, seen[correlation]) for correlation, one in stamps.items() if correlation in seen]
    return Found(way, orders, whole_ns)


def _take_turns(
    engine: BenchEngine, way: Way, first_correlation: int, rounds: int
) -> tuple[dict[int, ClientStamps], list[int]]:
    """Stamps by correlation number, and what the product's client took, round by round in turns."""
    config = engine.config(way.transport, carrier="native", spin_us=SPIN_US)
    seams = SeamClient(config.zmq_endpoint, SPIN_US, first_correlation)
    stamps: dict[int, ClientStamps] = {}
    whole_ns: list[int] = []
    with closing(seams), BlockingFastPathClient(config) as product:
        seams.connect()
        # The first round warms up.
        for _ in range(rounds + 1):
            stamps_of_round = dict(seams.execute(order) for order in fresh_orders(LEAD_IN_CALLS + CALLS))
            whole_of_round = [_whole(product, order) for order in fresh_orders(LEAD_IN_CALLS + CALLS)]
            stamps |= dict(list(stamps_of_round.items())[LEAD_IN_CALLS:])
            whole_ns += whole_of_round[LEAD_IN_CALLS:]
    for correlation in list(stamps)[:CALLS]:
        del stamps[correlation]
    return stamps, whole_ns[CALLS:]


def _whole(product: BlockingFastPathClient, order: Order) -> int:
    began = time.monotonic_ns()
    read_fields(product.execute_order(order))
    return time.monotonic_ns() - began


def _json(one: Found) -> dict[str, Any]:
    columns = {
        "typical_us": one.typical_us,
        "p50_us": [value / 1e3 for value in stage_percentiles(one.orders, 50)],
        "p99_us": [value / 1e3 for value in stage_percentiles(one.orders, 99)],
    }
    stages = {
        stage: {name: round(values[place], 3) for name, values in columns.items()} for place, stage in enumerate(STAGES)
    }
    return {"orders": len(one.orders), "stages": stages, "whole_p50_us": round(one.whole_p50_us, 3)}


def _figures(found: Sequence[Found]) -> dict[str, float]:
    return {
        f"stages.{one.way.transport}-{one.way.durability}.{_plain(stage)}_us": value
        for one in found
        for stage, value in zip(STAGES, one.typical_us, strict=True)
    }


def _plain(stage: str) -> str:
    """A stage's name as part of a figure's."""
    return "-".join(stage.replace(":", "").replace(",", "").split())


def _markdown(found: Sequence[Found]) -> str:
    lines = [
        "Both ends spin and read one clock (CLOCK_MONOTONIC). A column is the mean of the tenth of the orders whose "
        "total lies about the median: its stages add up to the whole. p99 is of each stage by itself. Microseconds.",
        "",
        "| stage | " + " | ".join(f"{one.way.name} | p99" for one in found) + " |",
        "| --- |" + " ---: |" * (2 * len(found)),
    ]
    tails = [[value / 1e3 for value in stage_percentiles(one.orders, 99)] for one in found]
    for place, stage in enumerate(STAGES):
        cells = [f"{one.typical_us[place]:.2f} | {tail[place]:.2f}" for one, tail in zip(found, tails, strict=True)]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    lines.append("| **whole** | " + " | ".join(f"**{sum(one.typical_us):.2f}** | " for one in found) + " |")
    shown = ", ".join(f"{one.whole_p50_us:.2f} ({one.way.name})" for one in found)
    lines += [
        "",
        "The clocks and the steps between them cost something themselves: the product's client, which does all of its "
        f"part in one native call, took in turns with this one, p50: {shown}.",
    ]
    return "\n".join(lines) + "\n"


def _plot(found: Sequence[Found]) -> str:
    figure = Figure(figsize=(8, 1.6 + 0.5 * len(found)))
    axes: Any = figure.subplots()
    places = list(range(len(found)))
    left = [0.0] * len(found)
    for place, stage in enumerate(STAGES):
        widths = [one.typical_us[place] for one in found]
        axes.barh(places, widths, left=left, color=_COLOURS[place], label=stage, height=0.6)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(places, [one.way.name for one in found])
    axes.invert_yaxis()
    axes.set_axisbelow(True)
    axes.set_xlabel("microseconds")
    axes.set_title("Where the time of one order goes (median order)", loc="left", fontsize=10)
    axes.legend(fontsize=6, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.35))
    return plots.svg_of(figure)


SECTION = Section(name="stages", title="Where the time goes", run=run)
