"""Orders of unknown outcome over two scripted paths: one suite, for the asyncio and for the blocking client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fallback_grpc import ExecutionBridgeClient, Resolution
from fallback_grpc.resolution import DoubtfulOrders, resolution_of_query
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeEngine
from tests.unit.fallback_grpc.test_bridge import Rig
from tests.waiting import eventually
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.config import BridgeConfig
from transport.contract.errors import AuthenticationError, ExecutionError, OutcomeUnknownError
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderReply

MakeOrder = Callable[..., Order]
CONFIG = BridgeConfig(breaker_open_ms=10.0, call_timeout_ms=200.0, unknown_resolution_ms=5_000.0)
PATIENT_MS = 20_000
"""For a path that comes back: ends a test that hangs, and nothing is judged by it."""


@pytest.fixture(params=["async", "blocking"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param, CONFIG)
    rig.client.connect()
    yield rig
    rig.zmq.mode = rig.grpc.mode = "works"
    rig.do(rig.zmq.release)
    rig.do(rig.grpc.release)
    rig.close()


def in_doubt(rig: Rig, order: Order, *, executed: bool) -> OutcomeUnknownError:
    """Leaves an order of unknown outcome behind: both paths die after it was sent."""
    rig.zmq.mode = rig.grpc.mode = "hangs" if executed else "drops"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.execute_order, order)
        eventually(lambda: rig.zmq.orders, "the order is in flight")
        rig.do(rig.zmq.cut)
        rig.do(rig.grpc.cut)
        with pytest.raises(OutcomeUnknownError) as unknown:
            call.result(30)
    return unknown.value


def test_an_unknown_outcome_says_what_is_known_of_it(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    unknown = in_doubt(rig, placed, executed=True)
    assert (unknown.order_id, unknown.path_alive, unknown.paths[0]) == (placed.order_id, False, "zmq")
    assert unknown.copies >= 1 and unknown.reason and "every path is dead" in str(unknown)
    assert rig.client.unresolved_orders == (placed.order_id,)
    assert rig.client.statistics.unresolved == 1


def test_an_order_that_was_executed_is_resolved_by_its_stored_reply(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    in_doubt(rig, placed, executed=True)
    rig.do(rig.grpc.heal)
    resolution: Resolution = rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)
    assert (resolution.executed, resolution.fenced, resolution.resent) == (True, False, True)
    assert resolution.reply == rig.engine.replies[placed.order_id]
    assert rig.client.unresolved_orders == ()
    assert len(rig.engine.replies) == 1


def test_an_order_that_was_lost_on_its_way_is_sent_again_under_its_id(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    in_doubt(rig, placed, executed=False)
    assert rig.engine.replies == {}
    rig.do(rig.zmq.heal)
    resolution = rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)
    assert resolution.executed and list(rig.engine.replies) == [placed.order_id]


def test_an_id_that_is_not_remembered_is_fenced(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    resolution = rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)
    assert (resolution.executed, resolution.fenced, resolution.resent) == (False, True, False)
    assert rig.client.execute_order(placed).code == ReasonCode.FENCED


def test_an_id_that_is_not_remembered_and_was_executed_is_found(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    reply = rig.client.execute_order(placed)
    resolution = rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)
    assert (resolution.executed, resolution.resent, resolution.reply) == (True, False, reply)


def test_an_order_in_doubt_that_is_sent_again_by_hand_is_resolved_by_that(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    in_doubt(rig, placed, executed=True)
    rig.do(rig.grpc.heal)
    eventually(lambda: rig.client.usable_paths == ("grpc",), "a path is back")
    assert rig.client.deliver_order(placed).duplicate
    assert rig.client.unresolved_orders == ()


def test_resolving_waits_for_a_path_and_keeps_the_order_where_none_comes(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    in_doubt(rig, placed, executed=True)
    with pytest.raises(OutcomeUnknownError):
        rig.client.resolve(placed.order_id, timeout_ms=30)
    assert rig.client.unresolved_orders == (placed.order_id,)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.resolve, placed.order_id, timeout_ms=PATIENT_MS)
        rig.do(rig.grpc.heal)
        assert call.result(30).executed


def test_resolving_one_id_at_once_is_one_resolution(
    rig: Rig, order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = order()
    in_doubt(rig, placed, executed=True)
    resolver = getattr(rig.client, "_client", rig.client)._resolver
    asking, resolve = list[str](), resolver.resolve
    monkeypatch.setattr(resolver, "resolve", lambda *asked: asking.append(asked[0]) or resolve(*asked))
    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(rig.client.resolve, placed.order_id, timeout_ms=PATIENT_MS) for _ in range(4)]
        eventually(lambda: len(asking) == 4, "all of them ask")
        arrivals = len(rig.engine.arrivals)
        rig.do(rig.zmq.heal)
        answers = [call.result(30) for call in calls]
    assert all(answer is answers[0] for answer in answers) or answers.count(answers[0]) == 4
    assert len(rig.engine.arrivals) == arrivals + 1


def test_a_call_in_doubt_goes_on_past_its_time_while_a_path_is_alive(rig: Rig, order: MakeOrder) -> None:
    rig.do(rig.grpc.cut)
    rig.zmq.mode = "hangs"
    placed, began = order(), time.monotonic()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, placed)
        eventually(lambda: len(rig.zmq.orders) > 1, "it was sent again after its time")
        assert time.monotonic() - began >= CONFIG.call_timeout_ms / 1_000
        rig.zmq.mode = "works"
        rig.do(rig.zmq.release)
        assert call.result(30).reply.order_id == placed.order_id
    assert rig.client.unresolved_orders == ()
    assert (rig.client.statistics.resolved, len(rig.engine.replies)) == (1, 1)


def test_without_time_to_resolve_a_call_ends_with_its_own_time(request: Any, order: MakeOrder) -> None:
    for flavour in ("async", "blocking"):
        rig = Rig(flavour, BridgeConfig(call_timeout_ms=100.0, unknown_resolution_ms=0))
        request.addfinalizer(rig.close)
        rig.client.connect()
        rig.zmq.mode = rig.grpc.mode = "loses"
        with pytest.raises(OutcomeUnknownError) as unknown:
            rig.client.execute_order(order())
        assert unknown.value.path_alive and "no answer in time" in str(unknown.value)


def test_a_copy_in_doubt_and_the_next_refused_for_good_is_settled_by_a_fence_found(rig: Rig, order: MakeOrder) -> None:
    rig.grpc.refusal = ReasonCode.PERMISSION_DENIED
    rig.zmq.mode = "loses"
    placed = order()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, placed)
        eventually(lambda: rig.grpc.refused, "the second copy was refused")
        rig.zmq.mode, rig.zmq.refusal = "works", ReasonCode.PERMISSION_DENIED
        assert call.result(30).reply == rig.engine.replies[placed.order_id]
    assert rig.client.unresolved_orders == ()


def test_a_copy_in_doubt_and_the_next_refused_for_good_is_settled_by_a_fence_placed(rig: Rig, order: MakeOrder) -> None:
    rig.grpc.refusal = ReasonCode.PERMISSION_DENIED
    rig.zmq.mode = "drops"
    placed = order()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, placed)
        eventually(lambda: rig.grpc.refused, "the second copy was refused")
        rig.zmq.mode, rig.zmq.refusal = "works", ReasonCode.PERMISSION_DENIED
        with pytest.raises(AuthenticationError, match="never executed"):
            call.result(30)
    assert rig.engine.fenced == {placed.order_id}
    assert rig.client.unresolved_orders == ()


def test_an_order_in_doubt_is_not_fenced_for_an_engine_that_is_only_busy(request: Any, order: MakeOrder) -> None:
    for flavour in ("async", "blocking"):
        rig = Rig(flavour, BridgeConfig(call_timeout_ms=100.0, unknown_resolution_ms=50.0))
        request.addfinalizer(rig.close)
        rig.client.connect()
        rig.zmq.mode, rig.grpc.refusal = "drops", ReasonCode.BUSY
        placed = order()
        with pytest.raises(OutcomeUnknownError):
            rig.client.execute_order(placed)
        assert rig.engine.fenced == set()
        rig.grpc.refusal = None
        assert rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS).executed


def test_a_cancelled_caller_leaves_an_order_that_can_be_resolved(order: MakeOrder) -> None:
    async def check() -> None:
        engine = FakeEngine()
        paths: Any = {"zmq": FakeAsyncPath(engine), "grpc": FakeAsyncPath(engine)}
        client = ExecutionBridgeClient(CONFIG, paths=paths)
        await client.connect()
        paths["zmq"].mode = "hangs"
        placed = order()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.execute_order(placed), 0.02)
        assert client.unresolved_orders == (placed.order_id,)
        paths["zmq"].mode = "works"
        assert (await client.resolve(placed.order_id, timeout_ms=PATIENT_MS)).executed
        await client.close()

    asyncio.run(check())


def test_who_stops_waiting_for_a_resolution_leaves_it_to_the_others(order: MakeOrder) -> None:
    async def check() -> None:
        engine = FakeEngine()
        paths: Any = {"zmq": FakeAsyncPath(engine), "grpc": FakeAsyncPath(engine)}
        client = ExecutionBridgeClient(CONFIG, paths=paths)
        await client.connect()
        paths["zmq"].mode = "hangs"
        placed = order()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.execute_order(placed), 0.02)
        impatient = asyncio.create_task(client.resolve(placed.order_id, timeout_ms=PATIENT_MS))
        patient = asyncio.create_task(client.resolve(placed.order_id, timeout_ms=PATIENT_MS))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        paths["zmq"].release()
        assert (await patient).executed
        await client.close()

    asyncio.run(check())


def test_the_orders_of_a_batch_in_doubt_are_each_resolved(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = rig.grpc.mode = "loses"
    orders = [order() for _ in range(3)]
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.execute_batch, orders)
        eventually(lambda: rig.grpc.batches, "it went out twice")
        rig.do(rig.zmq.cut)
        rig.do(rig.grpc.cut)
        with pytest.raises(OutcomeUnknownError) as unknown:
            call.result(30)
    assert unknown.value.order_ids == tuple(each.order_id for each in orders)
    rig.do(rig.grpc.heal)
    assert all(rig.client.resolve(order_id, timeout_ms=PATIENT_MS).executed for order_id in unknown.value.order_ids)
    assert len(rig.engine.replies) == 3


def test_of_too_many_orders_in_doubt_the_oldest_are_forgotten(order: MakeOrder) -> None:
    doubtful, orders = DoubtfulOrders(2), [order() for _ in range(3)]
    doubtful.add(orders)
    assert doubtful.ids() == tuple(each.order_id for each in orders[1:])
    assert doubtful.get(orders[0].order_id) is None


def test_a_query_that_is_refused_settles_nothing() -> None:
    with pytest.raises(ExecutionError):
        resolution_of_query("o-1", GetOrderReply(code=ReasonCode.BUSY), "zmq")


def test_a_rejection_is_no_execution() -> None:
    rejected = OrderReply(order_id="o-1", status=ExecutionStatus.REJECTED, code=ReasonCode.EXPIRED)
    resolution = resolution_of_query("o-1", GetOrderReply(found=True, reply=rejected, order=rejected), "zmq")
    assert not resolution.executed and not resolution.fenced and resolution.reply == rejected
