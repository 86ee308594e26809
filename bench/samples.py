"""Arithmetic of latencies: percentiles of all samples of a row, and the spread of its rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

CURVE: tuple[float, ...] = (0.01, 0.1, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100)
"""Percentiles that are written down of every row."""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` % of the sorted values do not exceed (nearest rank; no invented ones).

    Raises `ValueError` for no values, or a percentage outside 0 to 100.
    """
    if not ordered:
        raise ValueError("no values have no percentile")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentage")
    # Rounded first: 99.9 % of 1,000 is 999, and in floating point a little more.
    rank = max(math.ceil(round(len(ordered) * percent / 100, 9)), 1)
    return ordered[rank - 1]


@dataclass(frozen=True)
class Samples:
    """What the calls of one row took, in ns, by round."""

    rounds_ns: Sequence[Sequence[int]]
    orders_per_call: int = 1

    @cached_property
    def ordered_ns(self) -> list[int]:
        """All calls of all rounds, sorted."""
        return sorted(taken for one in self.rounds_ns for taken in one)

    def us(self, percent: float) -> float:
        """A percentile, in microseconds per order."""
        return percentile(self.ordered_ns, percent) / self.orders_per_call / 1e3

    def can_say(self, percent: float) -> bool:
        """Whether there are calls enough: at least one beyond the percentile. Else it would only be the largest."""
        return percent == 100 or round(len(self.ordered_ns) * (100 - percent), 6) >= 100

    @property
    def orders_per_s(self) -> float:
        """By the median call."""
        return 1e6 / self.us(50)

    @cached_property
    def round_medians_us(self) -> list[float]:
        """The median of each round, in microseconds per order: how the machine's weather moved this row."""
        return [median(one) / self.orders_per_call / 1e3 for one in self.rounds_ns]

    def as_json(self) -> dict[str, Any]:
        """Everything that is written down of a row's times."""
        return {
            "calls": len(self.ordered_ns),
            "orders_per_call": self.orders_per_call,
            "us_per_order": {f"p{percent:g}": round(self.us(percent), 3) for percent in CURVE if self.can_say(percent)},
            "orders_per_s": round(self.orders_per_s, 1),
            "round_medians_us": [round(value, 3) for value in self.round_medians_us],
        }


def paired_ratio_spread(over: Samples, under: Samples) -> tuple[float, float]:
    """Quartiles of the ratio of medians, round by round: both rows of a round had the same weather.

    Raises `ValueError` where the rows did not take the same number of rounds (then they were not interleaved).
    """
    pairs = list(zip(over.round_medians_us, under.round_medians_us, strict=True))
    ratios = sorted(above / below for above, below in pairs)
    return percentile(ratios, 25), percentile(ratios, 75)
