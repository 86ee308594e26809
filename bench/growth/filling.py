"""Gives an engine a past: orders that are over and remembered, and orders that rest in the book."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from bench.engines import BID, BenchEngine
from bench.orders import fresh_orders
from transport import BlockingFastPathClient, ExecutionStatus, Order, OrderSide, OrderType

BATCH_ORDERS = 1_000
TICK = Decimal("0.01")
LEVELS = 5_000
"""Prices over which resting orders are spread, all below the feed's bid: none of them trades."""

PATIENT = {"call_timeout_ms": 60_000.0, "heartbeat_interval_ms": 5_000, "heartbeat_timeout_ms": 30_000}
"""A gigabyte of journal may make the disk slow for a while; nothing is timed here."""


def remember(engine: BenchEngine, count: int) -> None:
    """`count` market orders, executed and over."""
    _send(engine, count, fresh_orders, ExecutionStatus.FILLED)


def rest(engine: BenchEngine, count: int) -> None:
    """`count` limit orders that rest in the book."""
    _send(engine, count, resting_orders, ExecutionStatus.PENDING)


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


def _send(engine: BenchEngine, count: int, make: Callable[[int], list[Order]], expected: ExecutionStatus) -> None:
    client = BlockingFastPathClient(engine.config("tcp", **PATIENT))
    client.connect()
    try:
        left = count
        while left:
            orders = make(min(left, BATCH_ORDERS))
            for reply in client.execute_batch(orders):
                if reply.status != expected:
                    raise RuntimeError(f"an order of the past is {reply.status.name}, not {expected.name}: {reply}")
            left -= len(orders)
    finally:
        client.close()
