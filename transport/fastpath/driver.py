"""Holds a core and its carrier together: performs the core's actions, feeds it what the carrier has.

What the shells share. It never waits; the shells do, each in its way. One thread at a time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import zmq

from transport.carriers.carrier import Carrier, CarrierFactory, CarrierState
from transport.carriers.pyzmq_dealer import DealerOptions, PyzmqDealer
from transport.contract.config import BridgeConfig
from transport.contract.errors import ValidationError
from transport.contract.orders import Order
from transport.contract.path import PathEvent, PathListener
from transport.contract.replies import ExecuteReply
from transport.fastpath.calls import ORDERS_PER_WRITE, Call, CloseCarrier, OpenCarrier, Send
from transport.fastpath.core import FastPathCore

DRAIN_MESSAGES: Final = 256
"""Messages taken in one go, before other work gets its turn."""


class OrderCarrier(Protocol):
    """A carrier that encodes orders by itself, into its output."""

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        """Hand over the first orders, each under its number; how many were accepted. As `Carrier.send`."""
        ...


class Driver:
    """A core with its carrier. `told` collects path events until the shell delivers them, outside its lock."""

    def __init__(self, core: FastPathCore, make_carrier: CarrierFactory) -> None:
        self.core = core
        self.carrier: Carrier | None = None
        self.carriers_made = 0
        """Changes with every new carrier, so that shells know when to watch other descriptors."""
        self.told: deque[PathEvent] = deque()
        self.listeners: list[PathListener] = []
        self.before_close: Callable[[], None] | None = None
        """Called before a carrier's descriptors go, so that an event loop can forget them."""
        self._make_carrier = make_carrier

    def act(self) -> None:
        """Perform what the core wants done."""
        actions = self.core.actions
        while actions:
            action = actions.popleft()
            if isinstance(action, OpenCarrier):
                self._open()
            elif isinstance(action, CloseCarrier):
                self.close_carrier()
            elif isinstance(action, Send):
                if self.carrier is None or not self.carrier.send(action.data):
                    self.core.carrier_lost("the connection went before the Hello", time.monotonic_ns())
            else:
                self.told.append(action.event)

    def send(self, data: bytes) -> bool:
        """Hand a message to the carrier; see `Carrier.send`."""
        return self.carrier is not None and self.carrier.send(data)

    def send_orders(self, carrier: OrderCarrier, orders: list[Order], deadline_ns: int) -> list[Call]:
        """Send the first of many orders in one write, as many as have room; their calls.

        The calls are entered before anything leaves: whatever interrupts this, a reply finds its call, and a call
        without one ends at its deadline. Raises `ValidationError` where the first order has no form on the wire; then
        nothing was sent.
        """
        core = self.core
        most = min(core.room(), len(orders), ORDERS_PER_WRITE)
        calls = [Call(core.next_correlation(), deadline_ns, ExecuteReply) for _ in range(most)]
        if not calls:
            return calls
        for call in calls:
            core.enter(call)
        correlations = [call.correlation for call in calls]
        try:
            sent = carrier.send_orders(correlations, core.journal_id, orders, core.max_message_bytes)
        except ValidationError:
            for call in calls:
                core.withdraw(call)
            raise
        for call in calls[sent:]:
            core.withdraw(call)
        return calls[:sent]

    def drain(self) -> bool:
        """Feed the core what came in; False if there may be more."""
        received = self.core.received
        carrier = self.carrier
        for _ in range(DRAIN_MESSAGES):
            # A message may have cost the connection: what else it brought is of no interest then.
            if carrier is None or carrier is not self.carrier:
                return True
            data = carrier.receive()
            if data is None:
                return True
            received(data, time.monotonic_ns)
            if self.core.actions:
                self.act()
        return False

    def bring(self, messages: list[tuple[int, Any]]) -> None:
        """Feed the core what a carrier that pushes has received and decoded: correlation numbers and bodies."""
        core, carrier = self.core, self.carrier
        left = iter(messages)
        core.take_all(left, time.monotonic_ns)
        while core.actions:
            self.act()
            # As in `drain`.
            if carrier is not self.carrier:
                return
            core.take_all(left, time.monotonic_ns)

    def look(self) -> bool:
        """Feed the core all there is: messages first, so that what came before a loss still counts; then events.

        False if there may be more.
        """
        carrier = self.carrier
        events = carrier.events() if carrier is not None else []
        complete = self.drain()
        for event in events:
            if event.state is CarrierState.READY:
                self.core.carrier_ready()
            else:
                # Replies received before the loss conclude their calls; only then are the others unknown.
                while not self.drain():
                    pass
                if carrier is self.carrier:
                    self.core.carrier_lost(event.reason, time.monotonic_ns())
            self.act()
        self.core.on_time(time.monotonic_ns())
        self.act()
        return complete

    def close_carrier(self) -> None:
        """Drop the connection, if there is one."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            if self.before_close is not None:
                self.before_close()
            carrier.close()

    def deliver_told(self) -> None:
        """Tell the listeners what happened; to be called without a lock."""
        while self.told:
            try:
                event = self.told.popleft()
            except IndexError:  # another thread was faster
                return
            for listener in tuple(self.listeners):
                listener(event)

    def _open(self) -> None:
        try:
            self.carrier = self._make_carrier()
        except OSError as error:
            self.core.carrier_lost(f"cannot connect: {error}", time.monotonic_ns())
            return
        self.carriers_made += 1


class PyzmqContext:
    """What the pyzmq carriers of one client share; made with the first of them."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def dealers(self, config: BridgeConfig, *, inbound_messages: int) -> CarrierFactory:
        """As `dealer_factory`."""
        self._context = zmq.Context()
        return dealer_factory(config, self._context, inbound_messages=inbound_messages)

    def close(self) -> None:
        """Free it, if it was made; after the last of the carriers was closed."""
        context, self._context = self._context, None
        if context is not None:
            context.term()


def dealer_factory(
    config: BridgeConfig, context: zmq.Context[zmq.Socket[bytes]], *, inbound_messages: int = 0
) -> CarrierFactory:
    """Makes pyzmq DEALERs for this configuration. `inbound_messages`: see `DealerOptions`."""
    options = DealerOptions(
        endpoint=config.zmq_endpoint,
        heartbeat_interval_ms=config.heartbeat_interval_ms,
        heartbeat_timeout_ms=config.heartbeat_timeout_ms,
        connect_timeout_ms=int(max(1.0, config.connect_timeout_ms)),
        queue_messages=max(1000, 2 * config.max_in_flight),
        inbound_messages=inbound_messages,
    )
    return lambda: PyzmqDealer(context, options)
