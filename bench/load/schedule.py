"""When orders are to leave: a Poisson process, as the arrivals of many independent decisions are."""

from __future__ import annotations

import random

SEED = 20_240_610
NS_PER_S = 1_000_000_000


def arrivals_ns(per_s: float, count: int, seed: int = SEED) -> list[int]:
    """`count` instants in ns from the start, never decreasing, `per_s` a second on average; the same in every run.

    Raises `ValueError` for a rate that is not above 0.
    """
    if not per_s > 0:
        raise ValueError(f"{per_s} orders a second never leave")
    draw, at_ns, found = random.Random(seed), 0.0, list[int]()
    for _ in range(count):
        at_ns += draw.expovariate(per_s) * NS_PER_S
        found.append(int(at_ns))
    return found


def count_for(per_s: float, least_s: float, most_s: float, samples: int) -> int:
    """How many orders to send: `samples`, but for no shorter and no longer than the times given."""
    return int(min(max(samples, per_s * least_s), per_s * most_s)) or 1
