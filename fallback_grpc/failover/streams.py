"""Streams that outlive a path: order updates and market data over whichever path is alive, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from fallback_grpc.failover.asynchronous import ChangeGate
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.failover.updates import UpdateCursor, is_final
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, NetworkError
from transport.contract.replies import MarketDataUpdate, OrderUpdate, Path, UpdateGap

_NS_PER_S = 1_000_000_000
_PAUSE_S = 0.02

ItemT = TypeVar("ItemT")


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
            items = self._paths[path].subscribe_order_updates(
                resume_from=cursor.resume_from, accept_gaps=accept_gaps
            )
            async for item in self._until(items, lambda path=path: path not in self._board.usable):
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
            async for item in self._until(items, lambda path=path: self._board.usable[:1] not in ((path,), ())):
                yield item
            await asyncio.sleep(_PAUSE_S)

    async def _wait_for_path(self) -> Path:
        while not self._board.usable:
            await self._gate.wait(time.monotonic_ns() + _NS_PER_S)
        return self._board.usable[0]

    async def _until(self, items: AsyncIterator[ItemT], leave: Callable[[], bool]) -> AsyncGenerator[ItemT, None]:
        """The items, until the stream ends, its path fails, or `leave` says so."""
        following: asyncio.Task[Any] | None = None
        try:
            while not leave():
                following = following or asyncio.create_task(_next(items))
                changed = asyncio.create_task(self._gate.wait(time.monotonic_ns() + _NS_PER_S))
                await asyncio.wait({following, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if following.done():
                    finished, following = following, None
                    yield finished.result()
        except (StopAsyncIteration, ClientClosedError):
            return
        except NetworkError:
            return
        except ExecutionBridgeError as problem:
            if is_final(problem):
                raise
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()


async def _next(items: AsyncIterator[ItemT]) -> ItemT:
    try:
        return await anext(items)
    except StopAsyncIteration:
        raise NetworkError("the stream ended") from None
