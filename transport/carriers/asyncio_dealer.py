"""A carrier for asyncio: ZMTP by the native module's sans-I/O `Connection`, the bytes by the event loop's transport.

It pushes where other carriers are asked: what the loop has read is decoded and delivered within the same turn, without
a descriptor to watch. To be made, used and closed in its event loop.

When bytes go out: the first message after something was read goes at once, with a system call of its own, because it
is most likely alone. Those that follow in the same turn of the loop go together at the turn's end.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from transport.carriers.carrier import CarrierEvent, CarrierState
from transport.contract.orders import Order

OUTPUT_BYTES: Final = 4 << 20
"""Bytes that may wait for the kernel to take them; above, sending is refused until half of them are gone. A message
that was begun below the mark may stand over it."""
WRITE_BYTES: Final = 128 << 10
"""So many bytes are written without waiting for the turn's end: half of what a socket takes at once."""
_LOOKS_BEFORE_A_LOSS: Final = 2
"""Turns of the loop between a timer and its consequence. The stock loop runs what a turn scheduled before what that
turn has read, so it takes two until everything that had come has been read."""


class DealerConnection(Protocol):
    """The protocol's side of one connection: `transport._native.Connection`."""

    def feed(self, data: bytes, now_ns: int) -> list[tuple[int, Any]]:
        """Take bytes; give the messages that are whole, decoded, with their correlation numbers."""
        ...

    def failure(self) -> str | None:
        """How the peer broke the protocol, if it did: after the messages that `feed` gave."""
        ...

    def is_ready(self) -> bool:
        """Whether the handshake is done."""
        ...

    def send(self, data: bytes) -> None:
        """Enter a message into the output."""
        ...

    def send_order(self, correlation: int, journal_id: str, order: Order, max_bytes: int) -> int:
        """Enter an order's message into the output, unless it is above `max_bytes`; its size."""
        ...

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        """Enter orders into the output, each under its number; how many. See `AsyncioDealer.send_orders`."""
        ...

    def take_output(self) -> bytes:
        """What is to be written next."""
        ...

    def deadline_ns(self) -> int | None:
        """When `on_time` has something to do."""
        ...

    def on_time(self, now_ns: int) -> str | None:
        """Let time pass: may enter a PING, or say why the connection counts as lost."""
        ...


