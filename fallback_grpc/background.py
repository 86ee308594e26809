"""Streams for threads: an asyncio bridge in a thread of its own, whose items come out of blocking iterators.

A stream that outlives a path has to wait for its next item and for news of the paths at once; asyncio does that, a
blocked thread cannot. So the blocking bridge's streams run in one background loop, started with the first of them,
with connections of their own. Orders never take this way.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.bridge_settings import BridgeSettings
from fallback_grpc.failover.events import BridgePathEvent, PathEventKind
from fallback_grpc.failover.updates import is_final
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    JournalMismatchError,
    NetworkError,
    OutcomeUnknownError,
)
from transport.contract.replies import Path

ItemT = TypeVar("ItemT")

# Items that wait for a slow reader; then the stream itself waits, and the engine's rules for slow readers apply.
_MOST_WAITING = 1_024
_POLL_S = 0.5
_RECONNECT_S = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _End:
    problem: BaseException | None


class _Pump(Generic[ItemT]):
    """One stream on its way from the loop to a reading thread."""

    def __init__(self) -> None:
        self.items: queue.SimpleQueue[ItemT | _End] = queue.SimpleQueue()
        self.room = asyncio.Semaphore(_MOST_WAITING)

    async def run(self, open_stream: Callable[[], Awaitable[AsyncIterator[ItemT]]]) -> None:
        try:
            async for item in await open_stream():
                await self.room.acquire()
                self.items.put(item)
        except BaseException as problem:
            self.items.put(_End(problem))
            if not isinstance(problem, Exception):
                raise
        else:
            self.items.put(_End(None))


class BackgroundStreams:
    """The background loop of one blocking bridge. Any thread may open streams; each iterator belongs to one."""

    def __init__(
        self, settings: BridgeSettings, journal_id: Callable[[], str], regressed: Callable[[BridgePathEvent], None]
    ) -> None:
        """`regressed` is told, in the background thread, when a stream finds that the engine's state went back."""
        self._settings = settings
        self._journal_id = journal_id
        self._regressed = regressed
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: ExecutionBridgeClient | None = None
        self._connecting: asyncio.Lock | None = None
        self._preferred: Path | None = None
        self._closed = False

    def prefer(self, path: Path) -> None:
        """Streams take this path first from now on, where they have a choice."""
        with self._lock:
            self._preferred, loop, client = path, self._loop, self._client
        if loop is not None and client is not None:
            loop.call_soon_threadsafe(client.prefer, path)

    def open(self, stream: Callable[[ExecutionBridgeClient], AsyncIterator[ItemT]]) -> Generator[ItemT, None, None]:
        """Starts a stream at once and hands out its items. Raises what the stream ends with."""
        loop = self._started()
        pump: _Pump[ItemT] = _Pump()

        async def open_stream() -> AsyncIterator[ItemT]:
            return stream(await self._connected())

        running = asyncio.run_coroutine_threadsafe(pump.run(open_stream), loop)
        return self._read(pump, loop, running.cancel)

    def close(self) -> None:
        """Ends all streams: their iterators raise `ClientClosedError`."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._shut_down(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)

    def _read(
        self, pump: _Pump[ItemT], loop: asyncio.AbstractEventLoop, cancel: Callable[[], bool]
    ) -> Generator[ItemT, None, None]:
        try:
            while True:
                try:
                    item = pump.items.get(timeout=_POLL_S)
                except queue.Empty:
                    if self._closed:
                        raise ClientClosedError("the client was closed while its stream was read") from None
                    continue
                if isinstance(item, _End):
                    if self._closed or isinstance(item.problem, asyncio.CancelledError):
                        raise ClientClosedError("the client was closed while its stream was read")
                    if item.problem is not None:
                        raise item.problem
                    return
                yield item
                if not loop.is_closed():
                    loop.call_soon_threadsafe(pump.room.release)
        finally:
            cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="bridge-streams", daemon=True)
                self._thread.start()
            return self._loop

    async def _connected(self) -> ExecutionBridgeClient:
        self._connecting = self._connecting or asyncio.Lock()
        async with self._connecting:
            if self._client is None:
                client = await self._connected_at_last()
                if client.journal_id != self._journal_id():
                    await client.close()
                    raise JournalMismatchError(
                        f"journal {client.journal_id} answers where {self._journal_id()} was expected"
                    )
                client.on_path_event(self._heard)
                with self._lock:
                    self._client = client
                    preferred = self._preferred
                if preferred is not None:
                    client.prefer(preferred)
            return self._client

    def _heard(self, event: BridgePathEvent) -> None:
        if event.kind is PathEventKind.STATE_REGRESSED:
            self._regressed(event)

    async def _connected_at_last(self) -> ExecutionBridgeClient:
        """A client of its own, however long that takes: the endpoints are good, since the blocking bridge has them.

        Raises what another attempt would not change.
        """
        while True:
            client = ExecutionBridgeClient(self._settings)
            try:
                await client.connect()
                return client
            except (NetworkError, OutcomeUnknownError) as problem:
                _log.info("streams: %s", problem)
            except ExecutionBridgeError as problem:
                if is_final(problem):
                    raise
            await asyncio.sleep(_RECONNECT_S)

    async def _shut_down(self) -> None:
        if self._client is not None:
            await self._client.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
