"""2,000 seeded schedules, and that what they are said to contain really happens in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.explore import Verdict, judge_seed, shrink_and_save, total, words
from tests.simulation.generate import LEAST_FAULTS, LEAST_ORDERS, schedule_of
from tests.simulation.schedule import Effect, Point

SEEDS = 2_000
SEEDS_PER_CASE = 25


def _fails_with(verdict: Verdict) -> str:
    saved: Path = shrink_and_save(schedule_of(verdict.seed), verdict)
    return words(verdict, saved)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_CASE))
def test_everything_holds_under_every_schedule(first: int) -> None:
    verdicts = [judge_seed(seed) for seed in range(first, first + SEEDS_PER_CASE)]
    for verdict in verdicts:
        assert verdict.orders >= LEAST_ORDERS and verdict.faults >= LEAST_FAULTS
    failing = [verdict for verdict in verdicts if not verdict.is_good]
    assert not failing, "\n".join(_fails_with(verdict) for verdict in failing[:2])


@pytest.mark.timeout(300)
def test_the_faults_really_happen() -> None:
    counts = total([judge_seed(seed) for seed in range(60)])
    expected = {f"cut_{point.value}_{path}" for point in Point for path in ("zmq", "grpc")}
    expected |= {f"trap_{effect.value}" for effect in Effect}
    expected |= {f"fault_{name}_{path}" for name in ("cut", "delay") for path in ("zmq", "grpc")}
    expected |= {f"fault_silence_{kind}_{path}" for kind in ("both", "one_way") for path in ("zmq", "grpc")}
    expected |= {"fault_kill_engine", "fault_crash_machine", "fault_die_after_machine", "fault_die_after_process"}
    expected |= {"fault_drain_engine", "fault_slow_disk", "fault_full_disk", "fault_fail_sync", "fault_fail_write"}
    expected |= {"fault_engine_clock", "fault_client_clock", "fault_kill_client", "fault_cut_venue", "fault_slow_venue"}
    expected |= {"engine_died_writing", "torn_tail_cut", "journal_failed", "client_killed", "machine_crashed"}
    expected |= {"replied_zmq", "replied_grpc", "path_down", "path_up", "duplicate_reply", "resolved", "to_venue"}
    expected |= {"snapshot_made", "started_from_snapshot", "segments_archived", "died_in_a_snapshot"}
    expected |= {"lease_looked_at", "code_TRADING_HALTED", "code_OPEN_ORDERS_LIMIT", "code_ORDER_QUANTITY_LIMIT"}
    expected |= {"code_ORDER_NOTIONAL_LIMIT", "code_POSITION_LIMIT", "code_PRICE_COLLAR", "code_RATE_LIMIT"}
    expected |= {"reconciled", "difference_MissedFill", "difference_MissedClose", "difference_UnknownToClient"}
    assert sorted(expected - set(counts)) == []
