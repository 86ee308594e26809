"""What growth is measured with: the past that engines are given, and what Linux says of a process."""

from __future__ import annotations

import os

import pytest

from bench.engines import BID
from bench.growth.filling import LEVELS, TICK, resting_orders
from bench.growth.idle_connections import frame
from bench.growth.process import anonymous_bytes, cpu_ns, own_memory_bytes


def test_resting_orders_lie_below_the_market_and_spread_over_the_levels() -> None:
    prices = [order.price for order in resting_orders(10_000)]
    assert max(price for price in prices if price is not None) == BID - TICK
    assert min(price for price in prices if price is not None) == BID - LEVELS * TICK
    assert len(set(prices)) == LEVELS


def test_memory_of_a_process_is_its_anonymous_part() -> None:
    assert anonymous_bytes("VmRSS:\t 900 kB\nRssAnon:\t     12 kB\nRssFile:\t 888 kB\n") == 12 * 1024


def test_a_kernel_that_does_not_tell_is_an_error() -> None:
    with pytest.raises(ValueError, match="RssAnon"):
        anonymous_bytes("VmRSS:\t 900 kB\n")


def test_this_process_has_memory_and_its_time_on_a_cpu_grows() -> None:
    assert own_memory_bytes(os.getpid()) > 1 << 20
    before = cpu_ns(os.getpid())
    sum(range(1_000_000))
    assert cpu_ns(os.getpid()) > before


@pytest.mark.parametrize(
    ("size", "header"), [(255, b"\x00\xff"), (256, b"\x02" + (256).to_bytes(8, "big"))], ids=["short", "long"]
)
def test_a_zmtp_frame_says_its_length(size: int, header: bytes) -> None:
    body = bytes(size)
    assert frame(0, body) == header + body
