"""A subscription that is begun while no path is alive begins when one is: nobody hears of an error, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from tests.conformance.drivers import IMPLEMENTATIONS, bridge_config
from tests.waiting import eventually
from transport import BlockingFastPathClient, BridgeConfig, Order, OrderSide, OrderType

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("shell", ["failover-async", "failover-blocking"])
@pytest.mark.parametrize("broken", ["blackhole", "refuse_connections"])
def test_a_subscription_begun_with_no_path_alive_begins_with_the_first_that_is(
    tmp_path: Path, shell: str, broken: str
) -> None:
    with EngineProcess(tmp_path / "journal") as engine, FaultProxy(engine.zmq) as zmq, FaultProxy(engine.grpc) as grpc:
        config = BridgeConfig(
            zmq_endpoint=f"tcp://{zmq.endpoint}", pub_endpoint=engine.pub, grpc_endpoint=grpc.endpoint,
            call_timeout_ms=100, connect_timeout_ms=1_000, unknown_resolution_ms=0,
        )  # fmt: skip
        with IMPLEMENTATIONS[shell](config) as client, BlockingFastPathClient(bridge_config(engine)) as trader:
            for proxy in (zmq, grpc):
                getattr(proxy, broken)()
            accepted = zmq.accepted + grpc.accepted
            with ThreadPoolExecutor(1) as reader:
                first = reader.submit(_next_of, client.subscribe_order_updates(resume_from=0))
                trader.execute_order(_order())
                _tried_again(lambda: zmq.accepted + grpc.accepted, accepted)
                assert not first.done()
                for proxy in (zmq, grpc):
                    proxy.heal()
                assert first.result(60).sequence == 1


def _order() -> Order:
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))


def _next_of(updates: Iterator[Any]) -> Any:
    return next(updates)


def _tried_again(accepted: Any, before: int) -> None:
    eventually(lambda: accepted() >= before + 4, "it tried to connect several times", deadline_s=60)
