"""Each path cut at each of four points under an order: it executes once, and the client is told so.

The engine's duplicate counter tells whether both copies arrived where they should: only a cut after the engine has
the order leaves a first copy that executed, so that the second one is answered from memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.audit import Journal
from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import BlockingExecutionBridgeClient, BlockingGrpcClient, ExecutionBridgeClient, GrpcClient
from tests.conformance.drivers import AsyncDriver, BlockingDriver, bridge_config
from tests.waiting import eventually
from transport import (
    BlockingFastPathClient,
    BridgeConfig,
    Delivery,
    ExecutionStatus,
    FastPathClient,
    Order,
    OrderSide,
    OrderType,
)

OTHER = {"zmq": "grpc", "grpc": "zmq"}
ORDER_BYTES = 100
"""Less than an order takes on either path, more than a heartbeat."""


def _connected_async(config: BridgeConfig, first: str) -> Any:
    paths: dict[Any, Any] = {"zmq": FastPathClient(config), "grpc": GrpcClient(config)}

    async def connect(_: BridgeConfig) -> ExecutionBridgeClient:
        client = ExecutionBridgeClient(BridgeConfig.of(config, prefer=first), paths=paths)
        await client.connect()
        return client

    return AsyncDriver(connect, config)


def _connected_blocking(config: BridgeConfig, first: str) -> Any:
    paths: dict[Any, Any] = {"zmq": BlockingFastPathClient(config), "grpc": BlockingGrpcClient(config)}

    def connect(_: BridgeConfig) -> BlockingExecutionBridgeClient:
        client = BlockingExecutionBridgeClient(BridgeConfig.of(config, prefer=first), paths=paths)
        client.connect()
        return client

    return BlockingDriver(connect, config)


SHELLS = {"async": _connected_async, "blocking": _connected_blocking}


@dataclass
class Rig:
    """An engine with a proxy before each path, a bridge client that prefers `cut_path`, and an observer past them."""

    engine: EngineProcess
    proxies: dict[str, FaultProxy]
    cut_path: str
    client: Any
    observer: BlockingGrpcClient
    caller: ThreadPoolExecutor

    @property
    def proxy(self) -> FaultProxy:
        return self.proxies[self.cut_path]

    def orders(self) -> int:
        return self.observer.health_check().counters["orders"]

    def duplicates(self) -> int:
        return self.observer.health_check().duplicates

    def send(self, order: Order) -> Future[Delivery]:
        return self.caller.submit(self.client.deliver_order, order)


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["zmq", "grpc"])
def rig(request: pytest.FixtureRequest, shell: str, tmp_path: Path) -> Iterator[Rig]:
    with EngineProcess(tmp_path / "journal") as engine, FaultProxy(engine.zmq) as zmq, FaultProxy(engine.grpc) as grpc:
        config = BridgeConfig(
            zmq_endpoint=f"tcp://{zmq.endpoint}", pub_endpoint=engine.pub, grpc_endpoint=grpc.endpoint,
            # Long heartbeats: what is withheld is the order's bytes and nothing else.
            heartbeat_interval_ms=30_000, heartbeat_timeout_ms=30_000, call_timeout_ms=20_000,
            connect_timeout_ms=10_000,
        )  # fmt: skip
        direct = bridge_config(engine)
        bridge: AbstractContextManager[Any] = SHELLS[shell](config, request.param)
        with BlockingGrpcClient(direct) as observer, bridge as client, ThreadPoolExecutor(1) as caller:
            yield Rig(engine, {"zmq": zmq, "grpc": grpc}, request.param, client, observer, caller)
        assert engine.stop() == 0


@pytest.fixture
def order() -> Order:
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))


def _expect(rig: Rig, order: Order, call: Future[Delivery], duplicates: int) -> None:
    delivery = call.result(timeout=30)
    assert delivery.reply.status == ExecutionStatus.FILLED
    assert delivery.path == OTHER[rig.cut_path]
    assert rig.duplicates() == duplicates
    journal = Journal.read(rig.engine.dump())
    assert journal.admitted[order.order_id] == journal.opened[order.order_id] == 1
    assert len(journal.traded[order.order_id]) == 1
    again = rig.client.deliver_order(order)
    assert (again.reply, again.duplicate) == (delivery.reply, True)


def test_cut_before_the_send_no_copy_reaches_the_engine_by_the_cut_path(rig: Rig, order: Order) -> None:
    rig.proxy.refuse_connections()
    _expect(rig, order, rig.send(order), duplicates=0)


def test_cut_after_the_send_the_first_copy_never_arrives(rig: Rig, order: Order) -> None:
    rig.proxy.withhold_requests()
    call = rig.send(order)
    eventually(lambda: rig.proxy.held_from_clients() > ORDER_BYTES, "the order's bytes left the client")
    assert rig.orders() == 0
    rig.proxy.refuse_connections()
    _expect(rig, order, call, duplicates=0)


def test_cut_after_the_execution_both_copies_arrive_and_one_executes(rig: Rig, order: Order) -> None:
    rig.proxy.withhold_replies()
    call = rig.send(order)
    eventually(lambda: rig.orders() == 1, "the order executed")
    assert not call.done()
    rig.proxy.refuse_connections()
    _expect(rig, order, call, duplicates=1)


def test_cut_in_the_middle_of_the_reply_half_a_reply_is_no_reply(rig: Rig, order: Order) -> None:
    rig.proxy.withhold_replies()
    call = rig.send(order)
    eventually(lambda: rig.orders() == 1 and rig.proxy.held_from_engine() > ORDER_BYTES, "the reply left the engine")
    rig.proxy.cut_withheld_replies_in_two()
    rig.proxy.refuse_connections()
    _expect(rig, order, call, duplicates=1)


@pytest.mark.parametrize("carrier", ["native", "pyzmq"])
def test_a_silent_fast_path_is_noticed_and_left(tmp_path: Path, shell: str, carrier: Any, order: Order) -> None:
    with EngineProcess(tmp_path / "journal") as engine, FaultProxy(engine.zmq) as proxy:
        config = BridgeConfig(
            zmq_endpoint=f"tcp://{proxy.endpoint}",
            pub_endpoint=engine.pub,
            grpc_endpoint=engine.grpc,
            carrier=carrier,
            call_timeout_ms=10_000,
        )
        with SHELLS[shell](config, "zmq") as client, ThreadPoolExecutor(1) as caller:
            proxy.blackhole()
            call = caller.submit(client.deliver_order, order)
            assert call.result(timeout=30).path == "grpc"
            proxy.heal()
            eventually(lambda: client.usable_paths[:1] == ("zmq",), "the fast path is well again")
            eventually(lambda: client.deliver_order(order).path == "zmq", "the fast path was taken again")
