"""What the growth section says of the longest order: turns with and without a snapshot, time without a core."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the bench's own packages are not installed: make bench")

from bench.growth.filling import mixed_orders
from bench.growth.stall_section import Extent, Stalls, markdown
from bench.growth.stalls import Grown, Turn, as_json, touched_by_snapshot
from bench.growth.starts import Start, Starts
from transport import OrderType

MS = 1_000_000
QUIET = Turn(standing=0, snapshot=False, orders_ns=[20_000, 3 * MS], waited_ns=[0, 2 * MS], echo_ns=[9_000, 10_000])
DURING = Turn(standing=2, snapshot=True, orders_ns=[20_000, 7 * MS], waited_ns=[0, 9 * MS], echo_ns=[9_000, 5 * MS])


def start(snapshot_seq: int) -> Start:
    return Start(seconds=0.5, cpu_s=0.4, records=10, snapshot_seq=snapshot_seq, bytes_read=2_000_000)


def stalls(turns: list[Turn], from_snapshot: int = 7) -> Stalls:
    starts = Starts(4, start(from_snapshot), start(0))
    return Stalls(Extent(0, 4), Grown([QUIET]), Grown(turns, snapshots=1), starts)


def counters(running: int, made: int) -> dict[str, int]:
    return {"snapshot_running": running, "snapshots": made}


@pytest.mark.parametrize(
    ("before", "after", "touched"),
    [((0, 1), (0, 1), False), ((0, 1), (1, 1), True), ((1, 1), (0, 1), True), ((0, 1), (0, 2), True)],
    ids=["none", "begun", "ended", "within"],
)
def test_a_turn_that_a_snapshot_touches_is_its_own(
    before: tuple[int, int], after: tuple[int, int], touched: bool
) -> None:
    assert touched_by_snapshot(counters(*before), counters(*after)) is touched


def test_time_without_a_core_is_left_out_and_never_makes_an_order_shorter_than_nothing() -> None:
    assert QUIET.with_a_core_ns == [20_000, MS]
    assert DURING.with_a_core_ns == [20_000, 0]


def test_the_longest_is_told_for_turns_with_and_without_a_snapshot() -> None:
    found: dict[str, Any] = as_json(Grown([QUIET, DURING], snapshots=1))
    assert found["no_snapshot"]["orders"]["p100_us"] == 3_000
    assert found["no_snapshot"]["orders_with_a_core"]["p100_us"] == 1_000
    assert found["snapshot"]["orders"]["p100_us"] == 7_000
    assert (found["snapshot"]["orders"]["over_1_ms"], found["snapshot"]["orders"]["over_10_ms"]) == (1, 0)
    assert found["snapshot"]["echo"]["p100_us"] == 5_000


def test_figures_are_those_of_the_engine_without_and_of_the_turns_with_a_snapshot() -> None:
    found = stalls([QUIET, DURING])
    assert found.figures == {
        "growth.stall.growing_ms": 3.0,
        "growth.stall.snapshot_ms": 7.0,
        "growth.stall.start_s": 0.5,
    }
    assert "during one | 2 | 20.0 |  | 7,000 | 1 | 20 |" in markdown(found)
    assert found.defects == []


@pytest.mark.parametrize("found", [stalls([QUIET]), stalls([QUIET, DURING], from_snapshot=0)], ids=["grown", "start"])
def test_a_run_in_which_there_was_no_snapshot_is_a_defect(found: Stalls) -> None:
    assert len(found.defects) == 1
    assert "growth.stall.growing_ms" in found.figures
    assert markdown(found)


def test_every_second_order_of_a_growing_engine_rests() -> None:
    kinds = [order.order_type for order in mixed_orders(5)]
    assert kinds == [OrderType.MARKET, OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT, OrderType.MARKET]
