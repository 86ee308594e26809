"""Order updates and market data for asyncio: iterators, each with a connection of its own, for one task each.

They read only while somebody waits for the next item: a subscriber that is slow fills bounded queues, and then the
engine cuts it off (updates; resumed from the last number) or drops whole messages (market data; counted). They end
with their client: what has come is still given, then `ClientClosedError`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import zmq

from transport.carriers.asyncio_dealer import AsyncioDealer
from transport.carriers.carrier import CarrierFactory
from transport.carriers.pyzmq_sub import PyzmqSubscriber
from transport.contract.config import BridgeConfig
from transport.contract.errors import NotSentError
from transport.contract.replies import MarketDataUpdate, OrderUpdate, UpdateGap
from transport.fastpath.async_carriers import AsyncCarriers
from transport.fastpath.core import NS_PER_MS, FastPathCore
from transport.fastpath.driver import Driver
from transport.fastpath.market_feed import MarketFeed
from transport.fastpath.ownership import check_process, client_closed
from transport.fastpath.update_feed import UpdateFeed
from transport.fastpath.update_link import INBOUND_MESSAGES, UpdateLink
from transport.wire.codec import Codec


async def _readable(filenos: tuple[int, ...], timeout_s: float | None, interrupted: asyncio.Event) -> None:
    """Wait until a descriptor is readable, or the time is over, or `interrupted` is set."""
    loop = asyncio.get_running_loop()
    for fileno in filenos:
        loop.add_reader(fileno, interrupted.set)
    timer = None if timeout_s is None else loop.call_later(max(timeout_s, 0.0) + 1e-4, interrupted.set)
    try:
        await interrupted.wait()
    finally:
        interrupted.clear()
        if timer is not None:
            timer.cancel()
        for fileno in filenos:
            loop.remove_reader(fileno)


class _Intake:
    """What a native carrier brings to a feed; stops the carrier while the feed's reader is behind.

    It knows nothing of the stream: what the event loop holds must not keep a stream that nobody reads alive.
    """

    def __init__(self, feed: UpdateFeed, came: asyncio.Event) -> None:
        self.driver: Driver | None = None
        self._ready = feed.ready
        self._came = came
        self._paused: AsyncioDealer | None = None

    def deliver(self, messages: list[tuple[int, Any]]) -> None:
        """Take messages, and wake the reader."""
        driver = self.driver
        if driver is None:
            return
        carrier = driver.carrier
        driver.bring(messages)
        if len(self._ready) >= INBOUND_MESSAGES and isinstance(carrier, AsyncioDealer):
            carrier.pause_reading()
            self._paused = carrier
        self._came.set()

    def given(self) -> None:
        """The reader has taken an update."""
        if self._paused is not None and len(self._ready) <= INBOUND_MESSAGES // 2:
            self._paused.resume_reading()
            self._paused = None


class AsyncOrderUpdates:
    """Iterates over an account's updates, across reconnects; `aclose` ends the iteration."""

    def __init__(
        self,
        config: BridgeConfig,
        codec: Codec,
        feed: UpdateFeed,
        *,
        journal_id: str,
        make_carrier: CarrierFactory | None = None,
    ) -> None:
        self._feed = feed
        self._interrupted = asyncio.Event()
        self._intake = _Intake(feed, self._interrupted)
        self._carriers: AsyncCarriers | None = None
        if make_carrier is None:
            self._carriers = AsyncCarriers(
                config, self._intake.deliver, self._interrupted.set, inbound_messages=INBOUND_MESSAGES
            )
            make_carrier = self._carriers.make
        core = FastPathCore(config, codec, last_sequence=feed.last_sequence)
        core.bind_journal(journal_id)
        self._driver = self._intake.driver = Driver(core, make_carrier)
        self._link = UpdateLink(self._driver, feed)
        self._pid = os.getpid()
        self._ended = False
        self._waiting = False
        self._connect_timeout_ms = config.connect_timeout_ms

    async def start(self) -> Self:
        """Wait until the engine has confirmed the subscription, within `connect_timeout_ms`."""
        check_process(self._pid)
        deadline_ns = time.monotonic_ns() + int(self._connect_timeout_ms * NS_PER_MS)
        while not self._feed.started:
            if self._feed.error is not None:
                self._end()
                raise self._feed.error
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns <= 0:
                reason = self._driver.core.not_open_reason
                self._end()
                raise NotSentError(f"order updates: {reason}")
            await self._step(left_ns / 1e9)
        return self

    @property
    def last_sequence(self) -> int | None:
        """Where to resume another subscription."""
        return self._feed.last_sequence

    @property
    def is_subscribed(self) -> bool:
        """Whether updates can come just now; False while it connects or comes back from a loss."""
        return self._link.is_subscribed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OrderUpdate | UpdateGap:
        check_process(self._pid)
        while not self._feed.ready:
            if self._feed.error is not None:
                self._end()
                raise self._feed.error
            if self._ended:
                raise StopAsyncIteration
            await self._step(None)
        update = self._feed.ready.popleft()
        self._intake.given()
        return update

    async def aclose(self) -> None:
        """End the iteration, also of a task that waits in it."""
        self._ended = True
        self._interrupted.set()
        if not self._waiting:
            self._release()

    def end_with_client(self) -> None:
        """See `OwnedStream`."""
        if not self._ended and self._feed.error is None:
            self._feed.error = client_closed()
        self._interrupted.set()
        if not self._waiting:
            self._release()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._release()

    async def _step(self, longest_s: float | None) -> None:
        complete = self._link.look()
        feed = self._feed
        if feed.ready or feed.error is not None or (feed.started and longest_s is not None) or not complete:
            return
        timer_ns = self._link.pause_ends_ns()
        if timer_ns is not None:
            timer_s = (timer_ns - time.monotonic_ns()) / 1e9
            longest_s = timer_s if longest_s is None else min(timer_s, longest_s)
        carrier = self._driver.carrier
        self._waiting = True
        try:
            await _readable(carrier.filenos() if carrier is not None else (), longest_s, self._interrupted)
        finally:
            self._waiting = False
            if self._ended:
                self._release()

    def _end(self) -> None:
        self._ended = True
        self._release()

    def _release(self) -> None:
        if os.getpid() != getattr(self, "_pid", -1):
            return
        if getattr(self, "_link", None) is not None:
            self._link.close()
            if self._carriers is not None:
                self._carriers.close()


