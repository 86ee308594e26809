"""A client that looks at the clock at the seams: codec and carrier are the native ones, called one after the other.

The product's own client does all of it in one native call, where no clock can be read from outside; the section
measures that one beside this, so that the difference shows.
"""

from __future__ import annotations

import importlib
import time
from typing import Any, NamedTuple

from bench.orders import read_fields
from transport import ExecutionStatus, Order
from transport.wire.choice import choose_codec
from transport.wire.messages import ExecuteReply, Hello, Welcome

NS_PER_US = 1_000
DEADLINE_NS = 5_000_000_000
_SIZES = {"output_bytes": 1 << 20, "max_message_bytes": 1 << 24}
_TIMES = {"heartbeat_interval_ms": 0, "heartbeat_timeout_ms": 5_000, "handshake_timeout_ms": 5_000}


class ClientStamps(NamedTuple):
    """Instants of one order at its client, in ns of CLOCK_MONOTONIC."""

    began: int
    encoded: int
    sent: int
    """The carrier's `send` has returned."""
    received: int
    """The reply's bytes are there."""
    read: int
    """Decoded, and every field read."""


class SeamClient:
    """One connection to one engine. Correlation numbers begin at `first_correlation`, by which the engine's stamps of
    this connection are told from others'."""

    def __init__(self, endpoint: str, spin_us: int, first_correlation: int) -> None:
        native: Any = importlib.import_module("transport._native")
        self._codec = choose_codec("native")
        self._dealer = native.Dealer(endpoint, **_TIMES, **_SIZES)
        self._spin_ns = spin_us * NS_PER_US
        self._correlation = first_correlation
        self._journal_id = ""

    def connect(self) -> None:
        """Handshake, Hello and Welcome."""
        deadline_ns = time.monotonic_ns() + DEADLINE_NS
        while (event := next(iter(self._dealer.events()), None)) is None:
            if time.monotonic_ns() > deadline_ns:
                raise ConnectionError("no ZMTP handshake with the engine")
            self._dealer.wait(DEADLINE_NS, 0)
        if event[0] != 0:
            raise ConnectionError(f"the engine is not there: {event[1]}")
        self._dealer.send(self._codec.encode_request(1, "", Hello(client="bench-stages")))
        _, welcome = self._codec.decode(self._next())
        if not isinstance(welcome, Welcome):
            raise ConnectionError(f"not welcomed: {welcome}")
        self._journal_id = welcome.journal_id

    def execute(self, order: Order) -> tuple[int, ClientStamps]:
        """One order; its correlation number, and when it passed each seam."""
        clock, codec, correlation = time.monotonic_ns, self._codec, self._correlation
        self._correlation += 1
        began = clock()
        request = codec.encode_execute_order(correlation, self._journal_id, order)
        encoded = clock()
        accepted = self._dealer.send(request)
        sent = clock()
        reply = self._next()
        received = clock()
        answered, body = codec.decode(reply)
        if isinstance(body, ExecuteReply):
            read_fields(body.reply)
        read = clock()
        if not accepted or answered != correlation or not isinstance(body, ExecuteReply):
            raise ConnectionError(f"order {correlation} was not answered as it should be: {body}")
        if body.reply.status != ExecutionStatus.FILLED:
            raise RuntimeError(f"not filled: {body.reply}")
        return correlation, ClientStamps(began, encoded, sent, received, read)

    def close(self) -> None:
        """Ends the connection."""
        self._dealer.close()

    def _next(self) -> bytes:
        receive, wait = self._dealer.receive, self._dealer.wait
        while (message := receive()) is None:
            wait(DEADLINE_NS, self._spin_ns)
            lost = [reason for kind, reason in self._dealer.events() if kind != 0]
            if lost:
                raise ConnectionError(lost[0])
        return message
