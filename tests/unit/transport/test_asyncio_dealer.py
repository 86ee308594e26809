"""The asyncio carrier: when its bytes go out, what it does when they cannot, and whom it believes to be silent."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from transport import (
    RetryTable,
)
from transport.carriers.asyncio_dealer import OUTPUT_BYTES, AsyncioDealer
from transport.carriers.carrier import CarrierState
from transport.contract.retries import RetryRule

pytestmark = pytest.mark.timeout(120)
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
            async with Opened(beat_ns=time.monotonic_ns() + 1_000_000_000) as opened:
                heard = opened.connection.heard
                heard.clear()

                def keep_the_loop_busy() -> None:
                    # While it reads another socket, so that both loops look at their timers before they read ours.
                    loop.remove_reader(ours)
                    opened.peer.say(b"PONG")
                    threading.Event().wait(1.2)

                loop.add_reader(ours, keep_the_loop_busy)
                theirs.send(b"x")
                await asyncio.wait_for(opened.connection.beat.wait(), 5)
                assert heard == ["bytes", "a beat"]

    run(check())


def test_an_answer_brings_the_next_beat_forward(run: Run) -> None:
    """After a PING the timer stands at the PONG's deadline; a PONG must not leave the next beat to that instant."""

    async def check() -> None:
        async with Opened(beat_ns=time.monotonic_ns() + 1_000_000_000) as opened:
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
