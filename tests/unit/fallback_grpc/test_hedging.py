"""Hedged orders over two scripted paths: one suite, for the asyncio and for the blocking client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from fallback_grpc import ExecutionBridgeClient
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeEngine
from tests.unit.fallback_grpc.test_bridge import Rig
from tests.waiting import eventually
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.config import BridgeConfig
from transport.contract.errors import OutcomeUnknownError
from transport.contract.orders import Order

MakeOrder = Callable[..., Order]
HEDGING = BridgeConfig(breaker_open_ms=10.0, call_timeout_ms=20_000.0, hedge_after_us=1_000, hedge_share=1.0)


@pytest.fixture(params=["async", "blocking"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param, HEDGING)
    rig.client.connect()
    yield rig
    rig.zmq.mode = rig.grpc.mode = "works"
    rig.do(rig.zmq.release)
    rig.do(rig.grpc.release)
    rig.close()


def test_an_order_that_hesitates_is_answered_by_the_other_path(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "hangs"
    placed = order()
    delivery = rig.client.deliver_order(placed)
    assert (delivery.path, delivery.duplicate, delivery.attempts) == ("grpc", True, 2)
    assert rig.engine.arrivals == [placed.order_id] * 2
    statistics = rig.client.statistics
    assert (statistics.hedged, statistics.hedge_won, statistics.unresolved) == (1, 1, 0)


def test_an_order_that_is_answered_in_time_is_sent_once(rig: Rig, order: MakeOrder) -> None:
    slow_machine = BridgeConfig(hedge_after_us=10_000_000, hedge_share=1.0)
    patient = Rig(rig.flavour, slow_machine)
    try:
        patient.client.connect()
        assert patient.client.deliver_order(order()).attempts == 1
        assert patient.grpc.orders == [] and patient.client.statistics.hedged == 0
    finally:
        patient.close()


def test_a_hedge_that_is_refused_while_the_first_copy_fills_does_not_read_as_a_refusal(
    rig: Rig, order: MakeOrder
) -> None:
    rig.zmq.mode, rig.grpc.refusal = "hangs", ReasonCode.BUSY
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, order())
        eventually(lambda: rig.grpc.refused, "the hedge was refused")
        assert not call.done()
        rig.do(rig.zmq.release)
        assert call.result(10).path == "zmq"
    statistics = rig.client.statistics
    assert (statistics.hedged, statistics.hedge_won) == (1, 0)


def test_a_first_copy_that_is_lost_leaves_the_hedge_to_answer(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = rig.grpc.mode = "hangs"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, order())
        eventually(lambda: rig.zmq.orders and rig.grpc.orders, "both copies are in flight")
        rig.do(rig.zmq.cut)
        rig.do(rig.grpc.release)
        delivery = call.result(10)
    assert (delivery.path, delivery.duplicate) == ("grpc", True)


def test_refused_by_both_is_a_refusal(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.refusal = rig.grpc.refusal = ReasonCode.PERMISSION_DENIED
    with pytest.raises(Exception, match="PERMISSION_DENIED") as refused:
        rig.client.deliver_order(order())
    assert not isinstance(refused.value, OutcomeUnknownError)
    assert rig.engine.arrivals == []


def test_no_more_than_the_share_is_hedged(rig: Rig, order: MakeOrder) -> None:
    sparing = Rig(rig.flavour, BridgeConfig(hedge_after_us=1_000, hedge_share=0.05, call_timeout_ms=20_000.0))
    try:
        sparing.client.connect()
        with ThreadPoolExecutor(1) as caller:
            for earlier in range(19):
                sparing.do(sparing.zmq.hold)
                call = caller.submit(sparing.client.deliver_order, order())
                eventually(lambda earlier=earlier: len(sparing.zmq.orders) > earlier, "it is sent")
                due_s = time.monotonic() + 0.01
                eventually(lambda due_s=due_s: time.monotonic() > due_s, "its hedge was due")
                sparing.do(sparing.zmq.release)
                call.result(30)
                assert sparing.client.statistics.hedged == 0
            sparing.do(sparing.zmq.hold)
            assert caller.submit(sparing.client.deliver_order, order()).result(30).path == "grpc"
        assert sparing.client.statistics.hedged == 1
    finally:
        sparing.do(sparing.zmq.release)
        sparing.close()


# ---- an order that is to be hedged, or not, by its own call ----


@pytest.fixture
def unhedged(rig: Rig) -> Iterator[Rig]:
    """A client whose orders are not hedged unless their calls say so."""
    plain = Rig(rig.flavour, msgspec.structs.replace(HEDGING, hedge_after_us=0))
    plain.client.connect()
    yield plain
    plain.zmq.mode = plain.grpc.mode = "works"
    plain.do(plain.zmq.release)
    plain.do(plain.grpc.release)
    plain.close()


def test_an_order_hedged_by_its_call_goes_by_both_paths_at_once(unhedged: Rig, order: MakeOrder) -> None:
    unhedged.zmq.mode = "hangs"
    placed = order()
    delivery = unhedged.client.deliver_order(placed, hedge=True)
    assert (delivery.path, delivery.duplicate, delivery.attempts) == ("grpc", True, 2)
    assert unhedged.client.execute_order(order(), hedge=True).status == ExecutionStatus.FILLED
    statistics = unhedged.client.statistics
    assert (statistics.hedged, statistics.hedge_won, statistics.unresolved) == (2, 2, 0)


def test_an_order_of_such_a_client_without_a_word_is_not_hedged(unhedged: Rig, order: MakeOrder) -> None:
    assert unhedged.client.deliver_order(order()).attempts == 1
    assert unhedged.client.deliver_order(order(), hedge=False).attempts == 1
    assert unhedged.client.statistics.hedged == 0 and unhedged.grpc.orders == []


def test_an_order_that_is_not_to_be_hedged_is_waited_for(rig: Rig, order: MakeOrder) -> None:
    rig.zmq.mode = "hangs"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, order(), hedge=False)
        eventually(lambda: rig.zmq.orders, "the copy is in flight")
        assert rig.client.deliver_order(order()).path == "grpc", "another one is hedged meanwhile"
        rig.do(rig.zmq.release)
        call.result(10)
    assert rig.client.statistics.hedged == 1


def test_a_hedge_asked_for_that_is_refused_while_the_first_copy_fills_does_not_read_as_a_refusal(
    unhedged: Rig, order: MakeOrder
) -> None:
    unhedged.zmq.mode, unhedged.grpc.refusal = "hangs", ReasonCode.BUSY
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(unhedged.client.deliver_order, order(), hedge=True)
        eventually(lambda: unhedged.grpc.refused == 1, "the hedge was refused")
        assert not call.done()
        unhedged.do(unhedged.zmq.release)
        assert call.result(10).path == "zmq"


def test_calls_that_ask_for_hedges_stay_within_the_share_of_all_orders(rig: Rig, order: MakeOrder) -> None:
    sparing = Rig(rig.flavour, BridgeConfig(hedge_share=0.05))
    try:
        sparing.client.connect()
        for _ in range(18):
            sparing.client.execute_order(order())
        assert sparing.client.deliver_order(order(), hedge=True).attempts == 1, "the nineteenth"
        sparing.client.deliver_order(order(), hedge=True)
        assert sparing.client.statistics.hedged == 1
        assert sparing.client.deliver_order(order(), hedge=True).attempts == 1, "the share is used up"
    finally:
        sparing.close()


def test_a_cancelled_caller_leaves_no_copy_waiting(order: MakeOrder) -> None:
    async def check() -> None:
        engine = FakeEngine()
        zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
        zmq.mode = grpc.mode = "hangs"
        paths: Any = {"zmq": zmq, "grpc": grpc}
        client = ExecutionBridgeClient(HEDGING, paths=paths)
        zmq.mode = grpc.mode = "works"
        await client.connect()
        zmq.mode = grpc.mode = "hangs"
        before = asyncio.all_tasks()
        call = asyncio.create_task(client.deliver_order(order()))
        while not (zmq.orders and grpc.orders):  # noqa: ASYNC110 (the fakes have no event for it)
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await asyncio.sleep(0)
        assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
        await client.close()

    asyncio.run(check())
