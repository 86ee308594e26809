"""Orders of a batch that stay in doubt, and ids that the engine has forgotten: neither reads as "not executed"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from fallback_grpc import ExecutionBridgeClient
from fallback_grpc.resolution import resolution_of_query
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeEngine
from tests.unit.fallback_grpc.test_bridge import Rig
from tests.unit.fallback_grpc.test_resolution import CONFIG, PATIENT_MS, in_doubt
from tests.waiting import eventually
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import NotSent
from transport.contract.errors import ClientClosedError, OutcomeUnknownError, ValidationError
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderReply

MakeOrder = Callable[..., Order]


@pytest.fixture(params=["async", "blocking"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param, CONFIG)
    rig.client.connect()
    yield rig
    rig.close()


def refuse(rig: Rig, code: ReasonCode, *orders: Order) -> None:
    """Every copy of these is refused, and what zmq answers is lost."""
    rig.zmq.mode = "loses"
    for path in (rig.zmq, rig.grpc):
        path.refused_ids = {order.order_id: code for order in orders}


def sent_again(rig: Rig, how: str, orders: list[Order]) -> list[OrderReply]:
    """Sends orders by hand, as one message or singly."""
    if how == "order":
        return [rig.client.execute_order(each) for each in orders]
    return rig.client.execute_batch(orders) if how == "batch" else list(rig.client.execute_batch_orders(orders))


def test_one_order_of_a_batch_refused_and_fenced_leaves_the_others_their_replies(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(3)]
    refuse(rig, ReasonCode.PERMISSION_DENIED, orders[1])
    replies = rig.client.execute_batch(orders)
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    filled, failed = ExecutionStatus.FILLED, ExecutionStatus.FAILED
    assert [reply.status for reply in replies] == [filled, failed, filled]
    assert replies[1].code == ReasonCode.PERMISSION_DENIED and "never executed" in replies[1].error_message
    assert rig.engine.fenced == {orders[1].order_id}
    assert rig.client.unresolved_orders == ()


def test_a_batch_whose_client_is_closed_while_it_is_settled_is_in_doubt(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(3)]
    refuse(rig, ReasonCode.BUSY, *orders[1:])
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.execute_batch, orders, timeout_ms=PATIENT_MS)
        eventually(lambda: rig.zmq.refused + rig.grpc.refused > 4, "the refused ones are being settled")
        rig.client.close()
        with pytest.raises(OutcomeUnknownError) as unknown:
            call.result(10)
    assert set(unknown.value.order_ids) == {each.order_id for each in orders[1:]}
    assert set(unknown.value.order_ids) <= set(rig.client.unresolved_orders)


@pytest.mark.parametrize("how", ["batch", "stream"])
async def test_a_refusal_in_a_batch_is_not_final_while_another_copy_is_in_flight(how: str, order: MakeOrder) -> None:
    engine = FakeEngine()
    zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
    paths: Any = {"zmq": zmq, "grpc": grpc}
    client = ExecutionBridgeClient(msgspec.structs.replace(CONFIG, call_timeout_ms=2_000.0), paths=paths)
    orders = [order() for _ in range(3)]
    copies: list[str] = []

    async def not_sent_at_first(part: Any, timeout_ms: float) -> Any:
        copies.append("zmq")
        return NotSent("the window is full") if len(copies) == 1 else zmq.answer_batch(part)

    async def in_flight(part: Any, timeout_ms: float) -> Any:
        copies.append("grpc")
        await asyncio.Event().wait()

    zmq.attempt_batch = not_sent_at_first  # type: ignore[method-assign]
    grpc.attempt_batch = in_flight  # type: ignore[method-assign]
    zmq.refused_ids = grpc.refused_ids = {orders[1].order_id: ReasonCode.PERMISSION_DENIED}
    async with asyncio.timeout(20), client:
        if how == "batch":
            replies = await client.execute_batch(orders)
        else:
            replies = [reply async for reply in client.execute_batch_orders(orders)]
        assert copies == ["zmq", "grpc", "zmq"]
        assert [reply.status == ExecutionStatus.FAILED for reply in replies] == [False, True, False]
        assert engine.fenced == {orders[1].order_id}, "the copy in flight must not execute it after this"
        assert client.unresolved_orders == ()


@pytest.mark.parametrize("how", ["batch", "stream"])
async def test_who_is_cancelled_before_he_heard_of_answered_orders_finds_them_unresolved(
    how: str, order: MakeOrder
) -> None:
    engine = FakeEngine()
    zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
    paths: Any = {"zmq": zmq, "grpc": grpc}
    client = ExecutionBridgeClient(msgspec.structs.replace(CONFIG, call_timeout_ms=20_000.0), paths=paths)
    orders = [order() for _ in range(3)]
    zmq.mode = "loses"
    zmq.refused_ids = grpc.refused_ids = {orders[1].order_id: ReasonCode.BUSY}

    async def call() -> Any:
        if how == "batch":
            return await client.execute_batch(orders)
        return [reply async for reply in client.execute_batch_orders(orders)]

    async with asyncio.timeout(20), client:
        caller = asyncio.create_task(call())
        await asyncio.to_thread(eventually, lambda: zmq.refused + grpc.refused > 4, "the refused one is being settled")
        caller.cancel()
        await asyncio.wait({caller})
        assert set(client.unresolved_orders) == {each.order_id for each in orders}


def test_an_order_in_doubt_stays_in_doubt_at_a_closed_client(order: MakeOrder) -> None:
    async def check() -> None:
        engine = FakeEngine()
        paths: Any = {"zmq": FakeAsyncPath(engine), "grpc": FakeAsyncPath(engine)}
        client = ExecutionBridgeClient(CONFIG, paths=paths)
        await client.connect()
        await client.close()
        placed = order()
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.settle_order(placed, in_doubt=True)
        assert isinstance(unknown.value.__cause__, ClientClosedError)
        assert (unknown.value.order_id, client.unresolved_orders) == (placed.order_id, (placed.order_id,))
        with pytest.raises(ClientClosedError):
            await client.settle_order(order(), in_doubt=False)

    asyncio.run(check())


def test_an_order_in_doubt_whose_id_the_engine_has_forgotten_stays_unknown(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    in_doubt(rig, placed, executed=True)
    rig.engine.forgotten.add(placed.order_id)
    rig.do(rig.grpc.heal)
    with pytest.raises(OutcomeUnknownError, match="archive") as unknown:
        rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)
    assert (unknown.value.order_id, unknown.value.refusal) == (placed.order_id, ReasonCode.ID_TOO_OLD)
    assert rig.client.unresolved_orders == (placed.order_id,)
    assert rig.client.execute_order(placed).code == ReasonCode.ID_TOO_OLD, "by hand, the engine's word as it is"
    assert rig.client.unresolved_orders == (placed.order_id,)


def test_an_order_that_the_engine_has_forgotten_is_dismissed_by_hand_and_said_so(rig: Rig, order: MakeOrder) -> None:
    placed, told = order(), []
    rig.client.on_dismissed(told.append)
    in_doubt(rig, placed, executed=True)
    with pytest.raises(ValidationError, match="resolve it"):
        rig.client.dismiss(placed.order_id)
    rig.engine.forgotten.add(placed.order_id)
    rig.do(rig.grpc.heal)
    with pytest.raises(OutcomeUnknownError, match="archive"):
        rig.client.resolve(placed.order_id)
    assert rig.client.unresolved_orders == (placed.order_id,) and told == [], "never by itself"
    assert rig.client.dismiss(placed.order_id).order == placed
    assert rig.client.unresolved_orders == ()
    assert [each.order for each in told] == [placed]
    with pytest.raises(ValidationError, match="not remembered"):
        rig.client.dismiss(placed.order_id)
    with pytest.raises(OutcomeUnknownError, match="archive"):
        rig.client.resolve(placed.order_id)
    assert rig.client.unresolved_orders == ()


def test_a_forgotten_order_of_a_batch_may_be_dismissed_and_one_that_is_only_in_doubt_may_not(
    rig: Rig, order: MakeOrder
) -> None:
    orders = [order() for _ in range(3)]
    rig.engine.forgotten.add(orders[2].order_id)
    rig.zmq.mode = "loses"
    with pytest.raises(OutcomeUnknownError):
        rig.client.execute_batch(orders)
    rig.client.dismiss(orders[2].order_id)
    assert rig.client.unresolved_orders == ()


@pytest.mark.parametrize("how", ["order", "batch", "stream"])
def test_an_order_in_doubt_that_is_answered_as_too_old_may_be_dismissed(rig: Rig, how: str, order: MakeOrder) -> None:
    placed, other = order(), order()
    in_doubt(rig, placed, executed=True)
    rig.engine.forgotten.add(placed.order_id)
    rig.do(rig.grpc.heal)
    replies = sent_again(rig, how, [placed, other])
    assert [reply.code for reply in replies] == [ReasonCode.ID_TOO_OLD, ReasonCode.NONE]
    assert rig.client.unresolved_orders == (placed.order_id,), "never by itself"
    assert rig.client.dismiss(placed.order_id).order == placed
    assert rig.client.unresolved_orders == ()


@pytest.mark.parametrize("how", ["order", "batch", "stream"])
def test_an_order_in_doubt_that_is_sent_again_and_answered_is_no_longer_unresolved(
    rig: Rig, how: str, order: MakeOrder
) -> None:
    placed, other = order(), order()
    in_doubt(rig, placed, executed=True)
    rig.do(rig.grpc.heal)
    assert [reply.status for reply in sent_again(rig, how, [placed, other])] == [ExecutionStatus.FILLED] * 2
    assert rig.client.unresolved_orders == ()


def test_an_order_in_doubt_that_a_batch_refuses_stays_unresolved(rig: Rig, order: MakeOrder) -> None:
    placed, other = order(), order()
    in_doubt(rig, placed, executed=True)
    rig.do(rig.grpc.heal)
    rig.grpc.refused_ids = {placed.order_id: ReasonCode.ID_QUOTA_EXCEEDED}
    assert [reply.code.is_refusal for reply in rig.client.execute_batch([placed, other])] == [True, False]
    assert rig.client.unresolved_orders == (placed.order_id,)


def test_who_leaves_a_stream_before_an_order_in_doubt_was_asked_for_finds_it_unresolved(order: MakeOrder) -> None:
    rig = Rig("blocking", CONFIG)
    try:
        rig.client.connect()
        orders = [order() for _ in range(3)]
        refuse(rig, ReasonCode.PERMISSION_DENIED, orders[1])
        replies = rig.client.execute_batch_orders(orders)
        assert next(replies).order_id == orders[0].order_id
        replies.close()
        assert rig.client.unresolved_orders == (orders[1].order_id,)
    finally:
        rig.close()


def test_a_forgotten_id_that_the_client_does_not_remember_is_unknown_too(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    rig.engine.forgotten.add(placed.order_id)
    with pytest.raises(OutcomeUnknownError, match="archive"):
        rig.client.resolve(placed.order_id, timeout_ms=PATIENT_MS)


def test_a_copy_that_comes_too_late_for_its_id_settles_no_earlier_one(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    rig.engine.forgotten.add(placed.order_id)
    assert rig.client.execute_order(placed).code == ReasonCode.ID_TOO_OLD, "not in doubt: nothing executed"
    rig.zmq.mode = "loses"
    with pytest.raises(OutcomeUnknownError, match="archive"):
        rig.client.execute_order(placed)


def test_a_refused_order_in_doubt_with_a_forgotten_id_is_not_said_to_be_fenced(rig: Rig, order: MakeOrder) -> None:
    placed = order()
    rig.engine.forgotten.add(placed.order_id)
    rig.grpc.refusal, rig.zmq.mode = ReasonCode.PERMISSION_DENIED, "drops"
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(rig.client.deliver_order, placed)
        eventually(lambda: rig.grpc.refused, "the second copy was refused")
        rig.zmq.mode, rig.zmq.refusal = "works", ReasonCode.PERMISSION_DENIED
        with pytest.raises(OutcomeUnknownError, match="archive"):
            call.result(10)
    assert rig.client.unresolved_orders == (placed.order_id,)
    assert rig.client.dismiss(placed.order_id).order == placed


def test_a_forgotten_id_in_a_batch_in_doubt_is_named_as_unknown(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(3)]
    rig.engine.forgotten.add(orders[2].order_id)
    rig.zmq.mode = "loses"
    with pytest.raises(OutcomeUnknownError) as unknown:
        rig.client.execute_batch(orders)
    assert unknown.value.order_ids == (orders[2].order_id,)


def test_a_fence_that_finds_a_forgotten_id_settles_nothing() -> None:
    with pytest.raises(OutcomeUnknownError, match="archive"):
        resolution_of_query("o-1", GetOrderReply(fenced=True, code=ReasonCode.ID_TOO_OLD), "zmq")
