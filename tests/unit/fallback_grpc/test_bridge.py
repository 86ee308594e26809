"""The bridge over two scripted paths: one suite, run for the asyncio and for the blocking client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from fallback_grpc import BlockingExecutionBridgeClient, ExecutionBridgeClient, PathEventKind
from tests.conformance.drivers import BlockingFace, LoopThread
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeBlockingPath, FakeEngine, FakePath
from tests.waiting import eventually
from transport.contract.codes import ReasonCode
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ClientClosedError,
    ExecutionError,
    NotSentError,
    OutcomeUnknownError,
    ValidationError,
)
from transport.contract.orders import Order
from transport.contract.path import PathRefused

MakeOrder = Callable[..., Order]
CONFIG = BridgeConfig(breaker_open_ms=10.0, call_timeout_ms=1_000.0)


class Rig:
    """A bridge with its two scripted paths."""

    def __init__(self, flavour: str) -> None:
        self.engine = FakeEngine()
        self.loop = LoopThread()
        self.flavour = flavour
        make: Any = FakeAsyncPath if flavour == "async" else FakeBlockingPath
        self.zmq: FakePath = self.do(lambda: make(self.engine))
        self.grpc: FakePath = self.do(lambda: make(self.engine))
        self.events: list[Any] = []
        paths: Any = {"zmq": self.zmq, "grpc": self.grpc}
        if flavour == "async":
            self.client: Any = BlockingFace(ExecutionBridgeClient(CONFIG, paths=paths), self.loop)
        else:
            self.client = BlockingExecutionBridgeClient(CONFIG, paths=paths)
        self.client.on_path_event(self.events.append)

    def do(self, action: Callable[[], Any]) -> Any:
        """Runs an action where the paths live: in the loop, if there is one."""

        async def in_loop() -> Any:
            return action()

        return self.loop.run(in_loop()) if self.flavour == "async" else action()

    def close(self) -> None:
        self.client.close()
        self.loop.close()


@pytest.fixture(params=["async", "blocking"])
def unconnected(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param)
    yield rig
    rig.close()


@pytest.fixture
def rig(unconnected: Rig) -> Rig:
    unconnected.client.connect()
    return unconnected


def test_orders_take_the_fast_path_while_it_is_well(rig: Rig, order: MakeOrder) -> None:
    assert rig.client.deliver_order(order()).path == "zmq"
    assert rig.grpc.orders == []
    assert rig.client.statistics.orders_by_path == {"zmq": 1, "grpc": 0}


def test_a_lost_reply_is_resolved_on_the_other_path_under_the_same_id(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "loses"
    placed = order()
    delivery = rig.client.deliver_order(placed)
    assert (delivery.path, delivery.duplicate, delivery.attempts) == ("grpc", True, 2)
    assert rig.engine.arrivals == [placed.order_id] * 2
    statistics = rig.client.statistics
    assert (statistics.resent, statistics.resolved, statistics.unresolved) == (1, 1, 0)


def test_orders_in_flight_when_the_connection_is_reset_all_arrive_once(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "hangs"
    orders = [order() for _ in range(20)]
    with ThreadPoolExecutor(20) as callers:
        calls = [callers.submit(rig.client.deliver_order, each) for each in orders]
        eventually(lambda: len(rig.zmq.orders) == 20, "all orders are in flight")
        rig.do(rig.zmq.cut)
        deliveries = [call.result(10) for call in calls]
    assert [delivery.reply.order_id for delivery in deliveries] == [each.order_id for each in orders]
    assert {(delivery.path, delivery.duplicate) for delivery in deliveries} == {("grpc", True)}
    assert len(rig.engine.replies) == 20
    statistics = rig.client.statistics
    assert (statistics.resolved, statistics.failovers) == (20, 1)
    assert statistics.last_failover_ms is not None


def test_only_good_probes_bring_the_fast_path_back(rig: Rig, order: MakeOrder) -> None:
    rig.do(rig.zmq.cut)
    assert rig.client.deliver_order(order()).path == "grpc"
    probes_before = rig.zmq.probes
    rig.do(rig.zmq.heal)
    eventually(lambda: rig.client.usable_paths == ("zmq", "grpc"), "the fast path is back")
    assert rig.zmq.orders == []
    assert rig.zmq.probes >= probes_before + CONFIG.breaker_half_open_probes
    assert rig.client.deliver_order(order()).path == "zmq"
    assert [(event.path, event.kind) for event in rig.events if event.path == "zmq"] == [
        ("zmq", PathEventKind.UP), ("zmq", PathEventKind.DOWN), ("zmq", PathEventKind.UP)
    ]  # fmt: skip


def test_a_path_that_does_not_answer_probes_is_not_used(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "silent"
    assert rig.client.deliver_order(order()).path == "grpc"
    eventually(lambda: rig.client.usable_paths == ("grpc",), "probes found the silent path")


def test_busy_says_nothing_against_a_path(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.refusal = ReasonCode.BUSY
    with pytest.raises(ExecutionError) as refused:
        rig.client.execute_order(order())
    assert refused.value.code == ReasonCode.BUSY
    assert rig.client.usable_paths == ("zmq", "grpc")
    assert rig.engine.arrivals == []


def test_with_both_paths_dead_an_order_that_never_left_is_not_sent(rig: Rig, order: MakeOrder) -> None:
    rig.do(rig.zmq.cut)
    rig.do(rig.grpc.cut)
    with pytest.raises(NotSentError):
        rig.client.execute_order(order())
    assert rig.engine.arrivals == []


def test_with_both_paths_dead_an_order_in_doubt_is_reported_with_its_id(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = rig.grpc.mode = "loses"
    placed = order()
    with pytest.raises(OutcomeUnknownError) as unknown:
        rig.client.execute_order(placed, timeout_ms=200)
    assert unknown.value.order_id == placed.order_id
    assert set(rig.engine.arrivals) == {placed.order_id}
    assert rig.client.statistics.unresolved == 1


def test_an_order_in_doubt_waits_for_a_path_to_return(rig: Rig, order: MakeOrder) -> None:
    rig.do(rig.grpc.cut)
    rig.zmq.mode = "hangs"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, order(), timeout_ms=10_000)
        eventually(lambda: rig.zmq.orders, "the order is in flight")
        rig.do(rig.zmq.cut)
        rig.do(rig.grpc.heal)
        assert call.result(10).path == "grpc"
    assert len(rig.engine.replies) == 1


def test_a_batch_in_doubt_goes_again_whole(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "loses"
    orders = [order() for _ in range(4)]
    assert [reply.order_id for reply in rig.client.execute_batch(orders)] == [each.order_id for each in orders]
    assert (len(rig.engine.replies), len(rig.engine.arrivals)) == (4, 8)


def test_a_stream_of_orders_survives_the_loss_of_a_path(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(300)]
    replies = []
    for reply in rig.client.execute_batch_orders(orders):
        replies.append(reply.order_id)
        if len(replies) == 100:
            rig.do(rig.zmq.cut)
    assert replies == [each.order_id for each in orders]
    assert len(rig.engine.replies) == 300
    assert rig.grpc.orders


def test_a_second_path_with_another_journal_is_refused_loudly(unconnected: Rig, order: MakeOrder) -> None:
    rig = unconnected
    rig.grpc.journal_id = "journal-b"
    rig.client.connect()
    assert rig.client.usable_paths == ("zmq",)
    assert rig.client.journal_id == "journal-a"
    assert ("grpc", PathEventKind.JOURNAL_MISMATCH) in [(event.path, event.kind) for event in rig.events]
    assert rig.client.health_check().checks == {"zmq": True, "grpc": False}
    rig.do(rig.zmq.cut)
    with pytest.raises(NotSentError):
        rig.client.execute_order(order())
    assert rig.grpc.orders == []


def test_a_path_that_refuses_the_journal_later_is_reported_once(rig: Rig) -> None:
    refused = PathRefused(reason="another engine", code=ReasonCode.JOURNAL_ID_MISMATCH)
    rig.do(lambda: rig.grpc.tell(refused))
    rig.do(lambda: rig.grpc.tell(refused))
    kinds = [event.kind for event in rig.events if event.path == "grpc"]
    assert kinds.count(PathEventKind.JOURNAL_MISMATCH) == 1
    assert rig.client.path_states()["grpc"]["journal_mismatch"]


def test_one_path_is_enough_to_connect(unconnected: Rig, order: MakeOrder) -> None:
    unconnected.zmq.mode = "dead"
    unconnected.client.connect()
    assert unconnected.client.deliver_order(order()).path == "grpc"
    assert unconnected.client.health_check().checks == {"zmq": False, "grpc": True}
    assert not unconnected.client.health_check().healthy


def test_without_any_path_connect_says_so_and_closes(unconnected: Rig) -> None:
    unconnected.zmq.mode = unconnected.grpc.mode = "dead"
    with pytest.raises(NotSentError, match=r"zmq.*grpc"):
        unconnected.client.connect()
    assert unconnected.zmq.closed and unconnected.grpc.closed


def test_a_client_that_is_not_connected_or_closed_sends_nothing(unconnected: Rig, order: MakeOrder) -> None:
    with pytest.raises(ClientClosedError, match="connect"):
        unconnected.client.execute_order(order())
    unconnected.client.connect()
    unconnected.client.close()
    with pytest.raises(ClientClosedError):
        unconnected.client.execute_order(order())
    assert unconnected.engine.arrivals == []


def test_the_originals_dictionaries_work(rig: Rig) -> None:
    fields = {"order_id": "o-1", "symbol": "NASDAQ", "order_type": "limit", "side": 1, "quantity": 0.1, "price": "9.5"}
    answer = rig.client.execute_order_sync(fields)
    assert (answer["order_id"], answer["status"], answer["code"], answer["path"]) == ("o-1", "FILLED", "NONE", "zmq")
    more = [{"symbol": "S", "order_type": "MARKET", "side": "BUY", "quantity": Decimal(1)} for _ in range(3)]
    assert [reply["status"] for reply in rig.client.execute_orders_batch(more)] == ["FILLED"] * 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"side": "LEFT"}, "side"), ({"quantity": "many"}, "quantity"), ({"symbol": None}, "symbol"),
        ({"colour": "red"}, "colour"), ({"metadata": {"a": 1}}, "metadata"), ({"timestamp": "today"}, "timestamp"),
    ],
)  # fmt: skip
def test_a_bad_dictionary_is_refused_by_the_name_of_its_field(rig: Rig, change: dict[str, Any], field: str) -> None:
    fields = {"symbol": "S", "order_type": "MARKET", "side": "BUY", "quantity": 1}
    with pytest.raises(ValidationError) as refused:
        rig.client.execute_order_sync(fields | change)
    assert refused.value.field == field
    assert rig.engine.arrivals == []
