"""Streams that outlive a path: order updates and market data over whichever path is alive, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fallback_grpc.failover.asynchronous import ChangeGate
from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.failover.updates import UpdateCursor, is_final
from transport.contract.errors import ExecutionBridgeError, NetworkError, StateRegressedError
from transport.contract.replies import MarketDataUpdate, OrderUpdate, Path, UpdateGap

_NS_PER_S = 1_000_000_000
_PAUSE_S = 0.02

# Items read ahead of a slow reader; then the path's stream waits, and the engine's rules for slow readers apply.
_MOST_WAITING = 256

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class _End:
    problem: ExecutionBridgeError | None


class _Stall:
    """How long a subscription has been without a connection of its own (the orders' one may be well meanwhile)."""

    def __init__(self, items: object, patience_ms: float) -> None:
        self._items = items
        self._patience_ns = int(patience_ms * NS_PER_MS)
        self._well_at_ns = self._looked_at_ns = time.monotonic_ns()

    def is_too_long(self) -> bool:
        now_ns = time.monotonic_ns()
        # While its reader was busy elsewhere nobody looked after the subscription either: time begins anew.
        if getattr(self._items, "is_subscribed", True) or now_ns - self._looked_at_ns > self._patience_ns:
            self._well_at_ns = now_ns
        self._looked_at_ns = now_ns
        return now_ns - self._well_at_ns >= self._patience_ns


class Streaming(Protocol):
    """What the streams need of a path."""

    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]: ...
    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> AsyncIterator[OrderUpdate | UpdateGap]: ...


class AsyncStreams:
    """The streams of one bridge. For the tasks of its event loop."""

    def __init__(
        self, board: Switchboard, gate: ChangeGate, paths: Mapping[Path, Streaming], patience_ms: float = 1_000.0
    ) -> None:
        """`patience_ms`: how long a subscription may be without a connection before another path takes it over."""
        self._patience_ms = patience_ms
        self._board = board
        self._gate = gate
        self._paths = paths

    async def updates(self, resume_from: int | None, accept_gaps: bool) -> AsyncIterator[OrderUpdate | UpdateGap]:
        """Every update once and in order; goes on from the last number on the other path when one fails."""
        cursor = UpdateCursor(resume_from)
        stalled: Path | None = None
        while True:
            path = await self._wait_for_path(stalled)
            items = self._paths[path].subscribe_order_updates(resume_from=cursor.resume_from, accept_gaps=accept_gaps)
            stall = _Stall(items, self._patience_ms)

            def leave(path: Path = path, stall: _Stall = stall) -> bool:
                usable = self._board.usable
                return path not in usable or (len(usable) > 1 and stall.is_too_long())

            try:
                async with aclosing(self._until(items, leave)) as received:
                    async for item in received:
                        wanted = cursor.accept(item)
                        if wanted is not None:
                            yield wanted
                        if cursor.has_hole:
                            break
            except StateRegressedError as problem:
                if not self._board.is_stopped():
                    self._board.state_regressed(path, str(problem), time.monotonic_ns())
                raise
            stalled = path if stall.is_too_long() else None
            # A subscription from now that saw nothing yet goes on from where its path says that it began.
            cursor.restarted(began_at=getattr(items, "last_sequence", None))
            await asyncio.sleep(_PAUSE_S)

    async def market_data(self, symbols: Sequence[str]) -> AsyncIterator[MarketDataUpdate]:
        """The market over the best path that is alive; what was missed between two paths is lost."""
        while True:
            path = await self._wait_for_path()
            items = self._paths[path].stream_market_data(symbols)
            stream = self._until(items, lambda path=path: self._board.usable[:1] not in ((path,), ()))
            async with aclosing(stream) as received:
                async for item in received:
                    yield item
            await asyncio.sleep(_PAUSE_S)

    async def _wait_for_path(self, stalled: Path | None = None) -> Path:
        """The best usable path; not `stalled` if there is another."""
        while True:
            self._board.raise_if_stopped()
            usable = self._board.usable
            if usable:
                stalls_first = len(usable) > 1 and usable[0] == stalled
                return usable[int(stalls_first)]
            await self._gate.wait(time.monotonic_ns() + _NS_PER_S)

    async def _until(self, items: AsyncIterator[ItemT], leave: Callable[[], bool]) -> AsyncGenerator[ItemT, None]:
        """The items, until the stream ends, its path fails, or `leave` says so (asked when no item is waiting)."""
        waiting: asyncio.Queue[ItemT | _End] = asyncio.Queue(_MOST_WAITING)
        news = asyncio.Event()
        pump = asyncio.create_task(_pump(items, waiting, news), name="bridge-stream")
        try:
            with self._gate.telling(news.set):
                while True:
                    while waiting.empty():
                        if self._board.is_stopped() or leave():
                            return
                        news.clear()
                        with suppress(TimeoutError):
                            await asyncio.wait_for(news.wait(), self._patience_ms / 4_000)
                    self._board.raise_if_stopped()
                    item = waiting.get_nowait()
                    if isinstance(item, _End):
                        if item.problem is not None:
                            raise item.problem
                        return
                    yield item
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)


async def _pump(items: AsyncIterator[ItemT], waiting: asyncio.Queue[ItemT | _End], news: asyncio.Event) -> None:
    """Moves items from a path's stream to who reads the bridge's; only what must not be resumed is a problem."""
    problem: ExecutionBridgeError | None = None
    try:
        async for item in items:
            await waiting.put(item)
            news.set()
    except NetworkError:
        pass  # the path failed: the bridge goes on with the next
    except ExecutionBridgeError as error:
        problem = error if is_final(error) else None
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    await waiting.put(_End(problem))
    news.set()
