"""Makes the carriers of blocking clients: native ones, which wait by themselves, or pyzmq's, which are watched."""

from __future__ import annotations

from transport.carriers.carrier import CarrierFactory
from transport.carriers.choice import choose_carrier
from transport.carriers.native_dealer import NativeDealer
from transport.contract.config import BridgeConfig
from transport.fastpath.driver import PyzmqContext


class BlockingCarriers:
    """The carriers of one client or stream, one after the other; of the kind that the configuration comes to.

    `inbound_messages` bounds what pyzmq receives ahead (see `pyzmq_dealer`); native carriers never read ahead.
    """

    def __init__(self, config: BridgeConfig, *, inbound_messages: int = 0) -> None:
        self._pyzmq = PyzmqContext()
        self.is_native = choose_carrier(config) == "native"
        if self.is_native:
            self.make: CarrierFactory = lambda: NativeDealer(config)
        else:
            self.make = self._pyzmq.dealers(config, inbound_messages=inbound_messages)

    def close(self) -> None:
        """Free what the carriers shared; after the last of them was closed."""
        self._pyzmq.close()
