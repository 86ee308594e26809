"""The bridge over two scripted paths: one suite, run for the asyncio and for the blocking client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from fallback_grpc import BlockingExecutionBridgeClient, ExecutionBridgeClient, PathEventKind
from fallback_grpc.bridge_settings import bridge_settings
from tests.conformance.drivers import BlockingFace, LoopThread
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeBlockingPath, FakeEngine, FakePath
from tests.waiting import eventually
from transport.contract.codes import ReasonCode
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    AuthenticationError,
    ClientClosedError,
    ExecutionError,
    JournalMismatchError,
    NotSentError,
    OutcomeUnknownError,
    StateRegressedError,
    ValidationError,
)
from transport.contract.orders import Order
from transport.contract.path import PathRefused

MakeOrder = Callable[..., Order]
CONFIG: Any = BridgeConfig(breaker_open_ms=10.0, call_timeout_ms=20_000.0)


class Rig:
    """A bridge with its two scripted paths."""

    def __init__(self, flavour: str, config: Any = CONFIG) -> None:
        self.engine = FakeEngine()
        self.loop = LoopThread()
        self.flavour = flavour
        make: Any = FakeAsyncPath if flavour == "async" else FakeBlockingPath
        self.zmq: FakePath = self.do(lambda: make(self.engine))
        self.grpc: FakePath = self.do(lambda: make(self.engine))
        self.events: list[Any] = []
        paths: Any = {"zmq": self.zmq, "grpc": self.grpc}
        if flavour == "async":
            self.client: Any = BlockingFace(ExecutionBridgeClient(config, paths=paths), self.loop)
        else:
            self.client = BlockingExecutionBridgeClient(config, paths=paths)
        self.client.on_path_event(self.events.append)

    def kinds(self, path: str, *of: PathEventKind) -> list[PathEventKind]:
        """What was told of a path so far; only these kinds, if any are named."""
        return [
            event.kind for event in tuple(self.events) if event.path == path and event.kind in (of or PathEventKind)
        ]

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
        deliveries = [call.result(30) for call in calls]
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
    up_again = [PathEventKind.UP, PathEventKind.DOWN, PathEventKind.UP]
    eventually(lambda: rig.kinds("zmq", PathEventKind.UP, PathEventKind.DOWN) == up_again, "that is told as well")


def test_every_transition_of_a_path_and_its_breaker_is_an_event(rig: Rig) -> None:
    connected = [PathEventKind.CONNECTED, PathEventKind.UP]
    assert rig.kinds("zmq") == connected
    rig.do(rig.zmq.cut)
    eventually(lambda: PathEventKind.BREAKER_HALF_OPEN in rig.kinds("zmq"), "it was probed in vain")
    rig.do(rig.zmq.heal)
    # It is told outside the lock, and so a moment after it is true.
    eventually(lambda: PathEventKind.UP in rig.kinds("zmq")[len(connected) :], "the fast path is back, and told so")
    kinds = rig.kinds("zmq")[len(connected) :]
    assert kinds[:3] == [PathEventKind.DISCONNECTED, PathEventKind.BREAKER_OPEN, PathEventKind.DOWN]
    assert PathEventKind.CONNECTED in kinds  # perhaps during a probe
    assert kinds[-2:] == [PathEventKind.BREAKER_CLOSED, PathEventKind.UP]
    breaker = {PathEventKind.BREAKER_OPEN, PathEventKind.BREAKER_HALF_OPEN, PathEventKind.BREAKER_CLOSED}
    states = [kind for kind in kinds if kind in breaker]
    assert states[-2:] == [PathEventKind.BREAKER_HALF_OPEN, PathEventKind.BREAKER_CLOSED]
    assert all(one is not other for one, other in pairwise(states)), "each transition is told once"


def test_calls_take_the_preferred_path_from_the_next_on_without_a_new_connection(rig: Rig, order: MakeOrder) -> None:
    assert rig.client.deliver_order(order()).path == "zmq"
    rig.client.prefer("grpc")
    assert rig.client.usable_paths == ("grpc", "zmq")
    assert rig.client.deliver_order(order()).path == "grpc"
    rig.client.prefer("grpc")
    rig.client.prefer("zmq")
    assert rig.client.deliver_order(order()).path == "zmq"
    assert (rig.zmq.connections, rig.grpc.connections, rig.client.statistics.failovers) == (1, 1, 0)

    def preferred() -> list[str]:
        return [event.path for event in tuple(rig.events) if event.kind is PathEventKind.PREFERRED]

    eventually(lambda: preferred() == ["grpc", "zmq"], "both are told")


def test_the_other_path_takes_over_while_the_preferred_one_is_down(rig: Rig, order: MakeOrder) -> None:
    rig.client.prefer("grpc")
    rig.do(rig.grpc.cut)
    assert rig.client.deliver_order(order()).path == "zmq"
    rig.do(rig.grpc.heal)
    eventually(lambda: rig.client.usable_paths == ("grpc", "zmq"), "the preferred path is back")
    assert rig.client.deliver_order(order()).path == "grpc"


def test_a_path_that_does_not_exist_cannot_be_preferred(rig: Rig) -> None:
    with pytest.raises(ValidationError, match="carrier-pigeon"):
        rig.client.prefer("carrier-pigeon")


def test_the_configuration_names_the_preferred_path(request: Any, order: MakeOrder) -> None:
    for flavour in ("async", "blocking"):
        rig = Rig(flavour, BridgeConfig(prefer="grpc"))
        request.addfinalizer(rig.close)
        rig.client.connect()
        assert rig.client.deliver_order(order()).path == "grpc"


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
        call = caller.submit(rig.client.deliver_order, order(), timeout_ms=20_000)
        eventually(lambda: rig.zmq.orders, "the order is in flight")
        rig.do(rig.zmq.cut)
        rig.do(rig.grpc.heal)
        assert call.result(30).path == "grpc"
    assert len(rig.engine.replies) == 1


def test_a_batch_in_doubt_goes_again_whole(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "loses"
    orders = [order() for _ in range(4)]
    assert [reply.order_id for reply in rig.client.execute_batch(orders)] == [each.order_id for each in orders]
    assert (len(rig.engine.replies), len(rig.engine.arrivals)) == (4, 8)


def test_a_stream_of_orders_survives_the_loss_of_a_path(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(1200)]
    replies = []
    for reply in rig.client.execute_batch_orders(orders):
        replies.append(reply.order_id)
        if len(replies) == 100:
            rig.do(rig.zmq.cut)
    assert replies == [each.order_id for each in orders]
    assert len(rig.engine.replies) == 1200
    assert rig.grpc.orders


def test_a_query_without_an_answer_on_one_path_and_refused_on_the_other_is_refused(rig: Rig) -> None:
    rig.zmq.mode, rig.grpc.command_refusal = "loses", ReasonCode.PERMISSION_DENIED
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.get_order, "o-1")
        eventually(lambda: rig.grpc.refused, "the second copy was refused")
        rig.zmq.mode, rig.zmq.command_refusal = "works", ReasonCode.PERMISSION_DENIED
        with pytest.raises(AuthenticationError, match="PERMISSION_DENIED"):
            call.result(10)
    assert rig.client.statistics.unresolved == 0


def test_two_endpoints_of_two_engines_are_refused_at_once(unconnected: Rig) -> None:
    unconnected.grpc.journal_id = "journal-b"
    with pytest.raises(JournalMismatchError, match=r"journal-a.*journal-b"):
        unconnected.client.connect()
    assert unconnected.zmq.closed and unconnected.grpc.closed


def test_an_engine_at_the_default_of_grpc_that_is_not_ours_is_not_used(request: Any, order: MakeOrder) -> None:
    for flavour in ("async", "blocking"):
        rig = Rig(flavour, bridge_settings({"zmq_endpoint": "tcp://127.0.0.1:5555", "breaker_open_ms": 10.0}))
        request.addfinalizer(rig.close)
        rig.grpc.journal_id = "journal-b"
        rig.client.connect()
        assert rig.kinds("grpc") == [PathEventKind.CONNECTED, PathEventKind.JOURNAL_MISMATCH]
        rig.do(rig.zmq.cut)
        with pytest.raises(NotSentError):
            rig.client.execute_order(order())
        assert rig.grpc.orders == []


def test_a_regressed_engine_stops_every_path(rig: Rig, order: MakeOrder) -> None:
    refused = PathRefused(reason="an older copy", code=ReasonCode.STATE_REGRESSED)
    rig.do(lambda: rig.zmq.tell(refused))
    with pytest.raises(StateRegressedError, match="an older copy"):
        rig.client.deliver_order(order())
    assert rig.engine.arrivals == []
    assert rig.client.usable_paths == ()
    eventually(lambda: rig.kinds("zmq", PathEventKind.STATE_REGRESSED), "it is told")
    assert len(rig.kinds("zmq", PathEventKind.STATE_REGRESSED)) == 1
    health = rig.client.health_check()
    assert not health.is_serving and not health.healthy and "an older copy" in health.message
    assert health.paths["zmq"]["refused"] == "STATE_REGRESSED"


def test_a_regression_that_a_call_finds_stops_the_others(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.refusal = ReasonCode.STATE_REGRESSED
    for _ in range(2):
        with pytest.raises(StateRegressedError):
            rig.client.deliver_order(order())
    assert rig.engine.arrivals == []


def test_an_order_in_doubt_when_the_state_went_back_is_unknown_at_once(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = rig.grpc.mode = "hangs"
    placed = order()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, placed, timeout_ms=20_000)
        eventually(lambda: rig.zmq.orders, "the order is in flight")
        rig.do(lambda: rig.grpc.tell(PathRefused(reason="older", code=ReasonCode.STATE_REGRESSED)))
        rig.do(rig.zmq.cut)
        with pytest.raises(OutcomeUnknownError) as unknown:
            call.result(10)
    assert unknown.value.order_id == placed.order_id
    assert isinstance(unknown.value.__cause__, StateRegressedError)


def test_close_ends_calls_in_flight_as_unknown_at_once(rig: Rig, order: MakeOrder) -> None:
    rig.do(rig.grpc.cut)
    rig.zmq.mode = "hangs"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, order(), timeout_ms=20_000)
        eventually(lambda: rig.zmq.orders, "the order is in flight")
        rig.do(rig.zmq.cut)
        rig.client.close()
        with pytest.raises(OutcomeUnknownError):
            call.result(10)


def test_a_path_that_the_engine_refused_keeps_its_reason(rig: Rig) -> None:
    refused = PathRefused(reason="version 7 only", code=ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    rig.zmq.is_connected = False
    rig.do(lambda: rig.zmq.tell(refused))
    probes = rig.zmq.probes
    eventually(lambda: rig.zmq.probes > probes + 1, "probes went on")
    state = rig.client.path_states()["zmq"]
    assert (state["refused"], state["reason"]) == ("UNSUPPORTED_PROTOCOL_VERSION", "version 7 only")
    down = [event for event in rig.events if event.kind is PathEventKind.DOWN]
    assert "UNSUPPORTED_PROTOCOL_VERSION" in down[-1].reason


def test_a_second_connect_changes_nothing(rig: Rig) -> None:
    rig.client.connect()
    assert (rig.zmq.connections, rig.grpc.connections) == (1, 1)


def drained(replies: Iterator[Any]) -> tuple[list[Any], Exception | None]:
    """What a stream gave, and what it ended with."""
    seen: list[Any] = []
    try:
        for reply in replies:
            seen.append(reply)
    except Exception as problem:
        return seen, problem
    return seen, None


def test_a_source_that_fails_gives_the_replies_to_what_was_sent_first(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(3)]

    def source() -> Iterator[Order]:
        yield from orders
        raise LookupError("no more")

    seen, problem = drained(rig.client.execute_batch_orders(source()))
    assert isinstance(problem, LookupError)
    assert [reply.order_id for reply in seen] == [each.order_id for each in orders]


def test_a_bad_dictionary_in_a_stream_gives_the_replies_to_what_was_sent_first(rig: Rig) -> None:
    good = {"symbol": "S", "order_type": "MARKET", "side": "BUY", "quantity": 1}
    seen, problem = drained(rig.client.execute_orders_batch([good, good, good | {"side": "LEFT"}]))
    assert isinstance(problem, ValidationError)
    assert [answer["status"] for answer in seen] == ["FILLED", "FILLED"]


def test_a_path_that_refuses_the_journal_later_is_reported_once(rig: Rig) -> None:
    refused = PathRefused(reason="another engine", code=ReasonCode.JOURNAL_ID_MISMATCH)
    rig.do(lambda: rig.grpc.tell(refused))
    rig.do(lambda: rig.grpc.tell(refused))
    eventually(lambda: rig.kinds("grpc", PathEventKind.JOURNAL_MISMATCH), "it is told")
    assert len(rig.kinds("grpc", PathEventKind.JOURNAL_MISMATCH)) == 1
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
        ({"side": "LEFT"}, "side"), ({"quantity": "many"}, "quantity"),
        ({"colour": "red"}, "colour"), ({"metadata": {"a": 1}}, "metadata"), ({"timestamp": "today"}, "timestamp"),
    ],
)  # fmt: skip
def test_a_bad_dictionary_is_refused_by_the_name_of_its_field(rig: Rig, change: dict[str, Any], field: str) -> None:
    fields = {"symbol": "S", "order_type": "MARKET", "side": "BUY", "quantity": 1}
    with pytest.raises(ValidationError) as refused:
        rig.client.execute_order_sync(fields | change)
    assert refused.value.field == field
    assert rig.engine.arrivals == []