class AsyncioDealer(asyncio.Protocol):
    """See `transport.carriers.carrier.Carrier`. `deliver` gets messages, `notice` is called when `events` has one."""

    def __init__(
        self,
        endpoint: str,
        connection: DealerConnection,
        deliver: Callable[[list[tuple[int, Any]]], None],
        notice: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._deliver = deliver
        self._notice = notice
        self._events: list[CarrierEvent] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._ready = False
        self._writable = False
        self._answered = True
        """Something was read since the last message went out."""
        self._unwritten_bytes = 0
        """In the connection's output, until the turn ends."""
        self._awaits_sign = False
        """The timer is set for a PONG that has not come: what is read moves the next beat forward."""
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[None] | None = self._loop.create_task(self._connect(endpoint))

    # ---- the carrier's seam ----

    def filenos(self) -> tuple[int, ...]:
        """None: the loop reads by itself."""
        return ()

    def send(self, data: bytes) -> bool:
        """See `Carrier.send`."""
        if not self._writable:
            return False
        self._connection.send(data)
        self._go_out(len(data))
        return True

    def send_order(self, correlation: int, journal_id: str, order: Order, max_bytes: int) -> bool:
        """As `send`, for one order's message; False also where that is above `max_bytes`. On the way of every order.

        Raises `ValidationError` for an order that has no form on the wire.
        """
        if not self._writable:
            return False
        size = self._connection.send_order(correlation, journal_id, order, max_bytes)
        if size > max_bytes:
            return False
        self._go_out(size)
        return True

    def _go_out(self, size: int) -> None:
        """A message of this many bytes is in the connection's output: now, or at the end of the turn."""
        if self._unwritten_bytes:
            self._unwritten_bytes += size
            if self._unwritten_bytes >= WRITE_BYTES:
                self._write()
        elif self._answered:
            self._answered = False
            self._transport.write(self._connection.take_output())  # type: ignore[union-attr]
        else:
            self._unwritten_bytes = size
            self._loop.call_soon(self._write)

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        """Send orders one by one, each under its number, in one go; how many were accepted.

        It stops before an order that has no form on the wire, or whose message is above `max_bytes`: sent by itself,
        that one says why.
        """
        if not self._writable:
            return 0
        accepted = self._connection.send_orders(correlations, journal_id, orders, max_bytes)
        self._write()
        return accepted

    def receive(self) -> bytes | None:
        """Nothing: messages are delivered as they come."""
        return None

    def events(self) -> list[CarrierEvent]:
        """See `Carrier.events`."""
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        """See `Carrier.close`. From outside of the loop it takes effect when the loop next runs."""
        self._ready = self._writable = False
        self._notice = _nobody
        loop = self._loop
        if loop.is_closed():
            return
        if asyncio._get_running_loop() is loop:
            self._abort()
        else:
            loop.call_soon_threadsafe(self._abort)

    def pause_reading(self) -> None:
        """Leave what comes in the kernel's buffers, until the peer cannot write any more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    # ---- the loop's side: asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        # uvloop's transports have the methods, and are no subclass.
        self._transport = made = cast(asyncio.Transport, transport)
        if self._notice is _nobody:
            self._abort()
            return
        made.set_write_buffer_limits(OUTPUT_BYTES)
        connected: socket.socket = made.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.write(self._connection.take_output())

    def data_received(self, data: bytes) -> None:
        """Decode and deliver. On the way of every order."""
        self._answered = True
        connection = self._connection
        messages = connection.feed(data, time.monotonic_ns())
        if self._awaits_sign:
            self._arm()
        if not self._ready and connection.is_ready():
            self._begin()
        if messages:
            self._deliver(messages)
        elif not self._unwritten_bytes and (self._writable or not self._ready):
            # A PONG, or the handshake's next step. While the kernel takes nothing, PONGs wait in the core, bounded.
            self._write()
        if (failure := connection.failure()) is not None:
            self._lost(failure)

    def pause_writing(self) -> None:
        """The kernel does not take what is written."""
        self._writable = False

    def resume_writing(self) -> None:
        """It does again."""
        self._writable = self._ready
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer has gone, or the network."""
        self._lost(f"the connection was lost: {exc}" if exc else "the engine closed the connection")

    # ---- inside ----

    async def _connect(self, endpoint: str) -> None:
        try:
            if endpoint.startswith("ipc://"):
                await self._connect_unix(endpoint.removeprefix("ipc://"))
            else:
                host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
                await self._loop.create_connection(lambda: self, host.strip("[]"), int(port))
        except (OSError, ValueError) as error:
            self._lost(f"nobody answers at the endpoint: {error}")
        finally:
            self._connecting = None

    async def _connect_unix(self, path: str) -> None:
        # libzmq's sign for the abstract namespace, which uvloop's own pipes do not know.
        address = f"\0{path[1:]}" if path.startswith("@") else path
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            await self._loop.sock_connect(connected, address)
            await self._loop.create_unix_connection(lambda: self, sock=connected)
        except BaseException:
            connected.close()
            raise

    def _begin(self) -> None:
        self._ready = self._writable = True
        self._write()
        self._events.append(CarrierEvent(CarrierState.READY))
        self._arm()
        self._notice()

    def _write(self) -> None:
        self._unwritten_bytes = 0
        transport = self._transport
        if transport is not None and (output := self._connection.take_output()):
            transport.write(output)

    def _lost(self, reason: str) -> None:
        self._ready = self._writable = False
        self._abort()
        self._events.append(CarrierEvent(CarrierState.LOST, reason))
        notice, self._notice = self._notice, _nobody
        notice()

    def _abort(self) -> None:
        connecting, self._connecting = self._connecting, None
        transport, self._transport = self._transport, None
        timer, self._timer = self._timer, None
        if connecting is not None:
            connecting.cancel()
        if timer is not None:
            timer.cancel()
        if transport is not None:
            transport.abort()

    def _arm(self, *, awaits_sign: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._awaits_sign = awaits_sign
        deadline_ns = self._connection.deadline_ns()
        if deadline_ns is not None:
            # uvloop counts in whole milliseconds: without one more it comes early, again and again until it is time.
            after_s = max(deadline_ns - time.monotonic_ns(), 0) / 1e9 + 1e-3
            self._timer = self._loop.call_later(after_s, self._due, _LOOKS_BEFORE_A_LOSS)

    def _due(self, looks: int) -> None:
        """A busy loop is late, and what the peer said in the meantime lies in the socket: it is read first."""
        if looks:
            self._timer = self._loop.call_soon(self._due, looks - 1)
            return
        silence = self._connection.on_time(time.monotonic_ns())
        if silence is not None:
            self._lost(silence)
            return
        if not self._unwritten_bytes and self._writable:
            self._write()
        self._arm(awaits_sign=True)


def _nobody() -> None:
    """Nobody is told any more."""
