"""The asyncio client over the native carrier: its window, its streams, and which carrier is taken."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from tests.conformance.drivers import LoopThread
from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_asyncio_dealer import turns
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import (
    BridgeConfig,
    ClientClosedError,
    ExecutionStatus,
    FastPathClient,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    RetryTable,
    Unknown,
    ValidationError,
    connect,
)
from transport.carriers.choice import choose_carrier
from transport.contract import PathLost, SubscribeOrderUpdates
from transport.contract.retries import RetryRule
from transport.wire.messages import ExecuteOrder, Limits, SubscribeReply

pytestmark = pytest.mark.timeout(120)
Run = Callable[[Awaitable[None]], None]
NO_RETRIES = RetryTable(network=RetryRule())


@pytest.fixture(params=["stock", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    return asyncio.run if request.param == "stock" else uvloop.run


def test_a_loop_that_was_busy_does_not_take_its_engine_for_silent(run: Run, engine: FakeEngine) -> None:
    async def check() -> None:
        config = engine.config(heartbeat_interval_ms=50, heartbeat_timeout_ms=500)
        async with FastPathClient(config) as client:
            lost: list[PathLost] = []
            client.add_listener(lambda event: lost.append(event) if isinstance(event, PathLost) else None)
            for _ in range(4):
                # Nobody else runs in this loop meanwhile: that is the point.
                threading.Event().wait(0.6)
                await asyncio.sleep(0.06)
            assert lost == []
            assert (await client.execute_order(order())).status == ExecutionStatus.FILLED

    run(check())


def test_over_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def check(endpoint: str) -> None:
        async with FastPathClient(BridgeConfig(zmq_endpoint=endpoint)) as client:
            assert (await client.execute_order(order())).status == ExecutionStatus.FILLED

    for endpoint in (f"ipc://{tmp_path}/engine", f"ipc://@{tmp_path.name}-{run.__module__}"):
        with FakeEngine(endpoint) as engine:
            run(check(engine.endpoint))


def test_orders_beyond_the_window_are_not_sent_and_those_within_it_are_in_doubt(run: Run, engine: FakeEngine) -> None:
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder)

    async def check() -> None:
        config = engine.config(max_in_flight=10, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            conclusions = await asyncio.gather(*(client.attempt_order(order(), 2_000) for _ in range(15)))
            refused = [each for each in conclusions if isinstance(each, NotSent)]
            assert len(refused) == 5 and "10 requests are in flight" in refused[0].reason

    run(check())


@pytest.mark.parametrize("carrier", ["native", "pyzmq"])
def test_more_calls_than_the_window_holds_wait_for_their_turn(run: Run, engine: FakeEngine, carrier: Any) -> None:
    goes_on = threading.Event()

    def hold(_identity: bytes, _correlation: int, body: Any) -> bool:
        # Nothing is answered before one that waits is withdrawn, whichever thread is faster.
        return isinstance(body, ExecuteOrder) and not goes_on.wait(60)

    async def check() -> None:
        config = engine.config(carrier=carrier, max_in_flight=10, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            engine.script = hold
            given = [order() for _ in range(300)]
            tasks = [asyncio.ensure_future(client.execute_order(each)) for each in given]
            await turns(2)
            tasks[250].cancel()
            goes_on.set()
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(replies.pop(250), asyncio.CancelledError)
            assert {reply.status for reply in replies} == {ExecutionStatus.FILLED}  # type: ignore[union-attr]

    run(check())


def test_a_call_that_finds_no_room_within_its_time_was_not_sent(run: Run, engine: FakeEngine) -> None:
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder)

    async def check() -> None:
        config = engine.config(max_in_flight=1, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            first = asyncio.ensure_future(client.attempt_order(order(), 10_000))
            await turns(1)
            with pytest.raises(NotSentError, match="1 requests are in flight"):
                await client.execute_order(order(), timeout_ms=1_000)
            waiting = asyncio.ensure_future(client.execute_order(order(), timeout_ms=10_000))
            await turns(1)
            await client.close()
            assert isinstance(await first, Unknown)
            with pytest.raises(ClientClosedError):
                await waiting

    run(check())


@pytest.mark.parametrize("is_asynchronous", [False, True], ids=["plain", "asynchronous"])
def test_a_stream_takes_no_more_from_its_source_than_its_window(
    run: Run, engine: FakeEngine, is_asynchronous: bool
) -> None:
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder)
    taken = 0

    def source() -> Any:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield order()

    async def asynchronous() -> Any:
        for each in source():
            yield each

    async def check() -> None:
        config = engine.config(batch_window=100, call_timeout_ms=2_000, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            with pytest.raises(OutcomeUnknownError) as raised:
                await anext(client.execute_batch_orders(asynchronous() if is_asynchronous else source()))
            assert len(raised.value.order_ids) == taken == 100

    run(check())


def test_a_source_that_waits_ends_with_the_stream_that_reads_it(run: Run, engine: FakeEngine) -> None:
    async def check() -> None:
        ended = asyncio.Event()

        async def source() -> Any:
            try:
                yield order()
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with FastPathClient(engine.config()) as client:
            replies = client.execute_batch_orders(source())
            assert (await anext(replies)).status == ExecutionStatus.FILLED
            await cast("AsyncGenerator[Any, None]", replies).aclose()
            await asyncio.wait_for(ended.wait(), 5)

    run(check())


def test_an_order_above_the_engines_limit_costs_no_reply_of_a_streams_others(run: Run, engine: FakeEngine) -> None:
    large = order(metadata={str(index): "x" * 250 for index in range(30)})
    engine.limits = Limits(max_message_bytes=2000, max_batch_orders=1000, max_in_flight=1024)

    async def check() -> None:
        async with FastPathClient(engine.config()) as client:
            before, after = [order() for _ in range(5)], [order() for _ in range(5)]
            replies = client.execute_batch_orders([*before, large, *after])
            for each in before + after:
                assert (await anext(replies)).order_id == each.order_id
            with pytest.raises(ValidationError, match="MESSAGE_TOO_LARGE"):
                await anext(replies)

    run(check())


def test_an_abandoned_stream_of_updates_gives_its_connection_back(engine: FakeEngine) -> None:
    subscribed: list[bytes] = []

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, SubscribeOrderUpdates):
            subscribed.append(identity)
            engine.send(identity, correlation, SubscribeReply("default", 0))
            return True
        return False

    engine.script = script
    loops = LoopThread()
    client = loops.run(connect(engine.config()))

    async def abandon() -> weakref.ref[Any]:
        updates = client.subscribe_order_updates()
        await updates.start()
        return weakref.ref(updates)

    abandoned = loops.run(abandon())
    gc.collect()
    eventually(lambda: abandoned() is None, "nobody holds the stream")
    loops.run(client.close())
    loops.close()


# ---- which carrier ----


def test_native_where_it_is_not_built_is_an_error_that_names_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transport._native", None)
    with pytest.raises(ValidationError, match=r"carrier.*not built") as raised:
        FastPathClient(BridgeConfig(carrier="native"))
    assert raised.value.field == "carrier"


def test_auto_is_native_where_that_is_built_and_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_carrier(BridgeConfig()) == choose_carrier(BridgeConfig(carrier="native")) == "native"
    assert choose_carrier(BridgeConfig(codec="portable")) == choose_carrier(BridgeConfig(carrier="pyzmq")) == "pyzmq"
    monkeypatch.setitem(sys.modules, "transport._native", None)
    assert choose_carrier(BridgeConfig()) == "pyzmq"
