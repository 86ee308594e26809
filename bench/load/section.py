"""Each client at 10, 50 and 80 % of its own capacity: percentiles, and whether it kept up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from hdrh.histogram import HdrHistogram  # pyright: ignore[reportMissingTypeStubs]

from bench.load.drive import Driven
from bench.load.schedule import NS_PER_S, arrivals_ns, count_for
from bench.load.subjects import SUBJECTS, Subject
from bench.report import plots
from bench.sections import Section, SectionResult

if TYPE_CHECKING:
    from bench.context import Context

SHARES = (10, 50, 80)
"""Per cent of the client's own capacity."""
PERCENTILES = (50, 90, 99, 99.9)
CURVE = (0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)
LARGEST_NS = 60_000_000_000
SIGNIFICANT_DIGITS = 3
KEPT_UP = 0.95
"""A client that completes less than this share of the rate asked for was overloaded: its latencies grow for ever."""
CAPACITY_RUNS = 3


@dataclass(frozen=True)
class Amounts:
    """How much is measured."""

    capacity_orders: int
    least_s: float
    most_s: float
    samples: int


SHORT = Amounts(capacity_orders=2_000, least_s=1.0, most_s=4.0, samples=10_000)
FULL = Amounts(capacity_orders=10_000, least_s=10.0, most_s=30.0, samples=100_000)


@dataclass(frozen=True)
class Measured:
    """One client at one share of its capacity."""

    subject: str
    share: int
    asked_per_s: float
    per_s: float
    histogram: Any

    @property
    def kept_up(self) -> bool:
        """Whether the figures are those of a load that could go on for ever."""
        return self.per_s >= KEPT_UP * self.asked_per_s

    def us(self, percent: float) -> float:
        """A percentile in microseconds."""
        return self.histogram.get_value_at_percentile(percent) / 1e3

    def as_json(self) -> dict[str, Any]:
        """All of it; `histogram` is HdrHistogram's own compressed form."""
        return {
            "subject": self.subject,
            "share_percent": self.share,
            "asked_per_s": round(self.asked_per_s, 1),
            "per_s": round(self.per_s, 1),
            "kept_up": self.kept_up,
            "orders": self.histogram.get_total_count(),
            "us": {f"p{percent:g}": round(self.us(percent), 3) for percent in (*PERCENTILES, 100)},
            "histogram": self.histogram.encode().decode("ascii"),
        }


def histogram_of(latencies_ns: Sequence[int]) -> Any:
    """The latencies as an HdrHistogram of three significant digits; what exceeds a minute counts as a minute."""
    untyped: Any = HdrHistogram
    found = untyped(1, LARGEST_NS, SIGNIFICANT_DIGITS)
    for latency_ns in latencies_ns:
        found.record_value(min(max(latency_ns, 1), LARGEST_NS))
    return found


def run(context: Context) -> SectionResult:
    """Measures every client, one after the other."""
    amounts = FULL if context.is_full else SHORT
    capacities: dict[str, float] = {}
    measured: list[Measured] = []
    for subject in SUBJECTS:
        capacities[subject.name], found = _measure(context, subject, amounts)
        measured += found
    return SectionResult(
        data={"capacity_per_s": capacities, "rows": [one.as_json() for one in measured]},
        markdown=_markdown(capacities, measured),
        plots=_plots(measured),
        figures={
            f"load.{one.subject.replace(' ', '-')}.{one.share}.p{percent:g}_us": one.us(percent)
            for one in measured
            for percent in PERCENTILES
        },
    )


def _measure(context: Context, subject: Subject, amounts: Amounts) -> tuple[float, list[Measured]]:
    with subject.open(context) as client:
        client.capacity(amounts.capacity_orders)  # warms up
        capacity = median(client.capacity(amounts.capacity_orders) for _ in range(CAPACITY_RUNS))
        found: list[Measured] = []
        for share in SHARES:
            rate = capacity * share / 100
            context.say(f"load: {subject.name} at {share} % of {capacity:,.0f} orders a second")
            count = count_for(rate, amounts.least_s, amounts.most_s, amounts.samples)
            starts_ns = arrivals_ns(rate, count)
            driven: Driven = client.drive(starts_ns)
            asked = count * NS_PER_S / starts_ns[-1]
            found.append(Measured(subject.name, share, asked, driven.per_s, histogram_of(driven.latencies_ns)))
    return capacity, found


def _markdown(capacities: dict[str, float], measured: Sequence[Measured]) -> str:
    lines = [
        "Orders leave on a Poisson schedule that waits for nobody. The clock of an order starts when it was to leave, "
        "so that an order held up behind a slow one counts as slow itself (no coordinated omission). One durability "
        "(`os`), each client at shares of its own capacity; asyncio clients run on uvloop. Microseconds.",
        "",
        "| client | load | orders/s | orders | p50 | p90 | p99 | p99.9 | largest |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in measured:
        values = " | ".join(f"{one.us(percent):,.0f}" for percent in (*PERCENTILES, 100))
        late = "" if one.kept_up else " (did not keep up)"
        count = one.histogram.get_total_count()
        lines.append(f"| {one.subject} | {one.share} %{late} | {one.per_s:,.0f} | {count:,} | {values} |")
    shown = ", ".join(f"{name} {per_s:,.0f}" for name, per_s in capacities.items())
    lines += ["", f"Capacities, orders a second: {shown} (blocking: one after the other; asyncio: 64 in flight)."]
    return "\n".join(lines) + "\n"


def _plots(measured: Sequence[Measured]) -> dict[str, str]:
    return {
        f"load-{share}": plots.curves(
            f"Latency at {share} % of each client's capacity",
            "microseconds",
            [
                (one.subject, CURVE, [max(one.us(percent), 0.1) for percent in CURVE])
                for one in measured
                if one.share == share
            ],
        )
        for share in SHARES
    }


SECTION = Section(name="load", title="Latency under load", run=run)
