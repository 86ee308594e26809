"""Whoever is interrupted is told the truth, and no event is lost: queues that close, disks that fail, listeners that
come late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fallback_grpc.queue import MemoryOutbox, OrderQueue, OutboxError, QueueEvent
from tests.unit.fallback_grpc.queue.queue_world import limit, market
from tests.unit.fallback_grpc.queue.test_order_queue import FailingOutbox, FakeClient, names, queue_of, take, until
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, NotSentError, ValidationError
from transport.contract.orders import Order


class HeldOutbox(MemoryOutbox):
    """Its commits wait until a test lets them go."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.committing = asyncio.Event()
        self.go = asyncio.Event()

    async def _wait(self) -> None:
        self.committing.set()
        await self.go.wait()


async def ended_by(work: asyncio.Task[Any]) -> BaseException:
    """What a task raised, in time."""
    async with asyncio.timeout(20):
        (problem,) = await asyncio.gather(work, return_exceptions=True)
    assert problem is not None
    return problem


async def test_many_of_which_the_first_cannot_be_written_while_the_rest_wait_for_room_say_so() -> None:
    client, store = FakeClient(), FailingOutbox()
    client.open.clear()
    async with queue_of(client, outbox=store, capacity=2) as queue:
        store.failures = [OutboxError("the disk is full", is_passing=True)]
        putting = asyncio.create_task(queue.put_many([market(name) for name in "abc"], timeout_ms=20_000))
        problem = await ended_by(putting)
        assert isinstance(problem, OutboxError) and "full" in str(problem)
        assert problem.may_be_stored and problem.is_passing and problem.accepted >= 2
        client.open.set()


async def test_a_put_whose_row_may_be_on_disk_when_the_queue_closes_is_no_order_that_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fallback_grpc.queue.order_queue._LAST_WRITES_S", 0.05)
    store = HeldOutbox()
    queue = await OrderQueue(FakeClient(), outbox=store).start()
    putting = asyncio.create_task(queue.put(market("a")))
    await store.committing.wait()
    await queue.close()
    problem = await ended_by(putting)
    assert isinstance(problem, OutboxError) and problem.may_be_stored
    assert not isinstance(problem, NotSentError)
    store.go.set()


async def test_many_that_are_interrupted_by_the_end_of_the_queue_say_how_many_were_taken() -> None:
    client = FakeClient()
    client.open.clear()
    queue = await OrderQueue(client, outbox=MemoryOutbox(), capacity=2).start()
    putting = asyncio.create_task(queue.put_many([market(name) for name in "abcd"]))
    await client.sent.wait()
    await queue.close()
    problem = await ended_by(putting)
    assert isinstance(problem, OutboxError) and problem.may_be_stored and problem.accepted == 2
    assert isinstance(problem.__cause__, ClientClosedError)


async def test_a_put_that_waits_for_room_when_the_queue_closes_was_not_taken() -> None:
    client = FakeClient()
    client.open.clear()
    queue = await OrderQueue(client, outbox=MemoryOutbox(), capacity=1).start()
    await queue.put(market("a"))
    putting = asyncio.create_task(queue.put(market("b")))
    await asyncio.sleep(0)
    await queue.close()
    assert isinstance(await ended_by(putting), NotSentError)


@pytest.mark.parametrize("bad", [market("é"), market("a", 7), market("known", 7)])
async def test_many_with_one_that_cannot_be_taken_are_not_taken_at_all(bad: Order) -> None:
    client = FakeClient()
    client.open.clear()
    async with queue_of(client, outbox=MemoryOutbox()) as queue:
        await queue.put(market("known"))
        with pytest.raises(ValidationError):
            await queue.put_many([market("a"), market("b"), bad])
        assert queue.occupied == 1


async def test_a_listener_that_comes_late_hears_of_the_earlier_run_and_that_is_acknowledged() -> None:
    client, store = FakeClient(), MemoryOutbox()
    async with queue_of(client, outbox=store, acknowledge="manual") as queue:
        await queue.put_many([limit("a"), limit("b")])
        await take(queue, count=2)
    heard: list[QueueEvent] = []
    async with queue_of(client, outbox=store) as queue:
        await asyncio.sleep(0.01)  # the pump has had its turn
        queue.on_event(heard.append)
        await until(lambda: len(heard) == 4, "both are heard of")
        assert names(heard) == ["Receipt a", "Result a", "Receipt b", "Result b"]
        assert all(event.recovered for event in heard)
    async with queue_of(client, outbox=store) as queue:
        assert queue.occupied == 0


async def test_events_that_wait_for_a_reader_do_not_go_to_a_listener() -> None:
    client = FakeClient()
    async with queue_of(client) as queue:
        events = queue.events()
        await queue.put(limit("a"))
        await queue.drain()
        heard: list[QueueEvent] = []
        queue.on_event(heard.append)
        await asyncio.sleep(0.01)
        assert heard == [] and names([await anext(events), await anext(events)]) == ["Receipt a", "Result a"]


async def test_a_withdrawal_that_may_be_on_disk_when_the_queue_closes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallback_grpc.queue.order_queue._LAST_WRITES_S", 0.05)
    client, store = FakeClient(), HeldOutbox()
    queue = await OrderQueue(client, outbox=store).start()
    queue.put_nowait(market("a"))
    await store.committing.wait()
    cancelling = asyncio.create_task(queue.cancel("a"))
    await asyncio.sleep(0)
    await queue.close()
    problem = await ended_by(cancelling)
    assert isinstance(problem, ExecutionBridgeError) and not isinstance(problem, NotSentError)
    store.go.set()
