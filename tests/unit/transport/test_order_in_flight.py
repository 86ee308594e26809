"""A copy of an order that a thread waits for in parts: what hedging of the blocking bridge builds on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import BlockingFastPathClient, ExecutionStatus, Replied, Unknown
from transport.wire.messages import ExecuteOrder

pytestmark = pytest.mark.timeout(120)
NEVER_NS = 2**62


@pytest.fixture(params=["native", "pyzmq"])
def client(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[BlockingFastPathClient]:
    config = engine.config(carrier=request.param)
    with BlockingFastPathClient(config) as connected:
        yield connected


class Held:
    """An engine that keeps an order to itself until it is told."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._waiting: list[tuple[bytes, int, ExecuteOrder]] = []
        engine.script = self._hold

    def _hold(self, identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and body.order.order_id == "held":
            self._waiting.append((identity, correlation, body))
            return True
        return False

    def arrived(self) -> bool:
        return bool(self._waiting)

    def let_go(self) -> None:
        identity, correlation, body = self._waiting.pop()
        self._engine.later(lambda: self._engine.send(identity, correlation, self._engine.execute(body.order)))


def soon_ns(ms: float = 30) -> int:
    return time.monotonic_ns() + int(ms * 1e6)


def test_it_is_answered_like_any_other(client: BlockingFastPathClient) -> None:
    conclusion = client.begin_order(order(), 20_000).wait(NEVER_NS)
    assert isinstance(conclusion, Replied) and conclusion.reply.status == ExecutionStatus.FILLED


def test_who_has_waited_long_enough_may_wait_again(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    held = Held(engine)
    copy = client.begin_order(order(order_id="held"), 30_000)
    assert copy.wait(soon_ns()) is None
    eventually(held.arrived, "the order arrived")
    held.let_go()
    assert isinstance(copy.wait(NEVER_NS), Replied)


@pytest.mark.parametrize("another_waits_first", [False, True], ids=["leading", "following"])
def test_another_thread_calls_the_waiting_one_away(
    client: BlockingFastPathClient, engine: FakeEngine, another_waits_first: bool
) -> None:
    Held(engine)
    with ThreadPoolExecutor(2) as threads:
        if another_waits_first:
            leader = client.begin_order(order(order_id="held"), 30_000)
            waiting = threads.submit(leader.wait, NEVER_NS)
            eventually(waiting.running, "another thread waits")
        copy = client.begin_order(order(order_id="held"), 30_000)
        mine = threads.submit(copy.wait, NEVER_NS)
        eventually(mine.running, "the thread waits")
        copy.interrupt()
        assert mine.result(5) is None
        if another_waits_first:
            assert not waiting.done()
            leader.interrupt()
            assert waiting.result(5) is None


def test_a_call_that_comes_before_the_wait_is_not_lost(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    Held(engine)
    copy = client.begin_order(order(order_id="held"), 30_000)
    copy.interrupt()
    assert copy.wait(NEVER_NS) is None
    assert copy.wait(soon_ns()) is None


def test_at_its_deadline_it_is_unknown(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    Held(engine)
    assert isinstance(client.begin_order(order(order_id="held"), 1_000).wait(NEVER_NS), Unknown)


def test_one_that_is_abandoned_leaves_the_connection_to_the_others(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    held = Held(engine)
    copy = client.begin_order(order(order_id="held"), 30_000)
    assert copy.wait(soon_ns()) is None
    copy.abandon()
    eventually(held.arrived, "the order arrived")
    held.let_go()
    for _ in range(20):
        assert client.execute_order(order()).status == ExecutionStatus.FILLED
    threads = [threading.Thread(target=client.execute_order, args=(order(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
