"""A run is a pure function of its schedule: in this process, in another one, from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.simulation.explore import ROOT, judge, judge_seed
from tests.simulation.generate import schedule_of
from tests.simulation.schedule import Settings, load, save

_IN_ANOTHER_PROCESS = """
import sys
from tests.simulation.explore import judge_seed
print(*(judge_seed(int(seed)).digest for seed in sys.argv[1:]))
"""
SEEDS = (1, 2, 3, 5, 8, 13, 21, 34)


def _digests_elsewhere(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _IN_ANOTHER_PROCESS, *map(str, SEEDS)]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    return ran.stdout.split()


def test_the_same_seed_gives_the_same_run_again_and_in_other_processes() -> None:
    here = [judge_seed(seed).digest for seed in SEEDS]
    assert [judge_seed(seed).digest for seed in reversed(SEEDS)] == here[::-1]
    assert _digests_elsewhere("1") == here
    assert _digests_elsewhere("4242") == here


def test_different_seeds_give_different_runs() -> None:
    assert len({judge_seed(seed).digest for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_saved_schedule_is_the_same_schedule_and_the_same_run(seed: int, tmp_path: Path) -> None:
    schedule = schedule_of(seed)
    save(schedule, tmp_path / "saved.json")
    again = load(tmp_path / "saved.json")
    assert again == schedule
    assert judge(again).digest == judge(schedule).digest


def test_a_schedule_that_was_saved_before_has_none_of_what_came_since() -> None:
    # Of settings that a schedule does not name, the value is that of the runs before there was such a thing.
    settings = msgspec.json.decode(b'{"seed": 7, "outbox": false}', type=Settings)
    assert (settings.lease_ms, settings.reconciles, settings.subscribes) == (None, False, True)
    assert settings == Settings(seed=7, outbox=False)


def test_the_clocks_and_the_chance_of_the_process_are_given_back() -> None:
    import random
    import time

    state, monotonic_ns = random.getstate(), time.monotonic_ns
    judge_seed(1)
    assert random.getstate() == state
    assert time.monotonic_ns is monotonic_ns
