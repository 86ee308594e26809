"""What only the asyncio bridge does itself: streams across paths, and a crowd of orders on gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fallback_grpc import ExecutionBridgeClient
from fallback_grpc.failover.funnel import OrderFunnel
from fallback_grpc.failover.updates import UpdateCursor
from fallback_grpc.update_stream import UpdateStream
from tests.unit.fallback_grpc.fake_paths import FakeAsyncPath, FakeEngine, update
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ClientClosedError,
    EngineSystemError,
    StateRegressedError,
    ValidationError,
    WrongLoopError,
)
from transport.contract.orders import Order
from transport.contract.path import PathRefused
from transport.contract.replies import OrderUpdate, UpdateGap

CONFIG = BridgeConfig(breaker_open_ms=10.0, call_timeout_ms=20_000.0)
Scene = Callable[[ExecutionBridgeClient, FakeAsyncPath, FakeAsyncPath, FakeEngine], Coroutine[Any, Any, None]]


def play(scene: Scene) -> None:
    """Runs a scene with a connected bridge over two scripted paths."""

    async def staged() -> None:
        engine = FakeEngine()
        zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
        client = ExecutionBridgeClient(CONFIG, paths={"zmq": zmq, "grpc": grpc})
        await client.connect()
        try:
            async with asyncio.timeout(20):
                await scene(client, zmq, grpc, engine)
        finally:
            await client.close()

    asyncio.run(staged())


def test_updates_go_on_where_they_were_on_the_other_path() -> None:
    async def scene(client: Any, zmq: FakeAsyncPath, grpc: FakeAsyncPath, _: FakeEngine) -> None:
        zmq.updates = [update(number) for number in (1, 2, 3)]
        grpc.updates = [update(number) for number in (1, 2, 3, 4, 5)]
        updates = client.subscribe_order_updates(resume_from=0)
        seen = [(await anext(updates)).sequence for _ in range(3)]
        zmq.cut()
        seen += [(await anext(updates)).sequence for _ in range(2)]
        assert seen == [1, 2, 3, 4, 5]
        assert (zmq.resumed_from, grpc.resumed_from) == ([0], [3])
        await updates.aclose()

    play(scene)


def test_market_data_changes_path_and_returns_to_the_fast_one() -> None:
    async def scene(client: Any, zmq: FakeAsyncPath, grpc: FakeAsyncPath, _: FakeEngine) -> None:
        market = client.stream_market_data(["S"])
        assert (await anext(market)).symbol == str(id(zmq))
        zmq.cut()
        while (await anext(market)).symbol != str(id(grpc)):
            pass
        zmq.heal()
        while (await anext(market)).symbol != str(id(zmq)):
            pass
        await market.aclose()

    play(scene)


def test_a_subscription_without_a_connection_of_its_own_moves_to_the_other_path() -> None:
    class Refused(FakeAsyncPath):
        def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> Any:
            return Unconfirmed()

    class Unconfirmed:
        is_subscribed = False

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            await asyncio.Event().wait()

    async def scene() -> None:
        engine = FakeEngine()
        zmq, grpc = Refused(engine), FakeAsyncPath(engine)
        grpc.updates = [update(1)]
        config = BridgeConfig(connect_timeout_ms=100.0)
        async with ExecutionBridgeClient(config, paths={"zmq": zmq, "grpc": grpc}) as client, asyncio.timeout(10):
            assert client.usable_paths == ("zmq", "grpc")
            assert (await anext(client.subscribe_order_updates(resume_from=0))).sequence == 1  # pyright: ignore[reportAttributeAccessIssue]

    asyncio.run(scene())


def test_a_stream_over_grpc_says_whether_its_subscription_stands() -> None:
    async def nothing() -> AsyncGenerator[OrderUpdate | UpdateGap, None]:
        return
        yield

    cursor = UpdateCursor(None)
    stream = UpdateStream(nothing(), cursor)
    assert not stream.is_subscribed
    cursor.began(7)
    assert (stream.is_subscribed, stream.last_sequence) == (True, 7)
    cursor.restarted()
    assert not stream.is_subscribed


def test_a_stalled_subscription_over_grpc_moves_to_the_fast_path() -> None:
    class Stalled(FakeAsyncPath):
        def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> Any:
            async def nothing() -> AsyncGenerator[OrderUpdate | UpdateGap, None]:
                await asyncio.Event().wait()
                yield update(0)

            return UpdateStream(nothing(), UpdateCursor(resume_from))

    async def scene() -> None:
        engine = FakeEngine()
        paths: Any = {"zmq": FakeAsyncPath(engine), "grpc": Stalled(engine)}
        paths["zmq"].updates = [update(1)]
        config = BridgeConfig(connect_timeout_ms=100.0, prefer="grpc")
        async with ExecutionBridgeClient(config, paths=paths) as client, asyncio.timeout(10):
            updates: Any = client.subscribe_order_updates(resume_from=0)
            assert (await anext(updates)).sequence == 1

    asyncio.run(scene())


def test_close_ends_streams_with_an_error_that_says_so() -> None:
    async def scene(client: Any, zmq: FakeAsyncPath, grpc: FakeAsyncPath, _: FakeEngine) -> None:
        updates, market = client.subscribe_order_updates(resume_from=0), client.stream_market_data(["S"])
        await anext(market)
        waiting = asyncio.create_task(anext(updates))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClientClosedError):
            await waiting
        with pytest.raises(ClientClosedError):
            await anext(market)

    play(scene)


def test_a_regressed_engine_ends_streams_with_its_error() -> None:
    async def scene(client: Any, zmq: FakeAsyncPath, grpc: FakeAsyncPath, _: FakeEngine) -> None:
        updates = client.subscribe_order_updates(resume_from=0)
        waiting = asyncio.create_task(anext(updates))
        await asyncio.sleep(0)
        grpc.tell(PathRefused(reason="an older copy", code=ReasonCode.STATE_REGRESSED))
        with pytest.raises(StateRegressedError):
            await waiting

    play(scene)


def test_a_connect_that_is_cancelled_leaves_nothing_open() -> None:
    class Slow(FakeAsyncPath):
        async def connect(self) -> None:
            self.open()
            await asyncio.Event().wait()

    async def scene() -> None:
        zmq, grpc = FakeAsyncPath(FakeEngine()), Slow(FakeEngine())
        client = ExecutionBridgeClient(CONFIG, paths={"zmq": zmq, "grpc": grpc})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.connect()
        assert zmq.closed and grpc.closed

    asyncio.run(scene())


def test_a_client_is_closed_in_its_own_loop_alone() -> None:
    engine = FakeEngine()

    async def connected() -> ExecutionBridgeClient:
        zmq, grpc = FakeAsyncPath(engine), FakeAsyncPath(engine)
        client = ExecutionBridgeClient(CONFIG, paths={"zmq": zmq, "grpc": grpc})
        await client.connect()
        return client

    with asyncio.Runner() as runner:
        client = runner.run(connected())
        with ThreadPoolExecutor(1) as elsewhere, pytest.raises(WrongLoopError):
            elsewhere.submit(lambda: asyncio.run(client.close())).result(10)
        runner.run(client.close())
        paths: Any = client._paths  # pyright: ignore[reportPrivateUsage]
        assert all(path.closed for path in paths.values())


def test_a_crowd_of_orders_moves_to_grpc_in_batches(order: Callable[..., Order]) -> None:
    async def scene(client: Any, zmq: FakeAsyncPath, grpc: FakeAsyncPath, engine: FakeEngine) -> None:
        zmq.mode = "hangs"
        orders = [order() for _ in range(2_000)]
        calls = [asyncio.create_task(client.deliver_order(each)) for each in orders]
        await asyncio.sleep(0)  # each call has sent its first copy by its first wait
        assert len(zmq.orders) == len(orders)
        zmq.cut()
        deliveries = await asyncio.gather(*calls)
        assert [delivery.reply.order_id for delivery in deliveries] == [each.order_id for each in orders]
        assert {delivery.path for delivery in deliveries} == {"grpc"}
        assert len(engine.replies) == 2_000
        assert grpc.most_singles <= 16
        assert max(grpc.batches) > 16

    play(scene)


def test_an_order_without_a_form_on_the_wire_harms_no_other_of_its_crowd(order: Callable[..., Order]) -> None:
    class Particular(FakeAsyncPath):
        async def attempt_batch(self, orders: Any, timeout_ms: float) -> Any:
            if any(each.metadata for each in orders):
                raise ValidationError("orders[0].metadata: no", field="metadata")
            return await super().attempt_batch(orders, timeout_ms)

    async def scene() -> None:
        engine = FakeEngine()
        funnel = OrderFunnel(Particular(engine), max_singles=0)
        crowd = [order(metadata={"odd": "one"} if number == 7 else {}) for number in range(50)]
        ends = await asyncio.gather(*(funnel.attempt_order(each, 5_000) for each in crowd), return_exceptions=True)
        assert [number for number, end in enumerate(ends) if isinstance(end, ValidationError)] == [7]
        assert len(engine.replies) == 49

    asyncio.run(scene())


def test_a_batch_too_large_for_the_engine_goes_in_halves(order: Callable[..., Order]) -> None:
    class Small(FakeAsyncPath):
        async def attempt_batch(self, orders: Any, timeout_ms: float) -> Any:
            if len(orders) > 10:
                return Refused(ReasonCode.BATCH_TOO_LARGE)
            return await super().attempt_batch(orders, timeout_ms)

    async def scene() -> None:
        engine = FakeEngine()
        funnel = OrderFunnel(Small(engine), max_singles=0)
        ends = await asyncio.gather(*(funnel.attempt_order(order(), 5_000) for _ in range(100)))
        assert all(isinstance(end, Replied) for end in ends)
        assert len(engine.arrivals) == 100

    asyncio.run(scene())


def test_an_order_that_waited_in_vain_for_its_turn_was_not_sent(order: Callable[..., Order]) -> None:
    class Stuck(FakeAsyncPath):
        async def attempt_batch(self, orders: Any, timeout_ms: float) -> Any:
            await asyncio.sleep(timeout_ms / 1_000)
            return Unknown("no answer")

    async def scene() -> None:
        funnel = OrderFunnel(Stuck(FakeEngine()), max_singles=0, max_batches=1, max_batch_orders=1)
        ends = await asyncio.gather(*(funnel.attempt_order(order(), 50) for _ in range(2)))
        assert [type(end) for end in ends] == [Unknown, NotSent]

    asyncio.run(scene())


def numbers(cursor: UpdateCursor, items: list[Any]) -> list[int]:
    accepted = [cursor.accept(item) for item in items]
    return [item.sequence for item in accepted if isinstance(item, OrderUpdate)]


def test_the_cursor_drops_what_was_seen_and_asks_again_for_what_is_missing() -> None:
    cursor = UpdateCursor(2)
    assert numbers(cursor, [update(1), update(2), update(3), update(3)]) == [3]
    assert not cursor.has_hole
    assert numbers(cursor, [update(5)]) == []
    assert cursor.has_hole
    assert cursor.resume_from == 3
    cursor.restarted()
    assert numbers(cursor, [update(4), update(5)]) == [4, 5]


def test_a_hole_that_stays_is_an_error() -> None:
    cursor = UpdateCursor(1)
    numbers(cursor, [update(3), update(3)])
    with pytest.raises(EngineSystemError, match="hole"):
        cursor.accept(update(3))


def test_a_break_within_a_snapshot_brings_the_whole_snapshot_again() -> None:
    cursor = UpdateCursor(1)
    assert cursor.accept(UpdateGap(2, 9)) == UpdateGap(2, 9)
    assert cursor.resume_from == 1
    assert numbers(cursor, [update(10)]) == [10]
    assert cursor.resume_from == 10


def test_a_subscription_that_saw_nothing_goes_on_from_where_it_began() -> None:
    cursor = UpdateCursor(None)
    cursor.restarted(began_at=7)
    assert cursor.resume_from == 7
