"""A TCP proxy that breaks connections: withholds either direction, cuts a reply in two, resets, goes silent."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One proxied connection. What a direction withholds waits in its buffer, in order."""

    client: asyncio.StreamWriter
    engine: asyncio.StreamWriter
    held_to_engine: bytearray = field(default_factory=bytearray)
    held_to_client: bytearray = field(default_factory=bytearray)


class FaultProxy:
    """Stands between a client and one `host:port` of the engine, on a thread of its own.

    Thread-safe: every method may be called from any thread and has taken effect when it returns. Bytes withheld stay
    withheld when the proxy heals: a link that has lost bytes never delivers the later ones, as TCP would not; only
    new connections are whole. A context manager.
    """

    def __init__(self, upstream: str) -> None:
        self._host, _, port = upstream.removeprefix("tcp://").rpartition(":")
        self._port = int(port)
        self._links: set[_Link] = set()
        self._hold_to_engine = self._hold_to_client = self._refuse = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.accepted = 0

    @property
    def endpoint(self) -> str:
        """`host:port` that clients connect to."""
        return f"127.0.0.1:{self.port}"

    def withhold_requests(self) -> None:
        """From now on bytes from clients are taken and not passed on."""
        self._on_loop(self._set, hold_to_engine=True)

    def withhold_replies(self) -> None:
        """From now on bytes from the engine are taken and not passed on; requests still reach it."""
        self._on_loop(self._set, hold_to_client=True)

    def blackhole(self) -> None:
        """From now on nothing passes either way and nobody is told; new connections are taken and stay silent."""
        self._on_loop(self._set, hold_to_engine=True, hold_to_client=True)

    def cut_withheld_replies_in_two(self) -> None:
        """Passes on the first half of what is withheld from the engine, and ends those connections."""
        self._on_loop(self._cut_in_two)

    def reset_connections(self) -> None:
        """Resets (RST) every connection, both sides of it."""
        self._on_loop(self._reset_all)

    def refuse_connections(self) -> None:
        """Resets every connection, and each new one at once."""
        self._on_loop(self._set, refuse=True)
        self.reset_connections()

    def heal(self) -> None:
        """New connections pass again. Those that lost bytes are reset."""
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

    def _set(self, **switches: bool) -> None:
        for name, value in switches.items():
            setattr(self, f"_{name}", value)

    def _heal(self) -> None:
        self._hold_to_engine = self._hold_to_client = self._refuse = False
        for link in [one for one in self._links if one.held_to_client or one.held_to_engine]:
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
        engine_reader, engine_writer = await asyncio.open_connection(self._host, self._port)
        for side in (writer, engine_writer):
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(writer, engine_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._to_engine(reader, link), self._to_client(engine_reader, link))
        except OSError:
            self._reset(link)
        finally:
            self._links.discard(link)
            for side in (writer, engine_writer):
                side.close()

    async def _to_engine(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(65536):
            if self._hold_to_engine or link.held_to_engine:
                link.held_to_engine += data
                continue
            link.engine.write(data)
            await link.engine.drain()
        if not link.held_to_engine:
            link.engine.write_eof()

    async def _to_client(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(65536):
            if self._hold_to_client or link.held_to_client:
                link.held_to_client += data
                continue
            link.client.write(data)
            await link.client.drain()
        if not link.held_to_client:
            link.client.write_eof()

    def _cut_in_two(self) -> None:
        for link in [one for one in self._links if one.held_to_client]:
            half = bytes(link.held_to_client[: len(link.held_to_client) // 2])
            # Past asyncio's buffer and into the kernel, or the reset would throw it away.
            raw = socket.fromfd(link.client.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM)
            with raw:
                raw.send(half)
            link.client.close()
            self._reset_engine_side(link)

    def _reset_engine_side(self, link: _Link) -> None:
        self._links.discard(link)
        _reset_writer(link.engine)

    def _reset_all(self) -> None:
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
