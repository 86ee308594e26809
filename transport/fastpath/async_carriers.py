"""Makes the carriers of asyncio clients: native ones, which push what they receive, or pyzmq's, which are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transport.carriers.asyncio_dealer import AsyncioDealer
from transport.carriers.carrier import Carrier
from transport.carriers.choice import choose_carrier, native_module
from transport.carriers.pyzmq_dealer import MAX_MESSAGE_BYTES
from transport.contract.config import BridgeConfig
from transport.fastpath.driver import PyzmqContext


class AsyncCarriers:
    """The carriers of one client or stream, one after the other; of the kind that the configuration comes to.

    `deliver` gets the messages of a native carrier, and `notice` is called when its `events` has one. With
    `inbound_messages` (a bound of what pyzmq receives ahead) carriers have no heartbeats: see `pyzmq_dealer`.
    """

    def __init__(
        self,
        config: BridgeConfig,
        deliver: Callable[[list[tuple[int, Any]]], None],
        notice: Callable[[], None],
        *,
        inbound_messages: int = 0,
    ) -> None:
        self._config = config
        self._deliver = deliver
        self._notice = notice
        self._heartbeat_interval_ms = 0 if inbound_messages else config.heartbeat_interval_ms
        self._pyzmq = PyzmqContext()
        self._connection: Any = None
        if choose_carrier(config) == "native":
            self.make = self._make_native
            self._connection = native_module().Connection
        else:
            self.make = self._pyzmq.dealers(config, inbound_messages=inbound_messages)

    def close(self) -> None:
        """Free what the carriers shared; after the last of them was closed."""
        self._pyzmq.close()

    def _make_native(self) -> Carrier:
        config = self._config
        connection = self._connection(
            heartbeat_interval_ms=self._heartbeat_interval_ms,
            heartbeat_timeout_ms=config.heartbeat_timeout_ms,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        return AsyncioDealer(config.zmq_endpoint, connection, self._deliver, self._notice)
