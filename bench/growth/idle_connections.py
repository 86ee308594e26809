"""Connections that have said Hello and then say nothing: plain sockets that speak just enough ZMTP 3.1 (RFC 37).

No client of ours is behind them: a thousand of those would measure the bench's own process.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from transport.wire.choice import choose_codec
from transport.wire.messages import Hello, Welcome

_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY" + b"\x0bSocket-Type" + (6).to_bytes(4, "big") + b"DEALER"
_LONG, _COMMAND = 0x02, 0x04
DEADLINE_S = 10.0


@contextmanager
def idle_connections(endpoint: str, count: int) -> Generator[None]:
    """So many welcomed connections to `tcp://host:port`, until the context ends."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with ExitStack() as held:
        for _ in range(count):
            connection = held.enter_context(socket.create_connection((host, int(port)), DEADLINE_S))
            _introduce(connection)
        yield


def frame(flags: int, body: bytes) -> bytes:
    """One ZMTP frame."""
    if len(body) > 255:
        return bytes([flags | _LONG]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def _introduce(connection: socket.socket) -> None:
    codec = choose_codec("auto")
    hello = codec.encode_request(1, "", Hello(client="bench-idle"))
    connection.sendall(_GREETING + frame(_COMMAND, _READY) + frame(0, hello))
    _read(connection, len(_GREETING))
    while True:
        flags, body = _read_frame(connection)
        if not flags & _COMMAND:
            break
    _, answer = codec.decode(body)
    if not isinstance(answer, Welcome):
        raise ConnectionError(f"an idle connection was not welcomed: {answer}")


def _read_frame(connection: socket.socket) -> tuple[int, bytes]:
    (flags,) = _read(connection, 1)
    size = int.from_bytes(_read(connection, 8 if flags & _LONG else 1), "big")
    return flags, _read(connection, size)


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        chunk = connection.recv(count - len(found))
        if not chunk:
            raise ConnectionError("the engine closed an idle connection: see limits.max_connections")
        found += chunk
    return found
