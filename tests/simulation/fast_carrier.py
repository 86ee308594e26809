"""The carrier under the true fast-path client: a ZMTP DEALER's behaviour without bytes, on a simulated connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulation.clock import MS
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Connection, Item, Mark, Network
from transport.carriers.carrier import CarrierEvent, CarrierState
from transport.contract.config import BridgeConfig
from transport.fastpath.async_streams import AsyncOrderUpdates
from transport.fastpath.asynchronous import FastPathClient
from transport.fastpath.update_feed import UpdateFeed


class SimulatedCarrier:
    """See `transport.carriers.carrier.Carrier`; with two descriptors, as pyzmq's has: messages, and events."""

    def __init__(
        self, network: Network, loop: VirtualLoop, process: Process, config: BridgeConfig, *, heartbeats: bool
    ) -> None:
        self._loop = loop
        self._inbox: deque[bytes] = deque()
        self._events: list[CarrierEvent] = []
        self._messages_fd = loop.new_fileno()
        self._events_fd = loop.new_fileno()
        self._interval_ns = config.heartbeat_interval_ms * MS if heartbeats else 0
        self._timeout_ns = config.heartbeat_timeout_ms * MS
        self._is_ready = False
        self._is_over = False
        self._pinged_at_ns: int | None = None
        self._connection: Connection = network.connect(
            "zmq", process, self, session_id=config.session_id, round_trips=2
        )

    # ---- the carrier's seam ----

    def filenos(self) -> tuple[int, ...]:
        return (self._messages_fd, self._events_fd)

    def send(self, data: bytes) -> bool:
        return self._is_ready and self._connection.send_to_engine(bytes(data))

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def events(self) -> list[CarrierEvent]:
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        self._is_ready, self._is_over = False, True
        self._connection.close()

    # ---- the connection's end ----

    def opened(self) -> None:
        self._is_ready = True
        self._tell(CarrierEvent(CarrierState.READY))
        if self._interval_ns:
            self._loop.call_later(self._interval_ns / 1e9, self._beat)

    def arrived(self, item: Item) -> None:
        self._pinged_at_ns = None
        if isinstance(item, bytes):
            self._inbox.append(item)
            self._loop.readable(self._messages_fd)

    def lost(self, reason: str) -> None:
        if not self._is_over:
            self._is_ready, self._is_over = False, True
            self._tell(CarrierEvent(CarrierState.LOST, reason))

    def _tell(self, event: CarrierEvent) -> None:
        self._events.append(event)
        self._loop.readable(self._events_fd)

    def _beat(self) -> None:
        """A PING each interval; silence after one for the time-out ends the connection."""
        if self._is_over:
            return
        now_ns = self._loop.clock.now_ns
        if self._pinged_at_ns is None:
            self._pinged_at_ns = now_ns
            self._connection.send_to_engine(Mark.PING)
        elif now_ns - self._pinged_at_ns >= self._timeout_ns:
            self.lost("no PONG in time")
            self._connection.close()
            return
        self._loop.call_later(self._interval_ns / 1e9, self._beat)


class SimulatedFastPath(FastPathClient):
    """The true client; its carriers, those of its update streams too, are simulated."""

    def __init__(self, config: BridgeConfig, network: Network, loop: VirtualLoop, process: Process) -> None:
        def factory(heartbeats: bool) -> Callable[[], Any]:
            return lambda: SimulatedCarrier(network, loop, process, config, heartbeats=heartbeats)

        super().__init__(config, make_carrier=factory(True))
        self._make_stream_carrier = factory(False)

    def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> AsyncOrderUpdates:
        feed = self.make_feed(resume_from, accept_gaps=accept_gaps)
        updates = AsyncOrderUpdates(
            self.config,
            self._codec,
            feed,
            journal_id=self._core.journal_id,
            make_carrier=self._make_stream_carrier,
        )
        self._own(updates)
        return updates

    def make_feed(self, resume_from: int | None, *, accept_gaps: bool) -> UpdateFeed:
        """The feed of a subscription; planted bugs replace it."""
        return UpdateFeed(self.config.account, resume_from, accept_gaps=accept_gaps)
