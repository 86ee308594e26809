"""Storms over the engine alone: nothing acknowledged is lost, doubled or changed; and planted bugs are found."""

from __future__ import annotations

import contextlib

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.engine_storm import run

SEEDS = 60
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_the_engine_keeps_its_promises_in_every_storm(part: int) -> None:
    storms = [run(seed) for seed in range(part, SEEDS, PARTS)]
    assert sum(storm.leases_expired for storm in storms) > 0
    assert sum(len(storm.fenced) for storm in storms) > 0


def test_a_storm_is_a_function_of_its_seed() -> None:
    def marks(seed: int) -> tuple[str, int, int]:
        storm = run(seed)
        return storm.disk.fingerprint(), storm.last_update, len(storm.orders)

    assert [marks(seed) for seed in range(6)] == [marks(seed) for seed in range(6)]


@pytest.mark.parametrize(
    "bug",
    [
        "reply_before_sync", "venue_send_before_durable", "dedup_lost_on_restart", "duplicate_executes_on_other_path",
        "venue_send_repeated_on_recovery", "query_does_not_fence", "ack_after_fsync_error", "acknowledged_record_cut",
        "update_lost_on_resume", "update_twice_on_resume",
    ],
)  # fmt: skip
def test_a_storm_finds_the_planted_bug_within_25_seeds(bug: str) -> None:
    for seed in range(25):
        with contextlib.suppress(AssertionError, native.OpenError):
            run(seed, {bug})
            continue
        return
    pytest.fail(f"{bug} was not found")