class AsyncMarketData:
    """Iterates over market data; `aclose` ends the iteration. `lost_messages` counts holes in the numbers."""

    def __init__(self, endpoint: Callable[[], Awaitable[str]], feed: MarketFeed) -> None:
        self._endpoint = endpoint
        self._feed = feed
        self._interrupted = asyncio.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._subscriber: PyzmqSubscriber | None = None
        self._pid = os.getpid()
        self._client_closed = False
        self._ended = False
        self._waiting = False

    async def start(self) -> Self:
        """Begin to subscribe; what is published once the engine knows of it will come."""
        check_process(self._pid)
        if self._client_closed:
            raise client_closed()
        if self._subscriber is None and not self._ended:
            endpoint = await self._endpoint()
            self._context = zmq.Context()
            try:
                self._subscriber = PyzmqSubscriber(self._context, endpoint, self._feed.topics)
            except OSError as error:
                self._release()
                raise NotSentError(f"market data: {error}") from error
        return self

    @property
    def lost_messages(self) -> int:
        """Messages that the numbers say were published and did not arrive."""
        return self._feed.lost_messages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MarketDataUpdate:
        await self.start()
        while not self._ended and not self._client_closed and self._subscriber is not None:
            parts = self._subscriber.receive()
            if parts is None:
                await self._wait(self._subscriber)
                continue
            update = self._feed.take(parts)
            if update is not None:
                return update
        self._release()
        if self._client_closed:
            raise client_closed()
        raise StopAsyncIteration

    def end_with_client(self) -> None:
        """See `OwnedStream`."""
        self._client_closed = not self._ended
        self._interrupted.set()
        if not self._waiting:
            self._release()

    async def aclose(self) -> None:
        """End the iteration, also of a task that waits in it."""
        self._ended = True
        self._interrupted.set()
        if not self._waiting:
            self._release()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._release()

    async def _wait(self, subscriber: PyzmqSubscriber) -> None:
        self._waiting = True
        try:
            await _readable((subscriber.fileno(),), None, self._interrupted)
        finally:
            self._waiting = False
            if self._ended:
                self._release()

    def _release(self) -> None:
        if os.getpid() != self._pid:
            return
        subscriber, self._subscriber = self._subscriber, None
        context, self._context = self._context, None
        if subscriber is not None:
            subscriber.close()
        if context is not None:
            context.term()
