"""Orders of unknown outcome and hedged orders against a real engine, with a fault proxy before each path."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.audit import Journal
from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import BlockingGrpcClient, Resolution
from tests.conformance.drivers import bridge_config
from tests.end_to_end.test_cut_paths import ORDER_BYTES, SHELLS
from tests.waiting import eventually
from transport import BridgeConfig, ExecutionStatus, Order, OrderSide, OrderType, OutcomeUnknownError, ReasonCode

# Long heartbeats: what is withheld is what a test withholds, and no path is given up on the way.
PATIENT: dict[str, Any] = {
    "heartbeat_interval_ms": 30_000, "heartbeat_timeout_ms": 30_000, "connect_timeout_ms": 10_000.0,
}  # fmt: skip


@dataclass
class Rig:
    """An engine, a proxy before each path, a bridge client, and an observer past the proxies."""

    engine: EngineProcess
    zmq: FaultProxy
    grpc: FaultProxy
    client: Any
    observer: BlockingGrpcClient

    def orders(self) -> int:
        return self.observer.health_check().counters["orders"]

    def leave_in_doubt(self, order: Order, *, executed: bool) -> OutcomeUnknownError:
        """The order's only copy is executed, or lost; then its path dies under it, the other being dead already."""
        self.grpc.refuse_connections()
        eventually(lambda: self.client.usable_paths == ("zmq",), "gRPC is gone: no second copy goes there meanwhile")
        if executed:
            self.zmq.withhold_replies()
        else:
            self.zmq.withhold_requests()
        with ThreadPoolExecutor(1) as caller:
            call = caller.submit(self.client.execute_order, order)
            if executed:
                eventually(lambda: self.orders() == 1, "the order executed")
            else:
                eventually(lambda: self.zmq.held_from_clients() > ORDER_BYTES, "the order's bytes left the client")
            self.zmq.refuse_connections()
            with pytest.raises(OutcomeUnknownError) as unknown:
                call.result(30)
        return unknown.value

    def heal(self) -> None:
        self.zmq.heal()
        self.grpc.heal()

    def executed(self, order: Order) -> int:
        """How often the journal says that the order was opened."""
        return Journal.read(self.engine.dump()).opened[order.order_id]


@contextmanager
def rig_of(shell: str, folder: Path, **settings: Any) -> Generator[Rig]:
    with EngineProcess(folder / "journal") as engine, FaultProxy(engine.zmq) as zmq, FaultProxy(engine.grpc) as grpc:
        config = BridgeConfig.from_mapping(
            {"zmq_endpoint": f"tcp://{zmq.endpoint}", "pub_endpoint": engine.pub, "grpc_endpoint": grpc.endpoint}
            | PATIENT
            | settings
        )
        direct = bridge_config(engine)
        with BlockingGrpcClient(direct) as observer, SHELLS[shell](config, "zmq") as client:
            rig = Rig(engine, zmq, grpc, client, observer)
            try:
                yield rig
            finally:
                rig.heal()  # or a probe under way would hold the client's end up for as long as its heartbeats


@pytest.fixture(params=sorted(SHELLS))
def make_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    return lambda **settings: rig_of(request.param, tmp_path, **settings)


def market_order(**more: Any) -> Order:
    return Order(
        symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1), **more
    )  # fmt: skip


SHORT: dict[str, Any] = {"call_timeout_ms": 400.0}


def test_an_executed_order_is_resolved_by_its_stored_reply_once_a_path_is_back(make_rig: Any) -> None:
    with make_rig(**SHORT) as rig:
        order = market_order()
        unknown = rig.leave_in_doubt(order, executed=True)
        assert (unknown.order_ids, unknown.path_alive) == ((order.order_id,), False)
        rig.heal()
        resolution: Resolution = rig.client.resolve(order.order_id, timeout_ms=20_000)
        assert resolution.executed and resolution.reply is not None
        assert resolution.reply.status == ExecutionStatus.FILLED
        assert rig.client.unresolved_orders == ()
        assert rig.executed(order) == 1


def test_an_order_that_never_arrived_executes_when_it_is_resolved(make_rig: Any) -> None:
    with make_rig(**SHORT) as rig:
        order = market_order()
        rig.leave_in_doubt(order, executed=False)
        assert rig.orders() == 0
        rig.heal()
        assert rig.client.resolve(order.order_id, timeout_ms=20_000).executed
        assert rig.executed(order) == 1


def test_an_order_that_never_arrived_and_has_expired_is_never_executed(make_rig: Any) -> None:
    with make_rig(**SHORT) as rig:
        expires_at_ns = time.time_ns() + 300_000_000
        order = market_order(expires_at_ns=expires_at_ns)
        rig.leave_in_doubt(order, executed=False)
        eventually(lambda: time.time_ns() > expires_at_ns, "it expired")
        rig.heal()
        resolution = rig.client.resolve(order.order_id, timeout_ms=20_000)
        assert not resolution.executed and resolution.reply.code == ReasonCode.EXPIRED
        assert rig.executed(order) == 0


