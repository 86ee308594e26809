"""Streams of orders over two scripted paths: what travels together, what is asked for again, and what holds nobody."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest

from fallback_grpc import ExecutionBridgeClient
from fallback_grpc.batch_stream import _feed as feed  # pyright: ignore[reportPrivateUsage]
from fallback_grpc.outcome import whole_batch
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeEngine
from tests.unit.fallback_grpc.test_bridge import Rig, drained
from tests.waiting import eventually
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import OutcomeUnknownError
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply

MakeOrder = Callable[..., Order]
WINDOW = 64
# So much time that a message goes twice for its path alone, and not for a machine that stands still.
CONFIG = BridgeConfig(
    breaker_open_ms=10.0, call_timeout_ms=20_000.0, unknown_resolution_ms=5_000.0, batch_window=WINDOW
)


@pytest.fixture(params=["async", "blocking"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param, CONFIG)
    rig.client.connect()
    yield rig
    rig.close()


def test_a_stream_travels_as_messages_of_many_orders(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(WINDOW * 10)]
    replies = list(rig.client.execute_batch_orders(orders))
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    assert sum(rig.zmq.batches) == len(orders)
    assert len(rig.zmq.batches) <= 20, "two messages a window; singly it would be 640"
    assert max(rig.zmq.batches) <= WINDOW


def test_an_order_refused_in_its_message_is_answered_by_itself_and_the_others_are_not_sent_again(
    rig: Rig, order: MakeOrder
) -> None:
    orders = [order() for _ in range(10)]
    for path in (rig.zmq, rig.grpc):
        path.refused_ids = {orders[3].order_id: ReasonCode.ID_QUOTA_EXCEEDED}
    replies = list(rig.client.execute_batch_orders(orders))
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    assert replies[3].status == ExecutionStatus.FAILED and replies[3].code == ReasonCode.ID_QUOTA_EXCEEDED
    assert len(rig.engine.arrivals) == 9


def test_orders_in_doubt_go_again_together_and_one_that_is_refused_then_is_fenced(rig: Rig, order: MakeOrder) -> None:
    orders = [order() for _ in range(10)]
    rig.zmq.mode = "loses"
    for path in (rig.zmq, rig.grpc):
        path.refused_ids = {orders[3].order_id: ReasonCode.PERMISSION_DENIED}
    replies = list(rig.client.execute_batch_orders(orders))
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    assert [reply.order_id for reply in replies if reply.status == ExecutionStatus.FAILED] == [orders[3].order_id]
    assert rig.grpc.batches and sum(rig.grpc.batches) == len(orders)
    assert rig.engine.fenced == {orders[3].order_id}
    assert rig.client.unresolved_orders == ()


def test_every_order_of_a_message_without_an_answer_is_named_and_remembered(rig: Rig, order: MakeOrder) -> None:
    hasty = Rig(rig.flavour, msgspec.structs.replace(CONFIG, call_timeout_ms=500.0, unknown_resolution_ms=0.0))
    try:
        hasty.client.connect()
        hasty.zmq.mode = hasty.grpc.mode = "drops"
        orders = [order() for _ in range(10)]
        seen, problem = drained(hasty.client.execute_batch_orders(orders))
        assert seen == [] and isinstance(problem, OutcomeUnknownError)
        assert set(problem.order_ids) == {each.order_id for each in orders} == set(hasty.client.unresolved_orders)
    finally:
        hasty.close()


def test_an_answer_for_another_number_of_orders_is_no_answer() -> None:
    answers = [ExecuteReply(OrderReply("a", ExecutionStatus.FILLED))]
    assert isinstance(whole_batch(Replied(answers), 2), Unknown)
    assert whole_batch(Replied(answers), 1) == Replied(answers)


# ---- asyncio: the source may be slow, and its reader too ----


async def bridge(engine: FakeEngine) -> tuple[ExecutionBridgeClient, FakeAsyncPath]:
    zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
    paths: Any = {"zmq": zmq, "grpc": grpc}
    client = ExecutionBridgeClient(CONFIG, paths=paths)
    await client.connect()
    return client, zmq


async def test_a_source_that_pauses_holds_no_reply_back(order: MakeOrder) -> None:
    engine = FakeEngine()
    client, zmq = await bridge(engine)
    go_on = asyncio.Event()
    orders = [order() for _ in range(6)]

    async def source() -> AsyncIterator[Order]:
        for each in orders[:3]:
            yield each
        await go_on.wait()
        for each in orders[3:]:
            yield each

    async with asyncio.timeout(20), client:
        replies = client.execute_batch_orders(source())
        for each in orders[:3]:
            assert (await anext(replies)).order_id == each.order_id
        assert zmq.batches == [3]
        go_on.set()
        assert [reply.order_id async for reply in replies] == [each.order_id for each in orders[3:]]
    assert zmq.batches == [3, 3]


async def test_a_source_is_read_no_further_than_the_window(order: MakeOrder) -> None:
    client, _ = await bridge(FakeEngine())
    taken = 0

    def source() -> Iterator[Order]:
        nonlocal taken
        for _ in range(WINDOW * 5):
            taken += 1
            yield order()

    async with asyncio.timeout(20), client:
        replies = client.execute_batch_orders(source())
        await anext(replies)
        for _ in range(10):
            await asyncio.sleep(0)
        assert taken <= WINDOW + WINDOW // 2, "a window, and the part whose replies are being read"
        assert len([reply async for reply in replies]) == WINDOW * 5 - 1


async def test_what_is_in_flight_when_a_stream_is_left_can_be_resolved(order: MakeOrder) -> None:
    client, zmq = await bridge(FakeEngine())
    orders = [order() for _ in range(WINDOW)]
    holding = asyncio.Event()
    attempt = zmq.attempt_batch

    async def held(part: Any, timeout_ms: float) -> Any:
        if part[0] is not orders[0]:
            holding.set()
            await asyncio.Event().wait()
        return await attempt(part, timeout_ms)

    zmq.attempt_batch = held  # type: ignore[method-assign]
    async with asyncio.timeout(20), client:
        replies = client.execute_batch_orders(orders)
        await anext(replies)
        await holding.wait()
        await replies.aclose()  # type: ignore[attr-defined]
        assert client.unresolved_orders == tuple(each.order_id for each in orders[WINDOW // 2 :])


async def test_a_part_that_was_answered_and_never_read_can_be_resolved(order: MakeOrder) -> None:
    client, zmq = await bridge(FakeEngine())
    orders = [order() for _ in range(WINDOW)]
    refused = orders[-1].order_id
    zmq.refused_ids = {refused: ReasonCode.ID_QUOTA_EXCEEDED}
    answered = asyncio.Event()
    attempt = zmq.attempt_batch

    async def held(part: Any, timeout_ms: float) -> Any:
        if part[0] is orders[0]:
            await asyncio.Event().wait()
        answered.set()
        return await attempt(part, timeout_ms)

    zmq.attempt_batch = held  # type: ignore[method-assign]
    async with asyncio.timeout(20), client:
        reader = asyncio.ensure_future(anext(client.execute_batch_orders(orders)))  # type: ignore[arg-type]
        await answered.wait()
        await asyncio.to_thread(eventually, lambda: zmq.refused > 1, "refused with its message, and singly")
        for _ in range(100):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
        assert set(client.unresolved_orders) == {each.order_id for each in orders} - {refused}


@pytest.mark.parametrize("own", [False, True])
async def test_a_grpc_stream_that_is_left_while_its_queue_is_full_leaves_no_task_behind(own: bool) -> None:
    reading = asyncio.Event()

    async def source() -> AsyncIterator[Any]:
        for number in itertools.count():
            reading.set()
            if own and number == 2:
                raise asyncio.CancelledError
            yield number

    queue: asyncio.Queue[Any] = asyncio.Queue(2)
    feeder = asyncio.create_task(feed(source(), queue))
    async with asyncio.timeout(20):
        while not queue.full():
            await reading.wait()
            await asyncio.sleep(0)
        if own:  # whoever reads on must hear of the end
            assert [await queue.get() for _ in range(3)] == [0, 1, None]
        else:
            feeder.cancel()
        await asyncio.wait({feeder})
    assert feeder.cancelled()
