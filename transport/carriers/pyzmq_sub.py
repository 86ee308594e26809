"""A SUB socket on the engine's PUB: whole messages of topic and envelope, lossy by design (WIRE.md section 1.6).

Here libzmq may reconnect by itself: market data is state, and what was lost shows in the topic's numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import zmq

from transport.carriers.pyzmq_dealer import MAX_MESSAGE_BYTES

QUEUE_MESSAGES: Final = 10_000
"""Messages that may wait for a slow reader; above, whole messages are lost, and the numbers show it."""


class PyzmqSubscriber:
    """A subscription of topics on one PUB endpoint. To be used by one thread at a time; never blocks."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, topics: Sequence[bytes]) -> None:
        self._socket = socket = context.socket(zmq.SUB)
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, QUEUE_MESSAGES)
            socket.setsockopt(zmq.RCVTIMEO, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
            # Finds dead peers. Not by ZMTP heartbeats: libzmq 4.3.5 aborts the process when one runs out while the
            # socket is stopped at its mark ("Assertion failed: _input_stopped").
            socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 1)
            socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 1)
            socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 2)
            for topic in topics:
                socket.subscribe(topic)
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise OSError(error.errno, f"{endpoint}: {error.strerror}") from error
        self._fileno = int(socket.getsockopt(zmq.FD))

    def fileno(self) -> int:
        """An edge-triggered descriptor: wait on it only after `receive` had nothing."""
        return self._fileno

    def receive(self) -> list[bytes] | None:
        """The parts of the next message, or None where there is none yet."""
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        return None

    def close(self) -> None:
        """Drop the subscription. May be called again."""
        self._socket.close(linger=0)
