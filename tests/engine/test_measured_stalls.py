"""The growth section's longest round trip: a stall of the engine shows, in its turn, and is told from a busy core."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.engines import BenchEngine, start_engine
from bench.growth.process import waits_of
from bench.growth.stalls import Ends, Grown, grow
from bench.growth.starts import starts
from transport import BlockingFastPathClient, Order

STALL_MS = 600
ORDERS, TURN = 600, 100
SMALL = """
[journal]
segment_bytes = 65536
snapshot_every_bytes = 65536
"""


@pytest.fixture
def small_segments(tmp_path: Path) -> tuple[str, ...]:
    """Arguments of an engine that makes a snapshot every few hundred orders."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return ("--config", str(file))


def grown(engine: BenchEngine, before_order: Any = lambda number: None) -> Grown:
    """An engine that grows by some hundred orders; something may happen before the n-th of them."""
    client = BlockingFastPathClient(engine.config("tcp", spin_us=0, call_timeout_ms=30_000.0))
    sent = 0

    def execute(order: Order) -> Any:
        nonlocal sent
        before_order(sent)
        sent += 1
        return client.execute_order(order)

    with client, waits_of([threading.get_native_id(), engine.process.pid]) as waited_ns:
        ends = Ends(execute, lambda: client.health_check().counters, waited_ns, lambda calls: [1_000] * calls)
        return grow(ends, 0, ORDERS, TURN)


def test_an_engine_that_stands_still_shows_in_the_turn_in_which_it_did(tmp_path: Path) -> None:
    with start_engine(tmp_path / "journal", "os", 0) as engine:

        def stall(number: int) -> None:
            if number == 250:
                engine.process.pause()
                threading.Timer(STALL_MS / 1e3, engine.process.resume).start()

        found = grown(engine, stall)
    samples, with_a_core = found.orders(snapshot=False), found.with_a_core(snapshot=False)
    assert samples is not None
    assert with_a_core is not None
    assert len(samples.ordered_ns) == ORDERS
    assert samples.us(100) > STALL_MS * 1e3
    # Nobody else had the core: it was the engine that stood.
    assert with_a_core.us(100) > STALL_MS * 1e3 / 2
    # A busy machine may hold up others as well, for less long.
    assert max(found.turns, key=lambda turn: max(turn.with_a_core_ns)).standing == 200


def test_turns_in_which_a_snapshot_is_made_are_told_apart(tmp_path: Path, small_segments: tuple[str, ...]) -> None:
    with start_engine(tmp_path / "journal", "os", 0, small_segments) as engine:
        found = grown(engine)
        rounds = 0
        while found.snapshots == 0 and (rounds := rounds + 1) < 200:
            found = grown(engine)
        assert found.snapshots > 0
        during = found.orders(snapshot=True)
        assert during is not None
        assert len(during.ordered_ns) >= TURN
        assert len(during.ordered_ns) + len(of.ordered_ns if (of := found.orders(snapshot=False)) else []) == ORDERS


def test_starts_go_on_from_the_snapshot_and_then_from_the_first_record(
    tmp_path: Path, small_segments: tuple[str, ...]
) -> None:
    with start_engine(tmp_path / "journal", "os", 0, small_segments) as engine:
        rounds = 0
        while not list((engine.process.data_dir / "archive").glob("*.seg")) and (rounds := rounds + 1) < 200:
            grown(engine)
        found = starts(engine, ORDERS)
    assert found.from_snapshot.snapshot_seq > 0
    assert found.from_journal.snapshot_seq == 0
    assert found.from_journal.records > found.from_snapshot.records > rounds * ORDERS
    assert found.from_journal.bytes_read > 0
    assert found.from_journal.seconds > 0 < found.from_snapshot.cpu_s


@pytest.mark.parametrize("threads", [1, 2])
def test_waits_are_those_of_all_threads_and_only_grow(threads: int) -> None:
    ids = [threading.get_native_id(), os.getpid()][:threads]
    with waits_of(ids) as waited_ns:
        before = waited_ns()
        sum(range(100_000))
        assert waited_ns() >= before >= 0
