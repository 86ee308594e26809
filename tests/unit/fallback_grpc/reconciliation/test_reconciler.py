"""When a client compares, how often it tries, and what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from fallback_grpc.failover.events import BridgePathEvent, PathEventKind
from fallback_grpc.reconciliation import MissedFill, Reconciliation, UnknownToClient
from fallback_grpc.reconciliation.asynchronous import AsyncReconciler
from fallback_grpc.reconciliation.blocking import BlockingReconciler
from transport.contract.codes import ExecutionStatus, ReasonCode, UpdateKind
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    ExecutionError,
    NotSentError,
    StateRegressedError,
)
from transport.contract.replies import GetOrderReply, OpenOrders, OrderReply, OrderUpdate, UpdateGap

UP = BridgePathEvent(path="zmq", kind=PathEventKind.UP, reason="", at_ns=0)


class FakeClient:
    """An engine's word, or what the question for it raises."""

    def __init__(self) -> None:
        self.listing = OpenOrders()
        self.problems: list[ExecutionBridgeError] = []
        self.asked = 0
        self.updates: list[OrderUpdate | UpdateGap] = []
        self.replays: list[int] = []

    async def open_orders(self) -> OpenOrders:
        self.asked += 1
        if self.problems:
            raise self.problems.pop(0)
        return self.listing

    async def get_order(self, order_id: str) -> GetOrderReply:
        return GetOrderReply()

    async def replay(self, after: int) -> AsyncIterator[OrderUpdate | UpdateGap]:
        self.replays.append(after)
        for update in self.updates:
            yield update
        await asyncio.Event().wait()


class Rig:
    def __init__(self) -> None:
        self.client = FakeClient()
        self.reconciler = AsyncReconciler(self.client, self.client.replay)
        self.reports: asyncio.Queue[Reconciliation] = asyncio.Queue()

    def listen(self, since: int | None = None) -> None:
        self.reconciler.listen(self.reports.put_nowait, since)
        self.reconciler.start()

    async def report(self) -> Reconciliation:
        async with asyncio.timeout(10):
            return await self.reports.get()


def run(test: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        rig = Rig()
        try:
            await test(rig)
        finally:
            await rig.reconciler.stop()

    asyncio.run(whole())


def fill(sequence: int) -> OrderUpdate:
    order = OrderReply("a", ExecutionStatus.FILLED, sequence=sequence)
    return OrderUpdate(sequence=sequence, kind=UpdateKind.FILL, order=order)


def test_nothing_is_asked_or_remembered_before_somebody_listens() -> None:
    async def test(rig: Rig) -> None:
        rig.reconciler.start()
        rig.reconciler.path_changed(UP)
        rig.reconciler.replied(OrderReply("a", ExecutionStatus.PENDING))
        await asyncio.sleep(0.01)
        assert rig.client.asked == 0 and rig.reconciler.beliefs is None

    run(test)


def test_it_compares_at_once_and_at_each_path_that_comes_up() -> None:
    async def test(rig: Rig) -> None:
        rig.client.listing = OpenOrders(orders=[OrderReply("x", ExecutionStatus.PENDING, sequence=4)], last_sequence=4)
        rig.listen()
        assert [type(each) for each in (await rig.report()).differences] == [UnknownToClient]
        rig.client.listing = OpenOrders(last_sequence=5)
        rig.client.updates = [fill(5)]
        rig.reconciler.path_changed(UP)
        report = await rig.report()
        assert any(isinstance(each, MissedFill) for each in report.differences)
        assert rig.client.replays == [4]

    run(test)


def test_a_comparison_that_failed_is_tried_again() -> None:
    async def test(rig: Rig) -> None:
        rig.client.problems = [NotSentError("no path")]
        rig.listen()
        assert (await rig.report()).agrees
        assert rig.client.asked == 2

    run(test)


@pytest.mark.parametrize(
    "problem",
    [
        ExecutionError("unknown body", code=ReasonCode.NOT_IMPLEMENTED),
        StateRegressedError("an older disk"),
        ClientClosedError("closed"),
    ],
)
def test_it_ends_where_asking_again_is_in_vain(problem: ExecutionBridgeError) -> None:
    async def test(rig: Rig) -> None:
        rig.client.problems = [problem] * 10
        rig.listen()
        async with asyncio.timeout(10):
            assert rig.reconciler._task is not None  # pyright: ignore[reportPrivateUsage]
            await rig.reconciler._task  # pyright: ignore[reportPrivateUsage]
        assert rig.client.asked == 1

    run(test)


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing() -> None:
    async def test(rig: Rig) -> None:
        def failing(_: Reconciliation) -> None:
            raise RuntimeError("its own fault")

        rig.reconciler.listen(failing, None)
        rig.listen()
        assert (await rig.report()).agrees

    run(test)


def test_what_a_subscription_of_the_application_brings_is_not_missed() -> None:
    async def test(rig: Rig) -> None:
        rig.listen(since=4)
        rig.client.listing = OpenOrders(last_sequence=4)
        await rig.report()
        come = asyncio.Event()

        async def subscription() -> AsyncIterator[OrderUpdate | UpdateGap]:
            await come.wait()
            yield fill(5)
            await asyncio.Event().wait()

        async def read() -> None:
            async for _ in rig.reconciler.following(subscription()):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        rig.client.listing = OpenOrders(last_sequence=5)
        rig.reconciler.path_changed(UP)
        asyncio.get_running_loop().call_later(0.3, come.set)
        report = await rig.report()
        assert report.agrees and report.ended_sequence == 5
        assert rig.client.replays == []
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    run(test)


@pytest.mark.parametrize("flavour", ["async", "blocking"])
def test_since_counts_also_where_another_listener_without_it_came_first(flavour: str) -> None:
    async def test(rig: Rig) -> None:
        def no_replay(_: int) -> Any:
            raise AssertionError("nothing is compared here")

        if flavour == "async":
            reconciler: Any = rig.reconciler
        else:
            reconciler = BlockingReconciler(OpenOrders, lambda _: GetOrderReply(), no_replay)
        reconciler.listen(lambda _: None, None)
        reconciler.listen(lambda _: None, 7)
        reconciler.listen(lambda _: None, 9)
        assert reconciler.beliefs.position == 7

    run(test)
