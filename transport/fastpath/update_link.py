"""Keeps a feed of order updates subscribed on whatever connection its driver has. No waiting: both shells use it."""

from __future__ import annotations

import time
from typing import Final

from transport.contract.errors import error_for_code
from transport.fastpath.core import NS_PER_MS, FastPathCore, Phase
from transport.fastpath.driver import Driver
from transport.fastpath.update_feed import UpdateFeed

RESUBSCRIBE_PAUSE_MS: Final = 20
"""After the engine ended a subscription (slow consumer, busy): no loop of ending and subscribing."""


class UpdateLink:
    """A driver whose only purpose is one feed."""

    def __init__(self, driver: Driver, feed: UpdateFeed) -> None:
        self._driver = driver
        self._core: FastPathCore = driver.core
        self._feed = feed
        self._subscribed_on = 0
        self._not_before_ns = 0

    def look(self) -> bool:
        """Take what came in, and subscribe where a connection needs it; False if there may be more to take."""
        core = self._core
        # The next Hello says how far this client has come, so that an engine which has forgotten it is found out.
        core.last_sequence = self._feed.last_sequence
        now_ns = time.monotonic_ns()
        core.start(now_ns)
        self._driver.act()
        complete = self._driver.look()
        if core.phase is Phase.HALTED and self._feed.error is None:
            self._feed.error = error_for_code(core.halted.code, core.halted.message, core.halted.field)
        if core.phase is Phase.OPEN:
            if self._feed.ended_by_engine:
                self._feed.ended_by_engine = False
                self._subscribed_on = 0
                self._not_before_ns = now_ns + RESUBSCRIBE_PAUSE_MS * NS_PER_MS
            if self._subscribed_on != core.connection and now_ns >= self._not_before_ns:
                self._subscribe()
                # What was sent may have taken the edge of the descriptor.
                complete = self._driver.look() and complete
        return complete

    def pause_ends_ns(self) -> int | None:
        """When `look` has something to do at the latest, whatever the descriptors say."""
        timer_ns = self._core.timer_ns()
        if self._core.phase is Phase.OPEN and self._subscribed_on != self._core.connection:
            return self._not_before_ns if timer_ns is None else min(timer_ns, self._not_before_ns)
        return timer_ns

    def close(self) -> None:
        """Drop the connection."""
        self._core.close()
        self._driver.act()

    def _subscribe(self) -> None:
        core = self._core
        correlation = core.next_correlation()
        core.streams.clear()
        core.streams[correlation] = self._feed.take
        if self._driver.send(core.encode(correlation, core.journal_id, self._feed.request())):
            self._subscribed_on = core.connection
