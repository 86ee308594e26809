"""The fault plan: the same for a seed, another for another, and no target broken twice at once."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

from tests.chaos.plan import FaultKind, fault_plan

LANES = ("A.zmq", "A.grpc", "B.zmq", "B.grpc")
CLIENTS = ("bridge", "fast", "remote")


def plan(seed: int, span_ms: int = 60_000):
    return fault_plan(seed, span_ms, LANES, CLIENTS)


def test_the_plan_is_a_function_of_the_seed_alone() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_another_process_makes_the_same_plan() -> None:
    """Whatever its hash seed is."""
    program = f"from tests.chaos.plan import fault_plan; print(fault_plan(7, 60_000, {LANES!r}, {CLIENTS!r}))"
    made = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }  # fmt: skip
    assert made == {str(plan(7))}


def test_a_minute_sees_every_kind_of_fault() -> None:
    for seed in range(20):
        assert {fault.kind for fault in plan(seed)} == set(FaultKind)


def test_no_target_is_broken_twice_at_once_and_all_is_healed_within_the_span() -> None:
    for seed in range(20):
        faults = plan(seed)
        for target in {fault.target for fault in faults}:
            for first, then in pairwise(fault for fault in faults if fault.target == target):
                assert first.at_ms + first.lasts_ms < then.at_ms
        assert all(fault.at_ms > 0 and fault.at_ms + fault.lasts_ms <= 60_000 for fault in faults)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short = plan(3, 30_000)
    assert set(short) - set(plan(3, 90_000)) == set()
