"""Open-loop load: the schedule waits for nobody, and lateness counts from when an order was to leave."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest

from bench.load.drive import drive_async, drive_blocking
from bench.load.schedule import arrivals_ns, count_for
from bench.orders import sample_reply
from transport import Order, OrderReply

MS = 1_000_000


def test_arrivals_come_at_the_rate_asked_for_and_are_the_same_in_every_run() -> None:
    arrivals = arrivals_ns(1_000.0, 20_000)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(20 * 1_000 * MS, rel=0.03)
    assert arrivals == arrivals_ns(1_000.0, 20_000)


def test_arrivals_come_in_bursts_and_lulls_as_a_poisson_process_does() -> None:
    arrivals = arrivals_ns(1_000.0, 20_000)
    gaps = [after - before for before, after in pairwise(arrivals)]
    longer_than_the_mean = sum(gap > MS for gap in gaps) / len(gaps)
    assert longer_than_the_mean == pytest.approx(0.368, abs=0.02)  # 1/e


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_not_above_0_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="never leave"):
        arrivals_ns(rate, 1)


@pytest.mark.parametrize(
    ("per_s", "expected"),
    [(10_000.0, 10_000), (100_000.0, 100_000), (500.0, 2_000), (0.1, 1)],
    ids=["enough samples", "the shortest time", "the longest time", "at least one"],
)
def test_the_number_of_orders_is_bounded_by_time(per_s: float, expected: int) -> None:
    assert count_for(per_s, least_s=1.0, most_s=4.0, samples=10_000) == expected


def test_an_order_that_waits_behind_a_slow_one_counts_as_slow_itself() -> None:
    """What coordinated omission would hide: only one call is slow, and five orders were late."""
    slow_ns, calls = 30 * MS, 0

    def call(order: Order) -> OrderReply:
        nonlocal calls
        calls += 1
        if calls == 1:
            threading.Event().wait(slow_ns / 1e9)  # the fault under test
        return sample_reply(order)

    driven = drive_blocking(call, [0, MS, 2 * MS, 3 * MS, 4 * MS])
    assert min(driven.latencies_ns) >= slow_ns - 4 * MS


def test_a_slow_order_holds_no_other_up_in_a_loop() -> None:
    slow, overtook = asyncio.Event(), list[str]()

    async def call(order: Order) -> OrderReply:
        if not overtook:
            overtook.append("waiting")
            await slow.wait()
            return sample_reply(order)
        overtook.append("done")
        if len(overtook) == 4:
            slow.set()
        return sample_reply(order)

    driven = asyncio.run(drive_async(call, [0, MS, 2 * MS, 3 * MS]))
    assert overtook == ["waiting", "done", "done", "done"]
    assert len(driven.latencies_ns) == 4
    assert max(driven.latencies_ns) == driven.latencies_ns[-1] >= 3 * MS
