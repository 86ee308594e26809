"""Snapshots in the simulator: beside an engine that goes on, and cut off at every operation of the disk."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Literal

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.checker import check
from tests.simulation.generate import schedule_of
from tests.simulation.native_desk import Desk, limit_order
from tests.simulation.schedule import TakeSnapshot
from tests.simulation.world import run

SEEDS_WITH_SNAPSHOTS = [
    seed for seed in range(60) if any(isinstance(action, TakeSnapshot) for action in schedule_of(seed).actions)
]


def opened() -> Desk:
    """An engine with two snapshots behind it, so that the next one archives."""
    talk = Desk(native.Disk(3), settings={"segment_bytes": 4_096})
    talk.snapshot()
    talk.snapshot()
    return talk


def begin(talk: Desk) -> list[str]:
    """Lets orders come until there is a snapshot to make; those that were answered."""
    connection, answered = talk.connect(), list[str]()
    while not talk.engine.begin_snapshot():
        answered.append(talk.ask(connection, limit_order(f"filler-{talk.correlation}")).reply.order_id)
    return answered


def operations() -> int:
    """How many steps one takes."""
    talk = opened()
    begin(talk)
    steps = 1
    while talk.engine.step_snapshot() is None:
        steps += 1
    return steps


def test_the_engine_goes_on_while_a_snapshot_is_made() -> None:
    talk = opened()
    begin(talk)
    connection, replies = talk.connect(), 0
    while talk.engine.step_snapshot() is None:
        replies += talk.ask(connection, limit_order(f"meanwhile-{replies}")).reply.order_id == f"meanwhile-{replies}"
    assert replies > 8
    before = talk.engine.health(talk.now_ns)["state_hash"]
    assert native.verify(talk.disk) == {**native.verify(talk.disk), "first_seq": 1, "state_hash": before}


def test_one_snapshot_is_made_at_a_time() -> None:
    talk = opened()
    begin(talk)
    assert not talk.engine.begin_snapshot()


@pytest.mark.parametrize("how", ["kill", "crash"])
def test_an_engine_that_dies_in_any_operation_of_a_snapshot_loses_nothing(how: Literal["kill", "crash"]) -> None:
    steps = operations()
    started_from: Counter[int] = Counter()
    for dies_in in range(steps):
        talk = opened()
        answered = begin(talk)
        for _ in range(dies_in):
            assert talk.engine.step_snapshot() is None
        talk.disk.die_after(0)
        with contextlib.suppress(native.EngineDied):
            talk.engine.step_snapshot()
        if not talk.disk.is_dead:  # the step changed nothing: it asked what there is
            with pytest.raises(native.EngineDied):
                talk.ask(talk.connect(), limit_order("next"))
        talk.restart(how)
        replayed = native.verify(talk.disk)
        assert replayed["first_seq"] == 1
        assert replayed["state_hash"] == talk.engine.health(talk.now_ns)["state_hash"]
        assert answered and all(talk.get(talk.connect(), order_id).found for order_id in answered)
        started_from[talk.engine.recovered["snapshot_seq"]] += 1
    assert steps > 12 and len(started_from) == 2, "the last snapshot of some, the one before of others"


def test_a_snapshot_that_the_disk_refuses_costs_nothing() -> None:
    talk = opened()
    begin(talk)
    talk.disk.set_capacity(talk.disk.used_bytes)
    while (made := talk.engine.step_snapshot()) is None:
        pass
    assert made["problem"] is not None and talk.engine.failed is None
    talk.disk.set_capacity(None)
    assert talk.snapshot()["problem"] is None


@pytest.mark.timeout(300)
def test_seeds_snapshot_start_from_snapshots_and_die_in_them() -> None:
    counts: Counter[str] = Counter()
    for seed in SEEDS_WITH_SNAPSHOTS:
        over = run(schedule_of(seed))
        assert check(over.history) == []
        counts.update(over.counts)
    expected = {"snapshot_made", "started_from_snapshot", "segments_archived", "died_in_a_snapshot"}
    assert sorted(expected - set(counts)) == []
