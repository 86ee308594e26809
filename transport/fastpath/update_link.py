"""Keeps a feed of order updates subscribed on whatever connection its driver has. No waiting: both shells use it.

Its connection is bounded, so that a slow reader fills the kernel's buffers and the engine cuts it off, and not this
process's memory. Over pyzmq that takes its ZMTP heartbeats from it (`pyzmq_dealer`). Over every carrier, when nothing
comes the link asks the engine for its health, and gives a connection up that stays silent while somebody waits at it.
"""

from __future__ import annotations

import time
from typing import Final

from transport.contract.conclusions import Refused, Replied
from transport.contract.errors import error_for_code
from transport.contract.replies import Health
from transport.contract.requests import HealthCheck
from transport.fastpath.calls import Call
from transport.fastpath.core import NS_PER_MS, FastPathCore, Phase
from transport.fastpath.driver import Driver
from transport.fastpath.update_feed import UpdateFeed
from transport.wire.messages import EngineMessage

RESUBSCRIBE_PAUSE_MS: Final = 20
"""After the engine ended a subscription (slow consumer, busy): no loop of ending and subscribing."""


INBOUND_MESSAGES: Final = 1000
"""Messages that may wait for a slow reader (native: and as many as one read of the socket may add)."""
PROBE_PAUSE_MS: Final = 500
"""After so long without a message the engine is asked for one."""
SILENCE_MS: Final = 1500
"""After so long without a message the connection is given up."""


class UpdateLink:
    """A driver whose only purpose is one feed."""

    def __init__(self, driver: Driver, feed: UpdateFeed) -> None:
        self._driver = driver
        self._core: FastPathCore = driver.core
        self._feed = feed
        self._subscribed_on = 0
        self._not_before_ns = 0
        self._heard = False
        self._heard_ns = 0
        self._probed_ns = 0
        self._looked_ns = 0

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
            self._mind_silence(time.monotonic_ns())
        return complete

    @property
    def is_subscribed(self) -> bool:
        """Whether the subscription is on an open connection now."""
        return self._core.phase is Phase.OPEN and self._subscribed_on == self._core.connection

    def pause_ends_ns(self) -> int | None:
        """When `look` has something to do at the latest, whatever the descriptors say."""
        timer_ns = self._core.timer_ns()
        if self._core.phase is not Phase.OPEN:
            return timer_ns
        if self._subscribed_on != self._core.connection:
            next_ns = self._not_before_ns
        else:
            next_ns = max(self._heard_ns, self._probed_ns) + PROBE_PAUSE_MS * NS_PER_MS
        return next_ns if timer_ns is None else min(timer_ns, next_ns)

    def close(self) -> None:
        """Drop the connection."""
        self._core.close()
        self._driver.act()

    def _take(self, message: EngineMessage) -> None:
        self._heard = True
        self._feed.take(message)

    def _mind_silence(self, now_ns: int) -> None:
        # While nobody looked, nothing could be heard: silence begins anew.
        if self._heard or now_ns - self._looked_ns > 2 * PROBE_PAUSE_MS * NS_PER_MS:
            self._heard_ns = now_ns
        self._heard = False
        self._looked_ns = now_ns
        if self._subscribed_on != self._core.connection:
            return
        if now_ns - self._heard_ns >= SILENCE_MS * NS_PER_MS:
            self._core.carrier_lost(f"the engine was silent for {SILENCE_MS} ms", now_ns)
            self._driver.act()
        elif now_ns - max(self._heard_ns, self._probed_ns) >= PROBE_PAUSE_MS * NS_PER_MS:
            self._probed_ns = now_ns
            self._probe(now_ns)

    def _probe(self, now_ns: int) -> None:
        core = self._core
        probe = Call(core.next_correlation(), now_ns + SILENCE_MS * NS_PER_MS, Health)
        probe.wake = self._answered
        data = core.encode(probe.correlation, core.journal_id, HealthCheck())
        if core.admit(probe, data, core.journal_id) is None and not self._driver.send(data):
            core.withdraw(probe)

    def _answered(self, probe: Call) -> None:
        self._heard = self._heard or isinstance(probe.conclusion, Replied | Refused)

    def _subscribe(self) -> None:
        core = self._core
        correlation = core.next_correlation()
        core.streams.clear()
        core.streams[correlation] = self._take
        if self._driver.send(core.encode(correlation, core.journal_id, self._feed.request())):
            self._subscribed_on = core.connection
            # Silence of the connection before says nothing of this one.
            self._heard = True
