"""Gives an engine a past: orders that are over and remembered, and orders that rest in the book."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from bench.engines import BID, BenchEngine
from bench.orders import fresh_orders
from bench.timing import check
from transport import BlockingFastPathClient, Order, OrderSide, OrderType

BATCH_ORDERS = 1_000
TICK = Decimal("0.01")
LEVELS = 5_000
"""Prices over which resting orders are spread, all below the feed's bid: none of them trades."""

PATIENT = {"call_timeout_ms": 60_000.0, "heartbeat_interval_ms": 5_000, "heartbeat_timeout_ms": 30_000}
"""A gigabyte of journal may make the disk slow for a while; nothing is timed here."""


def remember(engine: BenchEngine, count: int) -> None:
    """`count` market orders, executed and over."""
    _send(engine, count, fresh_orders)


def rest(engine: BenchEngine, count: int) -> None:
    """`count` limit orders that rest in the book."""
    _send(engine, count, resting_orders)


def remember_and_rest(engine: BenchEngine, count: int) -> None:
    """Both in turn."""
    _send(engine, count, mixed_orders)


def mixed_orders(count: int) -> Sequence[Order]:
    """New orders, in turn one that is executed at once and one that rests in the book."""
    resting = resting_orders(count // 2)
    filled = fresh_orders(count - len(resting))
    return [order for pair in zip(filled, resting, strict=False) for order in pair] + filled[len(resting) :]


def resting_orders(count: int) -> list[Order]:
    """New buy orders below the market, evenly over the levels."""
    return [
        Order(
            symbol="NASDAQ",
            order_type=OrderType.LIMIT,
            side=OrderSide.BUY,
            quantity=Decimal("1.5"),
            price=BID - TICK * (1 + number * LEVELS // count),
            metadata={"strategy": "bench", "run": "1"},
        )
        for number in range(count)
    ]


def _send(engine: BenchEngine, count: int, make: Callable[[int], Sequence[Order]]) -> None:
    client = BlockingFastPathClient(engine.config("tcp", **PATIENT))
    client.connect()
    try:
        left = count
        while left:
            orders = make(min(left, BATCH_ORDERS))
            for order, reply in zip(orders, client.execute_batch(orders), strict=True):
                check(order, reply)
            left -= len(orders)
    finally:
        client.close()
