"""Makes the carriers of blocking clients: native ones, which wait by themselves, or pyzmq's, which are watched."""

from __future__ import annotations

import zmq

from transport.carriers.carrier import CarrierFactory
from transport.carriers.choice import choose_carrier
from transport.carriers.native_dealer import NativeDealer
from transport.contract.config import BridgeConfig
from transport.fastpath.driver import dealer_factory


class BlockingCarriers:
    """The carriers of one client or stream, one after the other; of the kind that the configuration comes to.

    `inbound_messages` bounds what pyzmq receives ahead (see `pyzmq_dealer`); native carriers never read ahead.
    """

    def __init__(self, config: BridgeConfig, *, inbound_messages: int = 0) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self.is_native = choose_carrier(config) == "native"
        if self.is_native:
            self.make: CarrierFactory = lambda: NativeDealer(config)
        else:
            self._context = zmq.Context()
            self.make = dealer_factory(config, self._context, inbound_messages=inbound_messages)

    def close(self) -> None:
        """Free what the carriers shared; after the last of them was closed."""
        context, self._context = self._context, None
        if context is not None:
            context.term()
