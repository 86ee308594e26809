"""Order updates and market data for threads: iterators, each with a connection of its own, for one thread each.

They end with their client: what has come is still given, then `ClientClosedError`.
"""

from __future__ import annotations

import select
import time
from typing import Final

import zmq

from transport.carriers.carrier import CarrierFactory
from transport.carriers.native_dealer import NativeDealer
from transport.carriers.pyzmq_sub import PyzmqSubscriber
from transport.contract.config import BridgeConfig
from transport.contract.errors import ExecutionBridgeError, NotSentError
from transport.contract.replies import MarketDataUpdate, OrderUpdate, UpdateGap
from transport.fastpath.blocking_carriers import BlockingCarriers
from transport.fastpath.blocking_life import BlockingLife
from transport.fastpath.core import NS_PER_MS, FastPathCore
from transport.fastpath.driver import Driver
from transport.fastpath.market_feed import MarketFeed
from transport.fastpath.ownership import check_process, client_closed
from transport.fastpath.update_feed import UpdateFeed
from transport.fastpath.update_link import INBOUND_MESSAGES, UpdateLink
from transport.wire.codec import Codec

_LONGEST_WAIT_MS: Final = 500.0


class BlockingOrderUpdates(BlockingLife):
    """Iterates over an account's updates, across reconnects; `close` (from any thread) ends the iteration."""

    def __init__(
        self,
        config: BridgeConfig,
        codec: Codec,
        feed: UpdateFeed,
        *,
        journal_id: str,
        make_carrier: CarrierFactory | None = None,
    ) -> None:
        self._carriers: BlockingCarriers | None = None
        if make_carrier is None:
            self._carriers = BlockingCarriers(config, inbound_messages=INBOUND_MESSAGES)
            make_carrier = self._carriers.make
        core = FastPathCore(config, codec, last_sequence=feed.last_sequence)
        core.bind_journal(journal_id)
        self._driver = Driver(core, make_carrier)
        self._link = UpdateLink(self._driver, feed)
        self._feed = feed
        super().__init__()
        self._connect_timeout_ms = config.connect_timeout_ms

    def start(self) -> None:
        """Wait until the engine has confirmed the subscription, within `connect_timeout_ms`."""
        deadline_ns = time.monotonic_ns() + int(self._connect_timeout_ms * NS_PER_MS)
        with self._busy:
            while not self._feed.started:
                if self._feed.error is not None:
                    self._end()
                    raise self._feed.error
                if time.monotonic_ns() >= deadline_ns:
                    reason = self._driver.core.not_open_reason  # before it is that the stream was ended
                    self._end()
                    raise NotSentError(f"order updates: not subscribed in time: {reason}")
                self._step(20.0)

    @property
    def last_sequence(self) -> int | None:
        """Where to resume another subscription."""
        return self._feed.last_sequence

    def __next__(self) -> OrderUpdate | UpdateGap:
        check_process(self._pid)
        with self._busy:
            while not self._feed.ready:
                if self._feed.error is not None:
                    error: ExecutionBridgeError = self._feed.error
                    self._end()
                    raise error
                if self._closing or self._ended:
                    self._end()
                    raise StopIteration
                self._step(_LONGEST_WAIT_MS)
            return self._feed.ready.popleft()

    def end_with_client(self) -> None:
        """See `OwnedStream`."""
        if not self._closing and self._feed.error is None:
            self._feed.error = client_closed()
        self._end_if_idle()

    def _step(self, longest_ms: float) -> None:
        self._link.look()
        if self._feed.ready or self._feed.error is not None:
            return
        timer_ns = self._link.pause_ends_ns()
        if timer_ns is not None:
            longest_ms = min(longest_ms, (timer_ns - time.monotonic_ns()) / NS_PER_MS)
        carrier = self._driver.carrier
        if isinstance(carrier, NativeDealer):
            carrier.wait(int(max(longest_ms, 0.0) * NS_PER_MS), 0)
            return
        poll = select.poll()
        for fileno in carrier.filenos() if carrier is not None else ():
            poll.register(fileno, select.POLLIN)
        poll.poll(max(longest_ms, 0.0))

    def _free(self) -> None:
        self._link.close()
        if self._carriers is not None:
            self._carriers.close()


class BlockingMarketData(BlockingLife):
    """Iterates over market data; `close` ends the iteration. `lost_messages` counts holes in the numbers."""

    def __init__(self, endpoint: str, feed: MarketFeed) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._feed = feed
        super().__init__()
        self._client_closed = False
        try:
            self._subscriber = PyzmqSubscriber(self._context, endpoint, feed.topics)
        except OSError as error:
            self._ended = True
            self._context.term()
            raise NotSentError(f"market data: {error}") from error
        self._poll = select.poll()
        self._poll.register(self._subscriber.fileno(), select.POLLIN)

    @property
    def lost_messages(self) -> int:
        """Messages that the numbers say were published and did not arrive."""
        return self._feed.lost_messages

    def __next__(self) -> MarketDataUpdate:
        check_process(self._pid)
        with self._busy:
            while not (self._closing or self._client_closed or self._ended):
                parts = self._subscriber.receive()
                if parts is None:
                    self._poll.poll(_LONGEST_WAIT_MS)
                    continue
                update = self._feed.take(parts)
                if update is not None:
                    return update
            self._end()
        if self._client_closed:
            raise client_closed()
        raise StopIteration

    def end_with_client(self) -> None:
        """See `OwnedStream`."""
        self._client_closed = not self._closing
        self._end_if_idle()

    def _free(self) -> None:
        self._subscriber.close()
        self._context.term()
