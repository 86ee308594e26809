"""A TCP proxy that breaks connections: delays, drips, withholds either direction, cuts in two, resets, goes silent."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Side = Literal["client", "engine"]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_DRIP_INTERVAL_S = 0.005


@dataclass
class _Weather:
    """What befalls the bytes that one side sends, from now on."""

    held: bool = False
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    drip_bytes_per_s: int = 0
    """0: as fast as they come."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody waits for this weather any more."""


@dataclass(eq=False)
class _Link:
    """One proxied connection. What a direction withholds waits in its buffer, in order."""

    client: asyncio.StreamWriter
    engine: asyncio.StreamWriter
    held_to_engine: bytearray = field(default_factory=bytearray)
    held_to_client: bytearray = field(default_factory=bytearray)
    gone: set[Side] = field(default_factory=set[Side])
    """The side that was reset while the other was left open."""
    left_ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The side that was left open has gone as well."""

    def ahead_of(self, source: Side) -> tuple[bytearray, asyncio.StreamWriter]:
        """What is withheld of one side, and where its bytes go otherwise."""
        return (self.held_to_engine, self.engine) if source == "client" else (self.held_to_client, self.client)


class FaultProxy:
    """Stands between a client and one `host:port` of the engine, on a thread of its own.

    Thread-safe: every method may be called from any thread and has taken effect when it returns. Bytes withheld stay
    withheld when the proxy heals: a link that has lost bytes never delivers the later ones, as TCP would not; only
    new connections are whole. A context manager.
    """

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        """`seed` makes the jitter."""
        self._host, _, port = upstream.removeprefix("tcp://").rpartition(":")
        self._port = int(port)
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._weather: dict[Side, _Weather] = {"client": _Weather(), "engine": _Weather()}
        self._refuse = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._cuts = 0
        """How often all connections were ended: whoever was on the way to the engine then is ended as well."""
        self.port = 0
        self.accepted = 0

    @property
    def endpoint(self) -> str:
        """`host:port` that clients connect to."""
        return f"127.0.0.1:{self.port}"

    def withhold_requests(self) -> None:
        """From now on bytes from clients are taken and not passed on."""
        self._on_loop(self._hold, to_engine=True)

    def withhold_replies(self) -> None:
        """From now on bytes from the engine are taken and not passed on; requests still reach it."""
        self._on_loop(self._hold, to_client=True)

    def blackhole(self) -> None:
        """From now on nothing passes either way and nobody is told; new connections are taken and stay silent."""
        self._on_loop(self._hold, to_engine=True, to_client=True)

    def delay(self, latency_ms: float, jitter_ms: float = 0.0) -> None:
        """From now on what is read waits this long, and up to `jitter_ms` longer, before it passes; both ways."""
        self._on_loop(self._change, latency_ms=latency_ms, jitter_ms=jitter_ms)

    def drip(self, bytes_per_s: int) -> None:
        """From now on bytes pass a few at a time, both ways: messages arrive in pieces, and late."""
        self._on_loop(self._change, drip_bytes_per_s=bytes_per_s)

    def cut_withheld_replies_in_two(self) -> None:
        """Passes on the first half of what is withheld from the engine, and ends those connections."""
        self._on_loop(self._cut_in_two)

    def close_connections(self) -> None:
        """Ends (FIN) every connection, both sides of it."""
        self._on_loop(self._close_all)

    def reset_connections(self) -> None:
        """Resets (RST) every connection, both sides of it."""
        self._on_loop(self._reset_all)

    def leave_half_open(self, side: Side) -> None:
        """Resets the other side of every connection; this side is left open, is not told, and hears nothing more."""
        self._on_loop(self._half_open, side=side)

    def refuse_connections(self) -> None:
        """Resets every connection, and each new one at once."""
        self._on_loop(self._set_refuse)
        self.reset_connections()

    def heal(self) -> None:
        """New connections pass again, at full speed. Those that lost bytes or a side are reset."""
        self._on_loop(self._heal)

    def held_from_engine(self) -> int:
        """How many bytes of the engine are withheld just now."""
        return self._on_loop(lambda: sum(len(link.held_to_client) for link in self._links))

    def held_from_clients(self) -> int:
        """How many bytes of clients are withheld just now."""
        return self._on_loop(lambda: sum(len(link.held_to_engine) for link in self._links))

    def start(self) -> FaultProxy:
        """Listens on a free port."""
        self._thread.start()
        self._wait(self._listen())
        return self

    def close(self) -> None:
        """Resets what is open and ends the thread."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _on_loop(self, act: Callable[..., T], **named: Any) -> T:
        async def run() -> T:
            return act(**named)

        return self._wait(run())

    def _hold(self, *, to_engine: bool = False, to_client: bool = False) -> None:
        self._weather["client"].held |= to_engine
        self._weather["engine"].held |= to_client

    def _change(self, **settings: float) -> None:
        for weather in self._weather.values():
            for name, value in settings.items():
                setattr(weather, name, value)

    def _set_refuse(self) -> None:
        self._refuse = True

    def _heal(self) -> None:
        for weather in self._weather.values():
            weather.over.set()
        self._weather = {"client": _Weather(), "engine": _Weather()}
        self._refuse = False
        for link in [one for one in self._links if one.held_to_client or one.held_to_engine or one.gone]:
            self._reset(link)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._reset_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset_writer(writer)
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuse:
            _reset_writer(writer)
            return
        cuts = self._cuts
        engine_reader, engine_writer = await asyncio.open_connection(self._host, self._port)
        if self._cuts != cuts:
            _reset_writer(writer)
            _reset_writer(engine_writer)
            return
        for side in (writer, engine_writer):
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(writer, engine_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump("client", reader, link), self._pump("engine", engine_reader, link))
        except OSError:
            self._reset(link)
        finally:
            self._links.discard(link)
            for side in (writer, engine_writer):
                side.close()

    async def _pump(self, source: Side, reader: asyncio.StreamReader, link: _Link) -> None:
        """Passes on what comes from `source`, as the weather of the moment has it."""
        held, writer = link.ahead_of(source)
        try:
            while data := await reader.read(65536):
                if held or link.gone:
                    held += data
                    continue
                held += await self._pass_on(data, source, writer)
        except OSError:
            if not link.gone:
                raise
        if source in link.gone:
            await link.left_ended.wait()
        elif link.gone:
            link.left_ended.set()
        elif not held:
            writer.write_eof()

    async def _pass_on(self, data: bytes, source: Side, writer: asyncio.StreamWriter) -> bytes:
        """Writes `data`; what the weather withholds comes back."""
        now = self._weather[source]
        if now.latency_ms or now.jitter_ms:
            late_ms = now.latency_ms + self._random.random() * now.jitter_ms
            with suppress(TimeoutError):
                await asyncio.wait_for(now.over.wait(), late_ms / 1000)
        while data:
            now = self._weather[source]
            if now.held:
                return data
            if not now.drip_bytes_per_s:
                writer.write(data)
                data = b""
            else:
                few = max(1, int(now.drip_bytes_per_s * _DRIP_INTERVAL_S))
                writer.write(data[:few])
                data = data[few:]
                await asyncio.sleep(_DRIP_INTERVAL_S)
            await writer.drain()
        return b""

    def _cut_in_two(self) -> None:
        for link in [one for one in self._links if one.held_to_client]:
            half = bytes(link.held_to_client[: len(link.held_to_client) // 2])
            # Past asyncio's buffer and into the kernel, or the reset would throw it away.
            raw = socket.fromfd(link.client.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with raw:
                raw.send(half)
            link.client.close()
            self._reset_engine_side(link)

    def _half_open(self, side: Side) -> None:
        for link in self._links:
            if not link.gone:
                link.gone.add("engine" if side == "client" else "client")
                _reset_writer(link.engine if side == "client" else link.client)

    def _reset_engine_side(self, link: _Link) -> None:
        self._links.discard(link)
        _reset_writer(link.engine)

    def _close_all(self) -> None:
        self._cuts += 1
        for link in list(self._links):
            self._links.discard(link)
            link.client.close()
            link.engine.close()

    def _reset_all(self) -> None:
        self._cuts += 1
        for link in list(self._links):
            self._reset(link)

    def _reset(self, link: _Link) -> None:
        self._links.discard(link)
        _reset_writer(link.client)
        _reset_writer(link.engine)


def _reset_writer(writer: asyncio.StreamWriter) -> None:
    """Closes so that the peer sees RST, not FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
