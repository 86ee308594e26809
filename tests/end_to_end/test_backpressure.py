"""An engine that stops reading: what a client holds stays bounded, its callers wait or are told, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from tests.conformance.drivers import IMPLEMENTATIONS, bridge_config
from tests.waiting import eventually
from transport import ExecutionStatus, NotSent, Order, OrderSide, OrderType

ORDERS = 3000
ENGINE_WINDOW = 1024
"""Requests in flight of one connection, by the engine's default."""
TAKEN_AHEAD = 64
"""Orders that a stream takes from its source before it sends them."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["zmq-async", "zmq-blocking", "zmq-async-pyzmq"])
def engine_and_client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[EngineProcess, Any]]:
    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        # No heartbeats to speak of: the engine is to be slow, not gone. A window beyond what the engine takes.
        config = bridge_config(
            engine, heartbeat_interval_ms=60_000, heartbeat_timeout_ms=60_000, call_timeout_ms=60_000, batch_window=2500
        )
        with IMPLEMENTATIONS[request.param](config) as client:
            yield engine, client
        assert engine.stop() == 0


def large_order() -> Order:
    """A full window of them is more than the engine's socket holds."""
    return Order(
        symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1),
        metadata={str(number): "x" * 250 for number in range(8)},
    )  # fmt: skip


def test_an_engine_that_stops_reading_fills_a_window_and_not_the_memory(
    engine_and_client: tuple[EngineProcess, Any],
) -> None:
    engine, client = engine_and_client
    orders = [large_order() for _ in range(ORDERS)]
    taken = 0

    def source() -> Iterator[Order]:
        nonlocal taken
        for order in orders:
            taken += 1
            yield order

    def is_refused() -> bool:
        return isinstance(client.attempt_order(large_order(), 50), NotSent)

    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as caller:
            replies = caller.submit(lambda: list(client.execute_batch_orders(source())))
            eventually(lambda: taken >= ENGINE_WINDOW, "the window is full", deadline_s=30)
            eventually(is_refused, "who asks for one more is told that there is no room")
            assert not replies.done()
            assert taken <= ENGINE_WINDOW + TAKEN_AHEAD
            os.kill(engine.pid, signal.SIGCONT)
            assert [reply.order_id for reply in replies.result(60)] == [order.order_id for order in orders]
            assert ExecutionStatus.FAILED not in {reply.status for reply in replies.result()}
    finally:
        os.kill(engine.pid, signal.SIGCONT)
