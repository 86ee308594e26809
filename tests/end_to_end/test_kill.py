"""`kill -9` of the engine in the middle of a stream of orders; restart; resend: every order once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from examples.audit import Journal
from examples.rig.engine_process import EngineProcess
from fallback_grpc import ExecutionBridgeClient
from transport import (
    BlockingFastPathClient,
    BridgeConfig,
    ExecutionBridgeError,
    Order,
    OrderReply,
    OrderSide,
    OrderType,
    Quote,
)

ORDERS = 1500
KILL_AFTER = 400
IN_FLIGHT = 64


def _config(engine: EngineProcess, **changes: object) -> BridgeConfig:
    endpoints = {"zmq_endpoint": engine.zmq, "pub_endpoint": engine.pub, "grpc_endpoint": engine.grpc}
    return BridgeConfig.from_mapping(endpoints | {"connect_timeout_ms": 10_000.0} | changes)


def _order(number: int) -> Order:
    """Of every type in turn; some rest, some fill, some have legs."""
    order_type = list(OrderType)[number % 4]
    side = list(OrderSide)[number // 4 % 2]
    away = Decimal(number % 50) / 100 + 1
    rising = (side == OrderSide.BUY) != (order_type in (OrderType.LIMIT, OrderType.TAKE_PROFIT))
    return Order(
        symbol="NASDAQ",
        order_type=order_type,
        side=side,
        quantity=Decimal(number % 7 + 1),
        price=None if order_type == OrderType.MARKET else 100 + away if rising else 100 - away,
        stop_loss=Decimal(50 if side == OrderSide.BUY else 150) if number % 8 == 0 else None,
        metadata={"number": str(number)},
    )


def _quote(price: int) -> Quote:
    size = Decimal(1_000_000)
    return Quote(symbol="NASDAQ", bid=Decimal(price), ask=price + Decimal("0.01"), bid_size=size, ask_size=size)


async def _send_all(
    engine: EngineProcess, orders: Sequence[Order], replies: dict[str, OrderReply], kill_after: int | None
) -> None:
    """Sends every order once through a bounded window; what ends in an exception has no reply in the result."""
    # Short where the engine dies: nobody answers what is left. Else long: each is answered, however late.
    client = ExecutionBridgeClient(_config(engine, call_timeout_ms=20_000.0 if kill_after is None else 400.0))
    await client.connect()
    window = asyncio.Semaphore(IN_FLIGHT)

    async def send(order: Order) -> None:
        async with window:
            try:
                replies[order.order_id] = await client.execute_order(order)
            except ExecutionBridgeError:
                return
            if kill_after is not None and len(replies) == kill_after:
                engine.kill()

    await asyncio.gather(*(send(order) for order in orders))
    await client.close()


@pytest.mark.parametrize("durability", ["always", "os"])
def test_every_order_executes_once_when_the_engine_is_killed_under_a_stream(tmp_path: Path, durability: str) -> None:
    orders = [_order(number) for number in range(ORDERS)]
    before: dict[str, OrderReply] = {}
    after: dict[str, OrderReply] = {}
    with EngineProcess(tmp_path / "journal", durability=durability) as engine:
        with BlockingFastPathClient(_config(engine)) as feed:
            feed.publish_quotes([_quote(100)])
        uvloop.run(_send_all(engine, orders, before, kill_after=KILL_AFTER))
        assert KILL_AFTER <= len(before) < ORDERS
        engine.start()
        uvloop.run(_send_all(engine, orders, after, kill_after=None))
        assert engine.stop() == 0
        journal = Journal.read(engine.dump())
    assert set(after) == {order.order_id for order in orders}
    assert {order_id: after[order_id] for order_id in before} == before, "an acknowledged reply changed"
    assert set(journal.admitted.values()) == {1}
    assert set(journal.admitted) == {order.order_id for order in orders}
    assert set(journal.opened.values()) == {1}
    assert journal.told == journal.traded


def test_the_state_hash_is_the_same_before_the_kill_after_it_and_in_another_process(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal") as engine:
        with BlockingFastPathClient(_config(engine)) as client:
            client.publish_quotes([_quote(100)])
            client.execute_batch([_order(number) for number in range(300)])
            client.cancel_all_orders(symbol="SP500")
            alive = client.health_check()
        engine.kill()
        verified = engine.verify()
        engine.start()
        with BlockingFastPathClient(_config(engine)) as client:
            restarted = client.health_check()
            client.execute_order(_order(301))
            changed = client.health_check()
    assert verified["state_hash"] == alive.state_hash
    assert restarted.state_hash == alive.state_hash
    assert (restarted.epoch, restarted.journal_id) == (alive.epoch + 1, alive.journal_id)
    assert changed.state_hash != alive.state_hash
