"""A carrier over libzmq: one DEALER socket per connection epoch.

libzmq would reconnect by itself and then flush what it had queued: a stale order could go out long after its caller
gave up. So: IMMEDIATE (queue only for a live connection), RECONNECT_IVL -1 (never come back), LINGER 0 (drop the
rest), and a new socket for each connection. What libzmq has accepted may have been sent: unknown, never "not sent".
"""

from __future__ import annotations

from typing import Final

import msgspec
import zmq
from zmq.utils.monitor import parse_monitor_message

from transport.carriers.carrier import CarrierEvent, CarrierState

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Bound of what is received; the engine's largest answer (a batch's) is far below."""

# Plain integers: an enum's `&` costs more than the system calls around it.
_EVENTS: Final = int(zmq.EVENTS)
_POLLIN: Final = int(zmq.POLLIN)
_NOBLOCK: Final = int(zmq.NOBLOCK)
_LOSSES: Final = {
    int(zmq.EVENT_DISCONNECTED): "the connection was closed or fell silent",
    int(zmq.EVENT_CLOSED): "nobody answers at the endpoint",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "the ZMTP handshake failed",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "the peer does not speak ZMTP as we do",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "the ZMTP handshake was refused",
}
_WATCHED: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(_LOSSES)


class DealerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a DEALER is set to. Times are milliseconds."""

    endpoint: str
    heartbeat_interval_ms: int
    heartbeat_timeout_ms: int
    connect_timeout_ms: int
    queue_messages: int
    """Bound of what waits to be sent; above, sending is refused."""
    inbound_messages: int = 0
    """Bound of what was received and not taken yet; above, the kernel's buffers fill, and the engine notices. 0: none.
    A bounded connection has no ZMTP heartbeats (`_configure`): its user must find a silent one out."""


class PyzmqDealer:
    """See `transport.carriers.carrier.Carrier`."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], options: DealerOptions) -> None:
        self._socket = socket = context.socket(zmq.DEALER)
        self._monitor: zmq.Socket[bytes] | None = None
        try:
            _configure(socket, options)
            self._monitor = socket.get_monitor_socket(_WATCHED)
            socket.connect(options.endpoint)
        except BaseException as error:
            # A socket that stays open would keep its context's end waiting for ever.
            self.close()
            if not isinstance(error, zmq.ZMQError):
                raise
            raise OSError(error.errno, f"{options.endpoint}: {error.strerror}") from error
        self._filenos = (int(socket.getsockopt(zmq.FD)), int(self._monitor.getsockopt(zmq.FD)))
        # pyzmq's own function, below its Python wrapper for routing ids and groups.
        self._send = super(zmq.Socket, socket).send
        self._recv = socket.recv
        self._get = socket.getsockopt

    def filenos(self) -> tuple[int, ...]:
        """The socket's descriptor and its monitor's; both edge-triggered."""
        return self._filenos

    def send(self, data: bytes) -> bool:
        """See `Carrier.send`."""
        try:
            self._send(data, _NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def receive(self) -> bytes | None:
        """See `Carrier.receive`."""
        # Asking for EVENTS first is cheaper than the exception of an empty queue, and resets the descriptor's edge.
        if self._get(_EVENTS) & _POLLIN:  # type: ignore[operator]
            return self._recv(_NOBLOCK)
        return None

    def events(self) -> list[CarrierEvent]:
        """See `Carrier.events`."""
        found: list[CarrierEvent] = []
        monitor = self._monitor
        while monitor is not None and int(monitor.getsockopt(_EVENTS)) & _POLLIN:
            event = int(parse_monitor_message(monitor.recv_multipart(_NOBLOCK))["event"])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                found.append(CarrierEvent(CarrierState.READY))
            elif event in _LOSSES:
                found.append(CarrierEvent(CarrierState.LOST, _LOSSES[event]))
        return found

    def close(self) -> None:
        """See `Carrier.close`."""
        if self._socket.closed:
            return
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None
        self._socket.close(linger=0)


def _configure(socket: zmq.Socket[bytes], options: DealerOptions) -> None:
    settings = {
        zmq.LINGER: 0,
        zmq.IMMEDIATE: 1,
        zmq.RECONNECT_IVL: -1,
        zmq.SNDHWM: options.queue_messages,
        zmq.RCVHWM: options.inbound_messages,
        zmq.SNDTIMEO: 0,
        zmq.RCVTIMEO: 0,
        zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES,
        zmq.HANDSHAKE_IVL: options.connect_timeout_ms,
        zmq.CONNECT_TIMEOUT: options.connect_timeout_ms,
    }
    # Never a bound and heartbeats together: libzmq 4.3.5 aborts the process when a heartbeat runs out while a socket is
    # stopped at its mark ("Assertion failed: _input_stopped").
    if options.inbound_messages:
        settings |= {
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: 1,
            zmq.TCP_KEEPALIVE_INTVL: 1,
            zmq.TCP_KEEPALIVE_CNT: 2,
        }
    else:
        settings |= {
            zmq.HEARTBEAT_IVL: options.heartbeat_interval_ms,
            zmq.HEARTBEAT_TIMEOUT: options.heartbeat_timeout_ms,
        }
    for option, value in settings.items():
        socket.setsockopt(option, value)
