"""The simulator bites: each planted bug, of the engine and of the client, is found within a stated number of seeds."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.explore import judge
from tests.simulation.generate import schedule_of
from tests.simulation.planted import CLIENT_BUGS

WITHIN_SEEDS: Final[dict[str, int]] = {
    "ack_after_fsync_error": 150,
    "gap_not_told": 60,
    "query_does_not_fence": 60,
    "reconciliation_begins_too_late": 60,
    "venue_send_before_durable": 60,
    "venue_send_repeated_on_recovery": 60,
}
"""Bugs that take more than the usual number of seeds: they show only in some settings, or after two faults."""
USUALLY_WITHIN_SEEDS: Final = 30


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", sorted({*native.BUGS, *CLIENT_BUGS}))
def test_each_planted_bug_is_found(bug: str) -> None:
    seeds = WITHIN_SEEDS.get(bug, USUALLY_WITHIN_SEEDS)
    assert any(not judge(schedule_of(seed), bugs=frozenset({bug})).is_good for seed in range(seeds)), (
        f"{bug} was not found within {seeds} seeds"
    )


def test_bugs_that_take_longer_are_bugs() -> None:
    assert set(WITHIN_SEEDS) <= {*native.BUGS, *CLIENT_BUGS}
