"""A failing schedule becomes short, still fails as it did, and is saved so that it replays exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import explore
from tests.simulation.explore import judge, words
from tests.simulation.generate import schedule_of
from tests.simulation.schedule import Place, Schedule, load
from tests.simulation.shrink import Shrinker

BUG = frozenset({"expired_order_executed"})


def test_what_matters_stays_and_the_rest_goes() -> None:
    def placed(schedule: Schedule) -> list[int]:
        return [action.order.number for action in schedule.actions if isinstance(action, Place)]

    schedule = schedule_of(5)
    culprits = placed(schedule)[3], placed(schedule)[-7]
    short = Shrinker(lambda candidate: set(culprits) <= set(placed(candidate))).shrink(schedule)
    assert placed(short) == list(culprits)
    assert len(short.actions) == 2 and short.settings.venue == "embedded"


def test_it_stops_when_its_patience_ends() -> None:
    shrinker = Shrinker(lambda _schedule: False, most_runs=7)
    schedule = schedule_of(5)
    assert shrinker.shrink(schedule) == schedule
    assert shrinker.runs == 7


@pytest.mark.timeout(300)
def test_a_failing_seed_prints_itself_and_leaves_a_short_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "SAVED_IN", tmp_path)
    monkeypatch.setattr(explore, "ROOT", tmp_path)
    seed = next(seed for seed in range(30) if not judge(schedule_of(seed), bugs=BUG).is_good)
    verdict = judge(schedule_of(seed), bugs=BUG)
    saved = explore.shrink_and_save(schedule_of(seed), verdict, bugs=BUG)
    short = load(saved)
    assert len(short.actions) < len(schedule_of(seed).actions) / 10
    again = judge(short, bugs=BUG)
    assert {name for name, _ in again.violations} & {name for name, _ in verdict.violations}
    assert judge(short, bugs=BUG).digest == again.digest
    assert f"make simulate SEED={seed}" in words(verdict, saved) and saved.name in words(verdict, saved)
