"""Runs seeds and judges them; of one that fails, the shortest schedule that still does, saved to a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from tests.simulation.checker import Violation, check, summary
from tests.simulation.generate import schedule_of
from tests.simulation.planted import kit_with
from tests.simulation.schedule import Schedule, save
from tests.simulation.shrink import Shrinker
from tests.simulation.world import run

ROOT: Final = Path(__file__).resolve().parents[2]
SAVED_IN: Final = ROOT / "build" / "simulation"


class Verdict(msgspec.Struct, frozen=True):
    """What came of one seed."""

    seed: int
    orders: int
    faults: int
    digest: str
    virtual_ms: float
    counts: dict[str, int]
    violations: list[tuple[str, str]]

    @property
    def is_good(self) -> bool:
        """Everything held."""
        return not self.violations


def judge(schedule: Schedule, *, bugs: frozenset[str] = frozenset()) -> Verdict:
    """Runs a schedule and checks it; `bugs`: planted ones, of engine or client."""
    of_engine, kit = kit_with(bugs)
    over = run(schedule, bugs=of_engine, kit=kit)
    violations = [(violation.check, violation.what) for violation in check(over.history)]
    return Verdict(
        seed=schedule.settings.seed,
        orders=schedule.orders,
        faults=schedule.faults,
        digest=over.digest,
        virtual_ms=over.virtual_ms,
        counts=dict(over.counts),
        violations=violations,
    )


def judge_seed(seed: int) -> Verdict:
    """Runs the schedule of a seed and checks it."""
    return judge(schedule_of(seed))


def shrink_and_save(schedule: Schedule, verdict: Verdict, *, bugs: frozenset[str] = frozenset()) -> Path:
    """Where the short schedule is that fails as this one did."""
    wanted = {name for name, _ in verdict.violations}

    def fails(candidate: Schedule) -> bool:
        return any(name in wanted for name, _ in judge(candidate, bugs=bugs).violations)

    short = Shrinker(fails).shrink(schedule)
    path = SAVED_IN / f"seed-{verdict.seed}.json"
    save(short, path)
    return path


def words(verdict: Verdict, saved: Path | None = None) -> str:
    """A failing seed, for people: what does not hold, and how to see it again."""
    lines = [f"seed {verdict.seed} fails:"]
    lines += [f"  {line}" for line in summary([Violation(*each) for each in verdict.violations])]
    lines.append(f"  again: make simulate SEED={verdict.seed}")
    if saved is not None:
        lines.append(f"  short: make simulate SCHEDULE={saved.relative_to(ROOT)}")
    return "\n".join(lines)


def total(verdicts: list[Verdict]) -> Counter[str]:
    """Counts of all runs together."""
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.counts)
        counts["orders"] += verdict.orders
        counts["faults"] += verdict.faults
    return counts
