"""The queue for threads: its reader hears everything to the end, and an interrupted one loses nothing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any, ClassVar

import pytest

from fallback_grpc.queue import BlockingOrderQueue, MemoryOutbox, QueueEvent, Result
from fallback_grpc.queue import blocking as blocking_module
from tests.unit.fallback_grpc.queue.queue_world import limit, market
from tests.unit.fallback_grpc.queue.test_order_queue import FakeClient, names


class ConnectingClient(FakeClient):
    """The fake that a queue for threads makes for itself."""

    made: ClassVar[list[ConnectingClient]] = []

    def __init__(self, _: object) -> None:
        super().__init__()
        self.made.append(self)

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Takes a while, as the real one does."""
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def fake_client(monkeypatch: pytest.MonkeyPatch) -> None:
    ConnectingClient.made.clear()
    monkeypatch.setattr(blocking_module, "ExecutionBridgeClient", ConnectingClient)


def test_a_reader_hears_the_last_events_of_a_queue_that_is_closed_meanwhile() -> None:
    queue = BlockingOrderQueue({}).start()
    events = queue.events()
    queue.put_many([limit(name) for name in "abc"])
    first = next(events)
    queue.close()
    heard = [first, *events]
    assert names(heard) == [f"{kind} {name}" for name in "abc" for kind in ("Receipt", "Result")]


def test_a_reader_that_waits_when_its_queue_is_closed_hears_how_its_orders_stand() -> None:
    for _ in range(20):
        queue = BlockingOrderQueue({}, max_in_flight=1).start()
        client = ConnectingClient.made[-1]
        client.usable_paths = ()
        heard: list[QueueEvent] = []
        events = queue.events()
        reader = threading.Thread(target=lambda events=events, heard=heard: heard.extend(events))
        reader.start()
        queue.put_many([limit("a"), limit("b")])
        queue.close(drain_ms=1)
        reader.join(10)
        assert not reader.is_alive()
        assert names(heard) == ["Withdrawn a", "Withdrawn b"]


def test_a_reader_that_asks_while_the_loop_is_being_ended_hears_the_rest() -> None:
    queue = BlockingOrderQueue({}, max_in_flight=1).start()
    ConnectingClient.made[-1].usable_paths = ()
    loop: Any = queue._loop  # pyright: ignore[reportPrivateUsage]
    end_generators, are_ended, asked = loop.shutdown_asyncgens, threading.Event(), threading.Event()

    async def end_them_and_be_asked() -> None:
        await end_generators()
        are_ended.set()
        while not asked.is_set():  # noqa: ASYNC110 (it is another thread that asks)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)  # for what was asked

    loop.shutdown_asyncgens = end_them_and_be_asked
    events = queue.events()
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(next, events)
        queue.put_many([limit("a"), limit("b")])
        closing = threads.submit(queue.close, drain_ms=1)
        heard = [first.result(10)]
        assert are_ended.wait(10)
        rest = threads.submit(list, events)
        asked.set()
        heard += rest.result(10)
        closing.result(10)
    assert names(heard) == ["Withdrawn a", "Withdrawn b"]


class Interrupt(BaseException):
    """What a signal's handler raises."""


@pytest.mark.parametrize("is_done", [False, True])
def test_an_interrupted_reader_loses_no_event_and_acknowledges_none_unseen(
    monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    store = MemoryOutbox()
    with BlockingOrderQueue({}, outbox=store) as queue:
        events = queue.events()
        queue.put(market("a"))
        assert names([next(events)]) == ["Receipt a"]
        if not is_done:
            assert names([next(events)]) == ["Result a"]

        def interrupted(futures: Any, _: float) -> None:
            if is_done:
                concurrent.futures.wait(futures)
            raise Interrupt

        monkeypatch.setattr(blocking_module, "wait", interrupted)
        with pytest.raises(Interrupt):
            next(events)
        monkeypatch.setattr(blocking_module, "wait", concurrent.futures.wait)
        if is_done:
            again = queue.events()
            assert queue.occupied == 1, "nobody has seen the result"
            assert names([next(again)]) == ["Result a"]
        else:
            queue.put(market("b"))
            again = queue.events()
            assert names([next(again), next(again)]) == ["Receipt b", "Result b"]
    with BlockingOrderQueue({}, outbox=store) as queue:
        assert queue.occupied == 1
        assert any(isinstance(event, Result) for event, _ in zip(queue.events(), range(2), strict=False))
