"""A carrier over the native module's `Dealer`: no thread and no queue between the caller and the socket.

Unlike libzmq it may have a bound on what is received and heartbeats at once: nothing is read while a message waits,
and only who waits judges the peer's silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from transport.carriers.carrier import CarrierEvent, CarrierState
from transport.carriers.choice import native_module
from transport.carriers.pyzmq_dealer import MAX_MESSAGE_BYTES
from transport.contract.config import BridgeConfig

OUTPUT_BYTES: Final = 4 << 20
"""Bytes that may wait for the kernel to take them; above, sending is refused."""
_STATES: Final = (CarrierState.READY, CarrierState.LOST)
"""By the numbers of the module's `Dealer.events`."""


class NativeDealer:
    """See `transport.carriers.carrier.WaitingCarrier`. Most methods are the module's own, with nothing in between."""

    def __init__(self, config: BridgeConfig) -> None:
        self.dealer: Any = native_module().Dealer(
            config.zmq_endpoint,
            heartbeat_interval_ms=config.heartbeat_interval_ms,
            heartbeat_timeout_ms=config.heartbeat_timeout_ms,
            handshake_timeout_ms=int(max(1.0, config.connect_timeout_ms)),
            output_bytes=OUTPUT_BYTES,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        dealer = self.dealer
        self.send: Any = dealer.send
        self.receive: Any = dealer.receive
        self.receive_all: Any = dealer.receive_all
        self.send_orders: Any = dealer.send_orders
        self.wait: Any = dealer.wait
        self.wake: Any = dealer.wake
        self.close: Any = dealer.close
        self._events: Callable[[], list[tuple[int, str]]] = dealer.events

    def filenos(self) -> tuple[int, ...]:
        """None: it waits by itself."""
        return ()

    def events(self) -> list[CarrierEvent]:
        """See `Carrier.events`."""
        return [CarrierEvent(_STATES[state], reason) for state, reason in self._events()]
