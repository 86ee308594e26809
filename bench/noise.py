"""How quiet a run was, by what it measured itself."""

from __future__ import annotations

import math

from bench.run import Run

TWICE_AT_MOST = 1.10
"""How far two medians of one thing may lie apart in a run that means something."""

_SPINNING, _AGAIN, _ASLEEP = (
    f"one-tcp-os/{row}@p50" for row in ("floor-tcp-spin", "floor-tcp-spin-again", "floor-tcp-block")
)


def noise_of(run: Run) -> list[str]:
    """Warnings for the head of the report; none where the rows for it were not measured."""
    spinning, again, asleep = (run.term(name) for name in (_SPINNING, _AGAIN, _ASLEEP))
    found: list[str] = []
    apart = max(spinning, again) / min(spinning, again)
    if not math.isnan(apart) and apart > TWICE_AT_MOST:
        found.append(f"one floor, measured twice, differs {apart:.2f}-fold: the ratios of this run mean little")
    if spinning > asleep:
        found.append("two ends that spin were slower than two that sleep: they had to share a core with others")
    return found
