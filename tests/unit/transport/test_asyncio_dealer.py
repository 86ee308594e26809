"""The asyncio carrier: when its bytes go out, what it does when they cannot, and whom it believes to be silent."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from tests.conformance.drivers import LoopThread
from tests.unit.transport.fake_engine import FakeEngine
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
from transport.carriers.asyncio_dealer import OUTPUT_BYTES, AsyncioDealer
from transport.carriers.carrier import CarrierState
from transport.carriers.choice import choose_carrier
from transport.contract import PathLost, SubscribeOrderUpdates
from transport.contract.retries import RetryRule
from transport.wire.messages import ExecuteOrder, Limits, SubscribeReply

pytestmark = pytest.mark.timeout(60)
Run = Callable[[Awaitable[None]], None]
NO_RETRIES = RetryTable(network=RetryRule())


@pytest.fixture(params=["stock", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    return asyncio.run if request.param == "stock" else uvloop.run


class OpenConnection:
    """A protocol that is ready at the first byte, and whose messages are their own frames. Counts writes."""

    def __init__(self) -> None:
        self.output = [b"greeting"]
        self.writes: list[bytes] = []
        self.heard: list[str] = []
        self.deadline: int | None = None
        self.beat = asyncio.Event()
        self._ready = False

    def feed(self, data: bytes, now_ns: int) -> list[tuple[int, Any]]:
        self.heard.append("bytes")
        was, self._ready = self._ready, True
        return [(0, data)] if was else []

    def failure(self) -> str | None:
        return None

    def is_ready(self) -> bool:
        return self._ready

    def send(self, data: bytes) -> None:
        self.output.append(data)

    def send_order(self, correlation: int, journal_id: str, order: Any, max_bytes: int) -> int:
        raise NotImplementedError

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Any], max_bytes: int) -> int:
        raise NotImplementedError

    def take_output(self) -> bytes:
        taken = b"".join(self.output)
        self.output.clear()
        if taken:
            self.writes.append(taken)
        return taken

    def deadline_ns(self) -> int | None:
        return self.deadline

    def on_time(self, now_ns: int) -> str | None:
        self.heard.append("a beat")
        self.deadline = None
        self.beat.set()
        return None


class Peer:
    """A server that makes its one connection ready, and reads only when it is told to."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.received = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def listen(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 16)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"tcp://{host}:{port}"

    def say(self, data: bytes) -> None:
        self._writers[0].write(data)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        writer.write(b"ready")
        await self.reads.wait()
        while data := await reader.read(1 << 16):
            self.received += len(data)


class Opened:
    """A carrier that is ready, with its peer."""

    def __init__(self, beat_ns: int | None = None) -> None:
        self.connection = OpenConnection()
        self.connection.deadline = beat_ns
        self.peer = Peer()
        self.delivered: asyncio.Queue[Any] = asyncio.Queue()
        self.noticed = asyncio.Event()
        self.carrier: AsyncioDealer

    async def __aenter__(self) -> Opened:
        endpoint = await self.peer.listen()
        self.carrier = AsyncioDealer(endpoint, self.connection, self.delivered.put_nowait, self.noticed.set)
        await asyncio.wait_for(self.noticed.wait(), 5)
        assert [event.state for event in self.carrier.events()] == [CarrierState.READY]
        self.connection.writes.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.carrier.close()
        await self.peer.close()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_lone_message_goes_at_once_and_what_follows_in_the_same_turn_goes_together(run: Run) -> None:
    async def check() -> None:
        async with Opened() as opened:
            assert opened.carrier.send(b"1")
            assert opened.connection.writes == [b"1"]
            assert opened.carrier.send(b"2") and opened.carrier.send(b"3")
            assert opened.connection.writes == [b"1"]
            await turns(2)
            assert opened.connection.writes == [b"1", b"23"]
            # An answer has come: what is sent next is alone again.
            opened.peer.say(b"answer")
            await asyncio.wait_for(opened.delivered.get(), 5)
            assert opened.carrier.send(b"4")
            assert opened.connection.writes == [b"1", b"23", b"4"]

    run(check())


