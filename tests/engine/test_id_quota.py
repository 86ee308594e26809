"""A clock that is wrong: ids that cannot be forgotten yet are bounded by the account's quota, over restarts too."""

from __future__ import annotations

import time
from decimal import Decimal

from tests.conformance.conftest import id_of_time, quote
from tests.engine.conftest import EngineStarter
from transport import BlockingFastPathClient, BridgeConfig, ExecutionError, Order, OrderSide, OrderType, ReasonCode

QUOTA = 3
HOUR_S = 3600.0


def connected(endpoint: str) -> BlockingFastPathClient:
    client = BlockingFastPathClient(
        BridgeConfig(
            zmq_endpoint=endpoint, call_timeout_ms=30_000, connect_timeout_ms=30_000, heartbeat_timeout_ms=10_000
        )
    )
    client.connect()
    return client


def published(client: BlockingFastPathClient, command_id: str) -> ReasonCode:
    try:
        return client.publish_quotes([quote("99.99", "100.01")], command_id=command_id).code
    except ExecutionError as refused:
        return ReasonCode(refused.code)


def test_a_feed_with_a_wrong_clock_fills_its_quota_and_not_the_memory(start_engine: EngineStarter) -> None:
    engine = start_engine(f"[orders]\nforeign_id_quota = {QUOTA}\n")
    began_s = time.time()
    ids = [id_of_time(began_s + HOUR_S + number) for number in range(QUOTA + 1)]
    with connected(engine.zmq) as client:
        codes = [published(client, command_id) for command_id in ids]
        assert codes == [ReasonCode.ID_FROM_FUTURE] * QUOTA + [ReasonCode.ID_QUOTA_EXCEEDED]
        order = Order(
            symbol="NASDAQ",
            order_type=OrderType.MARKET,
            side=OrderSide.BUY,
            quantity=Decimal(1),
            order_id=id_of_time(began_s + HOUR_S),
        )
        try:
            code = client.execute_order(order).code
        except ExecutionError as refused:
            code = ReasonCode(refused.code)
        assert code == ReasonCode.ID_QUOTA_EXCEEDED, "an order of that clock is refused too"
        assert published(client, id_of_time(began_s)) == ReasonCode.NONE, "a feed whose clock is right goes on"
        assert client.health_check().counters["foreign_ids"] == QUOTA
    engine.kill()
    with connected(start_engine(f"[orders]\nforeign_id_quota = {QUOTA}\n").zmq) as client:
        assert client.health_check().counters["foreign_ids"] == QUOTA
        assert published(client, ids[0]) == ReasonCode.ID_FROM_FUTURE, "what is known is answered"
        assert published(client, ids[-1]) == ReasonCode.ID_QUOTA_EXCEEDED
