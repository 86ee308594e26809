"""To whom clients and streams belong: a process, and, of a stream, the client that opened it."""

from __future__ import annotations

import os
from typing import Protocol

from transport.contract.errors import ClientClosedError, ForkedProcessError


class OwnedStream(Protocol):
    """A stream that ends with its client."""

    def end_with_client(self) -> None:
        """Its reader gets what has come already, and then `ClientClosedError`."""
        ...


def check_process(pid: int) -> None:
    """Raise `ForkedProcessError` where this is not the process `pid`: sockets do not survive a fork."""
    if os.getpid() != pid:
        raise ForkedProcessError(
            "this client was made before os.fork, in the parent process; make one of its own in the child"
        )


def client_closed() -> ClientClosedError:
    """The error that ends the streams of a client that was closed."""
    return ClientClosedError("the client of this stream was closed")
