"""Loopback ports that stay their server's own while it is down: nobody else is given them meanwhile."""

from __future__ import annotations

import os
import socket
import weakref

_ANY_PORT = "127.0.0.1:0"


class HeldPorts:
    """Sockets that are bound and never listen, for as long as this object lives.

    A server that is started anew listens beside them (as servers do, with SO_REUSEADDR), and who connects while it is
    down is refused. Without them the kernel may give a port away in between: to another server's port 0, or as the
    near end of an outgoing connection.
    """

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        weakref.finalize(self, _close_all, self._descriptors)

    def chosen(self, endpoint: str) -> str:
        """The endpoint, and instead of any port of 127.0.0.1 a certain one that is held from now on."""
        if not endpoint.endswith(_ANY_PORT):
            return endpoint
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        self._descriptors.append(holder.detach())
        return f"{endpoint.removesuffix('0')}{port}"


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
