"""Streams that outlive a path: order updates and market data over whichever path is alive, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fallback_grpc.failover.asynchronous import ChangeGate
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.failover.updates import UpdateCursor, is_final
from transport.contract.errors import ExecutionBridgeError, NetworkError
from transport.contract.replies import MarketDataUpdate, OrderUpdate, Path, UpdateGap

_NS_PER_S = 1_000_000_000
_PAUSE_S = 0.02

# Items read ahead of a slow reader; then the path's stream waits, and the engine's rules for slow readers apply.
_MOST_WAITING = 256

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class _End:
    problem: ExecutionBridgeError | None


class Streaming(Protocol):
    """What the streams need of a path."""

    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]: ...
    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> AsyncIterator[OrderUpdate | UpdateGap]: ...


class AsyncStreams:
    """The streams of one bridge. For the tasks of its event loop."""

    def __init__(self, board: Switchboard, gate: ChangeGate, paths: Mapping[Path, Streaming]) -> None:
        self._board = board
        self._gate = gate
        self._paths = paths

    async def updates(self, resume_from: int | None, accept_gaps: bool) -> AsyncIterator[OrderUpdate | UpdateGap]:
        """Every update once and in order; goes on from the last number on the other path when one fails."""
        cursor = UpdateCursor(resume_from)
        while True:
            path = await self._wait_for_path()
            items = self._paths[path].subscribe_order_updates(resume_from=cursor.resume_from, accept_gaps=accept_gaps)
            async with aclosing(self._until(items, lambda path=path: path not in self._board.usable)) as received:
                async for item in received:
                    wanted = cursor.accept(item)
                    if wanted is not None:
                        yield wanted
                    if cursor.has_hole:
                        break
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

    async def _wait_for_path(self) -> Path:
        while not self._board.usable:
            await self._gate.wait(time.monotonic_ns() + _NS_PER_S)
        return self._board.usable[0]

    async def _until(self, items: AsyncIterator[ItemT], leave: Callable[[], bool]) -> AsyncGenerator[ItemT, None]:
        """The items, until the stream ends, its path fails, or `leave` says so (asked when no item is waiting)."""
        waiting: asyncio.Queue[ItemT | _End] = asyncio.Queue(_MOST_WAITING)
        news = asyncio.Event()
        pump = asyncio.create_task(_pump(items, waiting, news), name="bridge-stream")
        try:
            with self._gate.telling(news.set):
                while True:
                    while waiting.empty():
                        if leave():
                            return
                        news.clear()
                        await news.wait()
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
