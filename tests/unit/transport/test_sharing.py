"""Clients of the fast path shared by threads, forks and tasks, against a scripted engine."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from tests.conformance.drivers import LoopThread
from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import (
    BlockingFastPathClient,
    ExecutionStatus,
    FastPathClient,
    ForkedProcessError,
    Replied,
    RetryRule,
    RetryTable,
    Unknown,
    WrongLoopError,
    connect,
    connect_blocking,
)
from transport.wire.messages import ExecuteOrder, Hello

pytestmark = pytest.mark.timeout(120)

PATIENT = RetryTable(network=RetryRule(max_retries=20, backoff="linear", first_delay_ms=20, max_delay_ms=200))


# ---- threads ----


def test_many_threads_share_a_client_and_each_gets_its_own_reply(engine: FakeEngine) -> None:
    wrong: list[str] = []
    with BlockingFastPathClient(engine.config()) as client:

        def trade() -> None:
            for _ in range(40):
                given = order()
                if client.execute_order(given).order_id != given.order_id:
                    wrong.append(given.order_id)

        threads = [threading.Thread(target=trade) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert len(engine.replies) == 320


def test_a_thread_that_waits_long_does_not_hold_up_the_others(engine: FakeEngine) -> None:
    slow = order(order_id="slow")
    release: list[Callable[[], None]] = []

    def hold_the_slow_one(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and body.order.order_id == "slow":
            reply = engine.execute(body.order)
            release.append(lambda: engine.send(identity, correlation, reply))
            return True
        return False

    engine.script = hold_the_slow_one
    outcome: list[Any] = []
    with BlockingFastPathClient(engine.config()) as client:
        waiter = threading.Thread(target=lambda: outcome.append(client.attempt_order(slow, 30_000)))
        waiter.start()
        eventually(lambda: release, "the slow one was sent")
        others = [client.execute_order(order()) for _ in range(20)]
        assert waiter.is_alive()
        assert len(others) == 20
        engine.later(release[0])
        waiter.join(10)
    assert isinstance(outcome[0], Replied)


def test_closing_frees_threads_that_wait(engine: FakeEngine) -> None:
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder)
    client = connect_blocking(engine.config())
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(client.attempt_order(order(), 20_000))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: sum(isinstance(body, ExecuteOrder) for body in engine.received) == 3, "all were sent")
    client.close()
    for thread in threads:
        thread.join(10)
    assert [type(outcome) for outcome in outcomes] == [Unknown] * 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_to_make_its_own_client(engine: FakeEngine) -> None:
    with BlockingFastPathClient(engine.config()) as client:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                client.execute_order(order())
            except ForkedProcessError:
                code = 42
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 42
        assert client.execute_order(order()).status == ExecutionStatus.FILLED


# ---- asyncio ----


@pytest.fixture(params=["stock", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return asyncio.run if request.param == "stock" else uvloop.run


def test_thousands_of_tasks_share_a_client(run: Callable[[Any], Any], engine: FakeEngine) -> None:
    async def trade() -> None:
        async with FastPathClient(engine.config()) as client:
            orders = [order() for _ in range(1000)]
            replies = await asyncio.gather(*(client.execute_order(each) for each in orders))
            assert [reply.order_id for reply in replies] == [each.order_id for each in orders]

    run(trade())


def test_cancelling_a_task_leaves_the_connection_alone(run: Callable[[Any], Any], engine: FakeEngine) -> None:
    held = threading.Event()
    late: list[Callable[[], None]] = []

    def hold(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and not held.is_set():
            reply = engine.execute(body.order)
            late.append(lambda: engine.send(identity, correlation, reply))
            held.set()
            return True
        return False

    async def trade() -> None:
        async with FastPathClient(engine.config()) as client:
            given = order()
            task = asyncio.ensure_future(client.execute_order(given))
            assert await asyncio.to_thread(held.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            engine.later(late[0])
            assert (await client.execute_order(order())).status == ExecutionStatus.FILLED
            assert (await client.deliver_order(given)).duplicate
        assert sum(isinstance(body, Hello) for body in engine.received) == 1

    engine.script = hold
    run(trade())


def test_an_asynchronous_source_gets_its_replies_as_it_goes(run: Callable[[Any], Any], engine: FakeEngine) -> None:
    async def trade() -> None:
        async with FastPathClient(engine.config()) as client:
            answered = asyncio.Event()

            async def decide() -> Any:
                yield order(order_id="first")
                await asyncio.wait_for(answered.wait(), 5)
                yield order(order_id="second")

            seen = []
            async for reply in client.execute_batch_orders(decide()):
                seen.append(reply.order_id)
                answered.set()
            assert seen == ["first", "second"]

    run(trade())


def test_another_loop_is_refused(engine: FakeEngine) -> None:
    loops = LoopThread()
    client = loops.run(connect(engine.config()))
    with pytest.raises(WrongLoopError):
        asyncio.run(client.execute_order(order()))
    loops.run(client.close())
    loops.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_with_a_loop_of_its_own_is_told_that_it_is_a_child(engine: FakeEngine) -> None:
    loops = LoopThread()
    client = loops.run(connect(engine.config()))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(client.execute_order(order()))
        except ForkedProcessError:
            code = 42
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    loops.run(client.close())
    loops.close()


def test_closing_in_another_loop_is_refused_and_closes_nothing(engine: FakeEngine) -> None:
    loops = LoopThread()
    client = loops.run(connect(engine.config()))
    with pytest.raises(WrongLoopError):
        asyncio.run(client.close())
    assert loops.run(client.execute_order(order())).status == ExecutionStatus.FILLED
    loops.run(client.close())
    loops.close()
