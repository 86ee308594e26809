"""Both gRPC clients against a stub engine: one suite, run for the asyncio and for the blocking client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import grpc
import pytest

from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import BlockingGrpcClient, GrpcClient
from fallback_grpc.generated import execution_pb2 as pb
from tests.conformance.drivers import BlockingFace, LoopThread
from tests.unit.fallback_grpc.stub_engine import (
    BUSY,
    SHUTTING_DOWN,
    STATE_REGRESSED,
    WRONG_JOURNAL,
    StubEngine,
)
from tests.waiting import eventually
from transport.contract.codes import ExecutionStatus, ReasonCode, ServingStatus
from transport.contract.conclusions import NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ClientClosedError,
    ExecutionError,
    ForkedProcessError,
    JournalMismatchError,
    NotSentError,
    OutcomeUnknownError,
    StateRegressedError,
    ValidationError,
    WrongLoopError,
)
from transport.contract.orders import Order
from transport.contract.path import PathConnected, PathLost, PathRefused
from transport.contract.replies import Health

MakeOrder = Callable[..., Order]


@pytest.fixture(params=["async", "blocking"])
def make_client(request: pytest.FixtureRequest) -> Iterator[Callable[[BridgeConfig], Any]]:
    """Makes unconnected clients, and closes them at the end."""
    loop = LoopThread()
    made: list[Any] = []

    def make(config: BridgeConfig) -> Any:
        client = BlockingGrpcClient(config) if request.param == "blocking" else BlockingFace(GrpcClient(config), loop)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
    loop.close()


@pytest.fixture
def client(make_client: Callable[[BridgeConfig], Any], engine: StubEngine) -> Any:
    connected = make_client(engine.config())
    connected.connect()
    return connected


def test_an_order_is_executed_and_names_session_and_journal(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    placed = order()
    delivery = client.deliver_order(placed)
    assert (delivery.reply.order_id, delivery.reply.status) == (placed.order_id, ExecutionStatus.FILLED)
    assert (delivery.path, delivery.attempts, delivery.duplicate) == ("grpc", 1, False)
    assert engine.metadata[-1]["x-journal-id"] == "journal-a"
    assert len(engine.metadata[-1]["x-session-id"]) == 36


def test_the_same_order_again_gets_the_same_reply_marked_as_duplicate(client: Any, order: MakeOrder) -> None:
    placed = order()
    first, second = client.deliver_order(placed), client.deliver_order(placed)
    assert second.reply == first.reply
    assert second.duplicate


def test_a_lost_reply_is_resolved_under_the_same_id(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.lose_replies.append(grpc.StatusCode.UNAVAILABLE)
    placed = order()
    delivery = client.deliver_order(placed)
    assert (delivery.duplicate, delivery.attempts) == (True, 2)
    assert engine.received == [placed.order_id] * 2


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_an_attempt_whose_stream_broke_is_unknown(
    client: Any, engine: StubEngine, order: MakeOrder, code: grpc.StatusCode
) -> None:
    engine.lose_replies.append(code)
    assert isinstance(client.attempt_order(order(), 20_000), Unknown)


def test_an_attempt_without_an_answer_in_time_is_unknown(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.hold.clear()
    assert isinstance(client.attempt_order(order(), 50), Unknown)


def test_a_call_without_an_answer_names_the_order_in_doubt(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.hold.clear()
    placed = order()
    with pytest.raises(OutcomeUnknownError) as unknown:
        client.execute_order(placed, timeout_ms=1_500)
    assert unknown.value.order_id == placed.order_id
    assert set(engine.received) == {placed.order_id}


def test_busy_is_tried_again_once_under_the_same_id(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.refuse.append(BUSY)
    placed = order()
    assert client.deliver_order(placed).attempts == 2
    engine.refuse.extend([BUSY, BUSY])
    with pytest.raises(ExecutionError) as refused:
        client.execute_order(order())
    assert refused.value.code == ReasonCode.BUSY
    assert engine.received == [placed.order_id]


def test_a_refusal_after_a_lost_reply_is_no_refusal(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.lose_replies.append(grpc.StatusCode.UNAVAILABLE)
    engine.refuse_after_loss.extend([SHUTTING_DOWN, SHUTTING_DOWN, SHUTTING_DOWN])
    delivery = client.deliver_order(order())
    assert (delivery.duplicate, delivery.attempts) == (True, 5)


def test_nobody_there_means_not_sent(make_client: Callable[[BridgeConfig], Any], order: MakeOrder) -> None:
    client = make_client(BridgeConfig(grpc_endpoint="127.0.0.1:1", connect_timeout_ms=100.0))
    with pytest.raises(NotSentError):
        client.connect()
    client.bind_journal("journal-a")
    assert isinstance(client.attempt_order(order(), 500), NotSent)
    with pytest.raises(NotSentError):
        client.execute_order(order())


def test_before_the_engine_is_known_nothing_is_sent(
    make_client: Callable[[BridgeConfig], Any], engine: StubEngine, order: MakeOrder
) -> None:
    assert isinstance(make_client(engine.config()).attempt_order(order(), 500), NotSent)
    assert engine.received == []


def test_another_engine_is_refused_and_reported(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    events: list[Any] = []
    client.add_listener(events.append)
    engine.journal_id = "journal-b"
    assert client.attempt_order(order(), 20_000) == Refused(ReasonCode.JOURNAL_ID_MISMATCH, "as scripted", "")
    with pytest.raises(JournalMismatchError):
        client.execute_order(order())
    assert not client.probe(1_000)
    assert [type(event) for event in events] == [PathRefused]
    assert engine.received == []


def test_the_path_reports_loss_and_return(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    events: list[Any] = []
    client.add_listener(events.append)
    engine.stop()
    assert not client.probe(1_000)
    assert not client.is_connected
    engine.start()
    eventually(lambda: client.probe(1_000), "the engine was found again")
    kinds = [type(event) for event in events]
    assert kinds[0] is PathLost
    assert kinds[-1] is PathConnected
    assert isinstance(client.attempt_order(order(), 20_000), Replied)


def test_a_batch_is_one_message_answered_by_index(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    orders = [order() for _ in range(5)]
    assert [reply.order_id for reply in client.execute_batch(orders)] == [each.order_id for each in orders]
    assert client.execute_batch([]) == []
    assert len(engine.metadata) == 1


def test_a_batch_whose_reply_is_lost_is_sent_again_whole(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.lose_replies.append(grpc.StatusCode.UNAVAILABLE)
    orders = [order() for _ in range(3)]
    assert len(client.execute_batch(orders)) == 3
    assert (len(engine.replies), engine.duplicates) == (3, 3)


def test_an_answer_to_a_part_of_a_batch_is_not_believed(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.short_answers = 1
    orders = [order() for _ in range(3)]
    assert [reply.order_id for reply in client.execute_batch(orders)] == [each.order_id for each in orders]
    assert (len(engine.replies), engine.duplicates) == (3, 3), "the whole batch was asked for again"


def test_a_message_that_grpc_would_not_send_is_refused_and_not_left_in_doubt(
    client: Any, engine: StubEngine, order: MakeOrder
) -> None:
    with pytest.raises(ValidationError) as refused:
        client.execute_order(order(metadata={"novel": "x" * 5_000_000}))
    assert refused.value.code == ReasonCode.MESSAGE_TOO_LARGE
    assert engine.received == []


def test_a_stream_of_orders_is_answered_in_its_order(client: Any, order: MakeOrder) -> None:
    orders = [order() for _ in range(200)]
    assert [reply.order_id for reply in client.execute_batch_orders(orders)] == [each.order_id for each in orders]


def test_a_stream_that_breaks_loses_and_doubles_nothing(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.break_stream_after = 20
    engine.lose_replies.append(grpc.StatusCode.UNAVAILABLE)
    orders = [order() for _ in range(150)]
    replies = list(client.execute_batch_orders(orders))
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    assert len(engine.replies) == 150


def test_a_stream_goes_on_past_an_order_that_cannot_be_sent(client: Any, order: MakeOrder) -> None:
    orders = [order(), order(metadata={"key": 3}), order()]
    replies = client.execute_batch_orders(orders)
    assert [next(replies).order_id, next(replies).order_id] == [orders[0].order_id, orders[2].order_id]
    with pytest.raises(ValidationError, match="metadata"):
        next(replies)


def test_a_command_is_repeated_under_its_id(client: Any, engine: StubEngine) -> None:
    engine.lose_replies.append(grpc.StatusCode.UNAVAILABLE)
    reply = client.cancel_order("unknown", command_id="c-1")
    assert (reply.command_id, reply.fenced, reply.code) == ("c-1", True, ReasonCode.UNKNOWN_ORDER)
    assert [message.command_id for message in engine.messages] == ["c-1", "c-1"]
    assert client.get_order("unknown", fence=True).fenced


def test_updates_go_on_from_the_last_one_after_a_break(client: Any, engine: StubEngine) -> None:
    engine.updates = [pb.OrderResponse(order_id="a", sequence=number) for number in (1, 2, 3)]
    engine.end_updates.extend([(grpc.StatusCode.UNAVAILABLE, ()), None])
    updates = client.subscribe_order_updates(resume_from=0)
    assert [update.sequence for update in islice(updates, 3)] == [1, 2, 3]
    engine.updates = [*engine.updates, pb.OrderResponse(order_id="a", sequence=4)]
    assert next(updates).sequence == 4
    updates.close()
    assert engine.subscriptions[-1].resume_from == 3


def test_a_subscription_from_now_that_broke_before_its_first_update_misses_none(
    client: Any, engine: StubEngine
) -> None:
    engine.updates = [pb.OrderResponse(order_id="a", sequence=number) for number in range(1, 8)]
    engine.updates_from_now_after = 7
    engine.end_updates.extend([(grpc.StatusCode.UNAVAILABLE, ())])
    updates = client.subscribe_order_updates()
    engine.updates_after_break = [pb.OrderResponse(order_id="a", sequence=8)]
    assert next(updates).sequence == 8
    updates.close()
    first, second = engine.subscriptions
    assert (first.HasField("resume_from"), second.resume_from) == (False, 7)


def test_an_engine_that_has_forgotten_ends_a_subscription_loudly(client: Any, engine: StubEngine) -> None:
    engine.end_updates.append(STATE_REGRESSED)
    with pytest.raises(StateRegressedError):
        next(client.subscribe_order_updates(resume_from=99))


def test_market_data_arrives(client: Any) -> None:
    stream = client.stream_market_data(["SP500"])
    assert next(stream).symbol == "SP500"
    stream.close()


def test_a_closed_client_sends_nothing(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    client.close()
    with pytest.raises(ClientClosedError):
        client.execute_order(order())
    assert engine.received == []


def test_an_order_in_flight_when_its_client_is_closed_is_unknown_and_never_not_sent(
    client: Any, engine: StubEngine, order: MakeOrder
) -> None:
    engine.hold.clear()
    placed = order()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(client.execute_order, placed, timeout_ms=20_000)
        eventually(lambda: engine.received, "the order is in flight")
        client.close()
        with pytest.raises(OutcomeUnknownError) as unknown:
            call.result(30)
    assert unknown.value.order_id == placed.order_id


def test_a_channel_that_went_silent_is_replaced_and_its_orders_are_resolved(
    client: Any, engine: StubEngine, order: MakeOrder
) -> None:
    with FaultProxy(f"127.0.0.1:{engine.port}") as proxy:
        config = engine.config(grpc_endpoint=proxy.endpoint)
        flavour = client if isinstance(client, BlockingFace) else None
        other: Any = BlockingGrpcClient(config) if flavour is None else BlockingFace(GrpcClient(config), flavour._loop)
        other.connect()
        proxy.blackhole()
        with ThreadPoolExecutor(1) as caller:
            call = caller.submit(other.deliver_order, order(), timeout_ms=20_000)
            eventually(lambda: not other.probe(50) and not other.is_connected, "the silence was noticed")
            proxy.heal()
            assert call.result(30).reply.status == ExecutionStatus.FILLED
        other.close()


def test_a_client_of_the_parent_process_is_refused_in_the_child(
    client: Any, order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ForkedProcessError):
        client.execute_order(order())


def test_a_client_of_another_loop_is_refused(engine: StubEngine, order: MakeOrder) -> None:
    first, second = LoopThread(), LoopThread()
    client = GrpcClient(engine.config())
    first.run(client.connect())
    with pytest.raises(WrongLoopError):
        second.run(client.execute_order(order()))
    first.run(client.close())
    first.close()
    second.close()


def test_a_wrong_journal_is_named_in_the_refusal(client: Any, engine: StubEngine, order: MakeOrder) -> None:
    engine.refuse.append(WRONG_JOURNAL)
    assert isinstance(client.attempt_order(order(), 20_000), Refused)


def test_a_client_that_receives_updates_is_connected(client: Any, engine: StubEngine) -> None:
    engine.updates = [pb.OrderResponse(order_id="a", status=pb.PENDING, sequence=1)]
    client._state.lost("as if reset")
    next(iter(client.subscribe_order_updates(resume_from=0)))
    assert client.is_connected


def test_after_a_loss_the_engine_says_who_it_is_before_it_gets_an_order(
    client: Any, engine: StubEngine, order: MakeOrder
) -> None:
    client._state.check_answer(Health(status=ServingStatus.SERVING, epoch=2), client._state.mark())
    client._state.lost("the engine was killed")  # and one of an older epoch came back
    with pytest.raises(StateRegressedError):
        client.execute_order(order())
    assert engine.received == []