def test_an_order_that_executed_and_has_expired_since_gets_its_stored_reply(make_rig: Any) -> None:
    with make_rig(**SHORT) as rig:
        expires_at_ns = time.time_ns() + 5_000_000_000
        order = market_order(expires_at_ns=expires_at_ns)
        rig.leave_in_doubt(order, executed=True)
        eventually(lambda: time.time_ns() > expires_at_ns, "it expired")
        rig.heal()
        resolution = rig.client.resolve(order.order_id, timeout_ms=20_000)
        assert resolution.executed and resolution.reply.status == ExecutionStatus.FILLED
        assert rig.executed(order) == 1


def test_an_id_that_the_client_does_not_remember_is_fenced_and_never_executes(make_rig: Any) -> None:
    with make_rig() as rig:
        order = market_order()
        resolution = rig.client.resolve(order.order_id)
        assert (resolution.fenced, resolution.executed) == (True, False)
        assert rig.client.execute_order(order).code == ReasonCode.FENCED
        assert rig.executed(order) == 0


def test_a_call_in_doubt_at_its_deadline_resolves_itself_while_a_path_is_alive(make_rig: Any) -> None:
    with make_rig(call_timeout_ms=300.0, unknown_resolution_ms=20_000.0) as rig:
        rig.grpc.refuse_connections()
        eventually(lambda: rig.client.usable_paths == ("zmq",), "gRPC is gone")
        rig.zmq.withhold_replies()
        order, began = market_order(), time.monotonic()
        with ThreadPoolExecutor(1) as caller:
            call = caller.submit(rig.client.deliver_order, order)
            eventually(lambda: rig.orders() == 1, "it executed")
            # The path stays up, the call's time passes, and it is sent again on that path.
            eventually(lambda: rig.zmq.held_from_clients() == 0 and time.monotonic() > began + 0.4, "its time passed")
            assert not call.done() and rig.client.usable_paths == ("zmq",)
            rig.grpc.heal()
            delivery = call.result(30)
        assert delivery.reply.status == ExecutionStatus.FILLED
        assert rig.executed(order) == 1


def test_a_hedged_order_executes_once_whichever_copy_is_answered(make_rig: Any) -> None:
    with make_rig(hedge_after_us=2_000, hedge_share=1.0, call_timeout_ms=20_000.0) as rig:
        rig.zmq.withhold_replies()
        order = market_order()
        delivery = rig.client.deliver_order(order)
        assert (delivery.path, delivery.reply.status) == ("grpc", ExecutionStatus.FILLED)
        statistics = rig.client.statistics
        assert (statistics.hedged, statistics.hedge_won) == (1, 1)
        assert rig.executed(order) == 1


def test_a_preferred_grpc_path_that_falls_silent_is_not_waited_for_by_an_order_that_asks_for_a_hedge(
    make_rig: Any,
) -> None:
    # What a silent gRPC path costs an order is this delay then, and not its patience: here that is never.
    with make_rig(hedge_after_us=2_000, hedge_share=1.0, call_timeout_ms=20_000.0) as rig:
        rig.client.prefer("grpc")
        rig.grpc.blackhole()
        order = market_order()
        delivery = rig.client.deliver_order(order, hedge=True)
        assert (delivery.path, delivery.attempts) == ("zmq", 2)
        assert rig.client.statistics.hedge_won == 1 and rig.executed(order) == 1


def test_a_preferred_grpc_path_that_falls_silent_is_left_after_half_the_time_of_a_call(make_rig: Any) -> None:
    # A probe may take twice the heartbeats' time: these are not patient here. The reply comes within the call's time.
    settings = {"call_timeout_ms": 1_900.0, "unknown_resolution_ms": 0.0}
    with make_rig(**settings, heartbeat_interval_ms=200, heartbeat_timeout_ms=500) as rig:
        rig.client.prefer("grpc")
        rig.grpc.blackhole()
        order = market_order()
        delivery = rig.client.deliver_order(order)
        assert (delivery.path, rig.client.statistics.hedged) == ("zmq", 0)
        assert rig.executed(order) == 1
        eventually(lambda: rig.client.usable_paths == ("zmq",), "probes have taken the path out of use")


def test_many_hedged_orders_at_once_execute_once_each(make_rig: Any) -> None:
    with make_rig(hedge_after_us=100, hedge_share=1.0, call_timeout_ms=20_000.0) as rig:
        orders = [market_order() for _ in range(200)]
        with ThreadPoolExecutor(8) as callers:
            replies = list(callers.map(rig.client.execute_order, orders))
        assert [reply.order_id for reply in replies] == [order.order_id for order in orders]
        assert {reply.status for reply in replies} == {ExecutionStatus.FILLED}
        journal = Journal.read(rig.engine.dump())
        assert {journal.opened[order.order_id] for order in orders} == {1}
        assert rig.client.statistics.hedged <= 200