def test_a_peer_that_does_not_read_ends_in_refusals_and_not_in_memory(run: Run) -> None:
    async def check() -> None:
        async with Opened() as opened:
            message = b"x" * 10_000
            accepted = 0
            for _ in range(20 * OUTPUT_BYTES // len(message)):
                if not opened.carrier.send(message):
                    break
                accepted += 1
                await turns(1)
            # The mark, and what the sockets of both ends hold.
            assert OUTPUT_BYTES < accepted * len(message) < OUTPUT_BYTES + (12 << 20)
            assert not opened.carrier.send(message)
            opened.peer.reads.set()
            for _ in range(10_000):
                if opened.carrier.send(message):
                    break
                await asyncio.sleep(0.001)
            else:
                pytest.fail("sending was not taken up again")

    run(check())


def test_a_turn_of_many_large_messages_is_written_before_it_ends(run: Run) -> None:
    async def check() -> None:
        async with Opened() as opened:
            opened.peer.reads.set()
            for _ in range(100):
                opened.carrier.send(b"x" * 10_000)
            assert len(opened.connection.writes) > 5
            assert sum(map(len, opened.connection.output)) < 200_000

    run(check())


def test_what_came_while_the_loop_was_busy_is_read_before_a_beat_is_judged(run: Run) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            async with Opened(beat_ns=time.monotonic_ns() + 50_000_000) as opened:
                heard = opened.connection.heard
                heard.clear()

                def keep_the_loop_busy() -> None:
                    # While it reads another socket, so that both loops look at their timers before they read ours.
                    loop.remove_reader(ours)
                    opened.peer.say(b"PONG")
                    threading.Event().wait(0.1)

                loop.add_reader(ours, keep_the_loop_busy)
                theirs.send(b"x")
                await asyncio.wait_for(opened.connection.beat.wait(), 5)
                assert heard == ["bytes", "a beat"]

    run(check())


def test_an_answer_brings_the_next_beat_forward(run: Run) -> None:
    """After a PING the timer stands at the PONG's deadline; a PONG must not leave the next beat to that instant."""

    async def check() -> None:
        async with Opened(beat_ns=time.monotonic_ns() + 200_000_000) as opened:
            connection, beats = opened.connection, asyncio.Semaphore(0)

            def on_time(now_ns: int) -> str | None:
                connection.deadline = now_ns + 60_000_000_000
                beats.release()
                return None

            connection.on_time = on_time
            await asyncio.wait_for(beats.acquire(), 5)
            connection.deadline = time.monotonic_ns()  # the interval after the PONG
            opened.peer.say(b"PONG")
            await asyncio.wait_for(beats.acquire(), 5)

    run(check())


def test_closing_while_it_connects_leaves_nothing_behind(run: Run) -> None:
    async def check() -> None:
        peer = Peer()
        endpoint = await peer.listen()
        for pause in range(6):
            carrier = AsyncioDealer(endpoint, OpenConnection(), pytest.fail, pytest.fail)
            await turns(pause)
            carrier.close()
            assert not carrier.send(b"late")
        await turns(20)
        await peer.close()
        assert len(asyncio.all_tasks()) <= 7  # this one, and the peer's

    run(check())


# ---- with the native protocol, below the client ----


def test_a_loop_that_was_busy_does_not_take_its_engine_for_silent(run: Run, engine: FakeEngine) -> None:
    async def check() -> None:
        config = BridgeConfig(zmq_endpoint=engine.endpoint, heartbeat_interval_ms=10, heartbeat_timeout_ms=20)
        async with FastPathClient(config) as client:
            lost: list[PathLost] = []
            client.add_listener(lambda event: lost.append(event) if isinstance(event, PathLost) else None)
            for _ in range(10):
                # Nobody else runs in this loop meanwhile: that is the point.
                threading.Event().wait(0.1)
                await asyncio.sleep(0.012)
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
        config = BridgeConfig(zmq_endpoint=engine.endpoint, max_in_flight=10, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            conclusions = await asyncio.gather(*(client.attempt_order(order(), 200) for _ in range(15)))
            refused = [each for each in conclusions if isinstance(each, NotSent)]
            assert len(refused) == 5 and "10 requests are in flight" in refused[0].reason

    run(check())


@pytest.mark.parametrize("carrier", ["native", "pyzmq"])
def test_more_calls_than_the_window_holds_wait_for_their_turn(run: Run, engine: FakeEngine, carrier: Any) -> None:
    async def check() -> None:
        config = BridgeConfig(
            zmq_endpoint=engine.endpoint, carrier=carrier, max_in_flight=10, call_timeout_ms=20_000, retries=NO_RETRIES
        )
        async with FastPathClient(config) as client:
            given = [order() for _ in range(300)]
            tasks = [asyncio.ensure_future(client.execute_order(each)) for each in given]
            await turns(2)
            tasks[15].cancel()
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(replies.pop(15), asyncio.CancelledError)
            assert {reply.status for reply in replies} == {ExecutionStatus.FILLED}  # type: ignore[union-attr]

    run(check())


def test_a_call_that_finds_no_room_within_its_time_was_not_sent(run: Run, engine: FakeEngine) -> None:
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder)

    async def check() -> None:
        config = BridgeConfig(zmq_endpoint=engine.endpoint, max_in_flight=1, retries=NO_RETRIES)
        async with FastPathClient(config) as client:
            first = asyncio.ensure_future(client.attempt_order(order(), 10_000))
            await turns(1)
            with pytest.raises(NotSentError, match="1 requests are in flight"):
                await client.execute_order(order(), timeout_ms=100)
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
        config = BridgeConfig(zmq_endpoint=engine.endpoint, batch_window=100, call_timeout_ms=200, retries=NO_RETRIES)
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

        async with FastPathClient(BridgeConfig(zmq_endpoint=engine.endpoint)) as client:
            replies = client.execute_batch_orders(source())
            assert (await anext(replies)).status == ExecutionStatus.FILLED
            await cast("AsyncGenerator[Any, None]", replies).aclose()
            await asyncio.wait_for(ended.wait(), 5)

    run(check())


def test_an_order_above_the_engines_limit_costs_no_reply_of_a_streams_others(run: Run, engine: FakeEngine) -> None:
    large = order(metadata={str(index): "x" * 250 for index in range(30)})
    engine.limits = Limits(max_message_bytes=2000, max_batch_orders=1000, max_in_flight=1024)

    async def check() -> None:
        async with FastPathClient(BridgeConfig(zmq_endpoint=engine.endpoint)) as client:
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
    client = loops.run(connect(BridgeConfig(zmq_endpoint=engine.endpoint)))

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
