"""The fast path for asyncio, below the client API: one connection after the other, and single attempts on it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from transport.carriers.asyncio_dealer import AsyncioDealer
from transport.carriers.carrier import CarrierFactory
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    NotSentError,
    WrongLoopError,
    error_for_code,
)
from transport.contract.orders import Order
from transport.contract.path import PathListener
from transport.contract.replies import (
    CommandReplies,
    ExecuteReply,
    OrderReply,
)
from transport.contract.requests import Command, HealthCheck
from transport.fastpath.async_carriers import AsyncCarriers
from transport.fastpath.batches import batch_conclusion
from transport.fastpath.calls import Call
from transport.fastpath.core import NEVER_NS, NS_PER_MS, FastPathCore, Phase
from transport.fastpath.driver import Driver
from transport.fastpath.ownership import OwnedStream, check_process
from transport.wire.choice import choose_codec
from transport.wire.messages import REPLY_TYPE_OF, BatchReply

ReplyT = TypeVar("ReplyT")


class AsyncFastPath:
    """The path itself: connecting, listeners, single attempts. `FastPathClient` adds whole calls."""

    def __init__(
        self, config: Mapping[str, Any] | BridgeConfig | None = None, *, make_carrier: CarrierFactory | None = None
    ) -> None:
        self.config = BridgeConfig.of(config)
        self._pid = os.getpid()
        self._codec = choose_codec(self.config.codec)
        self._carriers: AsyncCarriers | None = None
        if make_carrier is None:
            self._carriers = AsyncCarriers(self.config, self._on_delivery, self._on_monitor)
            make_carrier = self._carriers.make
        self._core = FastPathCore(self.config, self._codec)
        self._driver = Driver(self._core, make_carrier)
        self._driver.before_close = self._unwatch
        self._encode_order = self._codec.encode_execute_order
        self._streams: WeakSet[OwnedStream] = WeakSet()
        self._waiting_for_room: deque[asyncio.Future[bool]] = deque()
        self._promised = 0
        """Waiters that were given room and have not run since."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: tuple[int, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = NEVER_NS

    # ---- the path ----

    async def connect(self) -> None:
        """Connect, within `connect_timeout_ms`, or raise what kept it from: `NotSentError`, or the engine's refusal.

        After a `NotSentError` the client goes on trying in the background.
        """
        self._enter()
        conclusion = await self._await_open(self.config.connect_timeout_ms * NS_PER_MS)
        if isinstance(conclusion, Refused):
            raise error_for_code(conclusion.code, conclusion.message, conclusion.field)
        if not isinstance(conclusion, Replied):
            raise NotSentError(f"{self.config.zmq_endpoint}: {conclusion.reason}")

    @property
    def is_connected(self) -> bool:
        """Whether a request would be sent now."""
        return self._core.phase is Phase.OPEN

    @property
    def journal_id(self) -> str:
        """The engine's journal that this path is bound to; empty before the first connection."""
        return self._core.journal_id

    @property
    def last_sequence(self) -> int:
        """Highest update sequence number that this client has seen in replies."""
        return self._core.last_sequence or 0

    def bind_journal(self, journal_id: str) -> None:
        """Accept no other engine than this one."""
        self._core.bind_journal(journal_id)

    def add_listener(self, listener: PathListener) -> None:
        """Tell `listener` of path events, in the event loop."""
        self._driver.listeners.append(listener)

    async def close(self) -> None:
        """Close the connection; calls in flight end with an unknown outcome. May be called again.

        Streams of this client end with `ClientClosedError`. Raises `WrongLoopError`, and closes nothing, in another
        loop than the client's while that one lives.
        """
        if os.getpid() != self._pid:
            return
        loop = self._loop
        if loop is not None and loop is not asyncio.get_running_loop() and not loop.is_closed():
            raise WrongLoopError("this client belongs to another event loop: close it there")
        self._core.close()
        for stream in list(self._streams):
            stream.end_with_client()
        self._driver.act()
        self._give_room()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._driver.deliver_told()
        if self._carriers is not None:
            self._carriers.close()

    def _own(self, stream: OwnedStream) -> None:
        """Let a stream end with this client; at once, if that is closed."""
        self._streams.add(stream)
        if self._core.phase is Phase.CLOSED:
            stream.end_with_client()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ---- single attempts: what failover builds on ----

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        """Send one copy, once, and say how it ended."""
        return await self.finish(self.start_order(order, timeout_ms))

    def start_order(self, order: Order, timeout_ms: float) -> Call:
        """Send one copy and do not wait: for pipelining. `finish` waits. On the way of every order: flat on purpose."""
        self._enter()
        core, carrier = self._core, self._driver.carrier
        journal_id = core.journal_id
        correlation = core.next_correlation()
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        call = Call(correlation, deadline_ns, ExecuteReply)
        has_room = core.room() > 0
        if not has_room and core.phase is Phase.OPEN and isinstance(carrier, AsyncioDealer):
            call.conclude(core.full)
        elif (
            has_room
            and isinstance(carrier, AsyncioDealer)
            and carrier.send_order(correlation, journal_id, order, core.max_message_bytes)
        ):
            core.enter(call)
            if deadline_ns < self._timer_ns:
                self._arm(deadline_ns)
        else:
            self._exchange(call, self._encode_order(correlation, journal_id, order), journal_id)
        return call

    def start_orders(self, orders: list[Order], timeout_ms: float, *, only_at_once: bool = False) -> list[Call]:
        """As `start_order`, for the first of many: one or more, as many as have room and go in one write.

        With `only_at_once`, none where the connection stands and takes no more just now: the order may wait.
        Raises `ValidationError` where the first has no form on the wire; then nothing was sent.
        """
        self._enter()
        core, carrier = self._core, self._driver.carrier
        if isinstance(carrier, AsyncioDealer):
            deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
            calls = self._driver.send_orders(carrier, orders, deadline_ns)
            if calls:
                if deadline_ns < self._timer_ns:
                    self._arm(deadline_ns)
                return calls
        call = self.start_order(orders[0], timeout_ms)
        return [] if only_at_once and core.phase is Phase.OPEN and isinstance(call.conclusion, NotSent) else [call]

    async def finish(self, call: Call) -> Conclusion[Any]:
        """Wait for the conclusion of a call that was started."""
        if call.conclusion is None:
            await self.waiter_of(call)
        return call.conclusion or Unknown("interrupted")

    def waiter_of(self, call: Call) -> asyncio.Future[None]:
        """A future that is done once the call is concluded. Made only for calls that are waited for."""
        waiter: asyncio.Future[None] | None = call.waiter
        if waiter is None or waiter.done():
            waiter = call.waiter = asyncio.get_running_loop().create_future()
            call.wake = _resolve
            if call.conclusion is not None:
                waiter.set_result(None)
        return waiter

    async def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        """Send one copy of a batch, once, and say how it ended."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._codec.encode_execute_batch(correlation, journal_id, orders)
        call = Call(correlation, time.monotonic_ns() + int(timeout_ms * NS_PER_MS), BatchReply)
        self._exchange(call, data, journal_id)
        return batch_conclusion(await self.finish(call), len(orders))

    async def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]:
        """Send one copy of a command, once, and say how it ended."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = core.encode(correlation, journal_id, command)
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        call = Call(correlation, deadline_ns, REPLY_TYPE_OF[type(command)])
        self._exchange(call, data, journal_id)
        return await self.finish(call)

    async def probe(self, timeout_ms: float) -> bool:
        """Whether the path carries a request and its reply just now; connects where it is not connected."""
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        self._enter()
        if self._core.phase is not Phase.OPEN:
            await self._await_open(timeout_ms * NS_PER_MS)
        remaining_ms = (deadline_ns - time.monotonic_ns()) / NS_PER_MS
        return isinstance(await self.attempt(HealthCheck(), max(remaining_ms, 1.0)), Replied)

    def _exchange(self, call: Call, data: bytes, journal_id: str) -> None:
        """Send, and do not wait."""
        self._enter()
        driver = self._driver
        conclusion = self._core.admit(call, data, journal_id)
        if conclusion is None:
            if driver.send(data):
                if self._watched:
                    # Sending may have taken the edge of the descriptor that the loop watches: read what is there.
                    self._on_messages()
                if call.deadline_ns < self._timer_ns:
                    self._arm(call.deadline_ns)
                return
            conclusion = self._core.withdraw(call)
        call.conclude(conclusion)
        driver.look()
        self._settle()

    # ---- the loop's side ----

    def _enter(self) -> asyncio.AbstractEventLoop:
        # First: a child has another loop as well, and what it must know is that it is a child.
        check_process(self._pid)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise WrongLoopError("this client belongs to another event loop; make one client per loop")
            self._loop = loop
            self._core.start(time.monotonic_ns())
            self._driver.act()
            self._settle()
        return loop

    def _on_delivery(self, messages: list[tuple[int, Any]]) -> None:
        driver = self._driver
        driver.bring(messages)
        if driver.told:
            self._settle()
        elif self._waiting_for_room:
            self._give_room()

    def _on_messages(self) -> None:
        driver = self._driver
        complete = driver.drain()
        if not complete and self._loop is not None:
            self._loop.call_soon(self._on_messages)
        if driver.told:
            self._settle()
        elif self._waiting_for_room:
            self._give_room()

    def _on_monitor(self) -> None:
        if not self._driver.look() and self._loop is not None:
            self._loop.call_soon(self._on_messages)
        self._settle()

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_ns = NEVER_NS
        self._on_monitor()

    def _settle(self) -> None:
        """After anything but a plain reply: watch the descriptors there are, set the timer, tell the listeners."""
        loop, carrier = self._loop, self._driver.carrier
        if loop is not None and carrier is not None and not self._watched and (watched := carrier.filenos()):
            self._watched = watched
            loop.add_reader(self._watched[0], self._on_messages)
            for fileno in self._watched[1:]:
                loop.add_reader(fileno, self._on_monitor)
            # What came before the loop watched shows no edge any more.
            loop.call_soon(self._on_monitor)
        timer_ns = self._core.timer_ns()
        if timer_ns is not None and timer_ns < self._timer_ns:
            self._arm(timer_ns)
        self._driver.deliver_told()
        if self._waiting_for_room:
            self._give_room()

    def _arm(self, at_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._timer_ns = at_ns
            self._timer = self._loop.call_later(max(at_ns - time.monotonic_ns(), 0) / 1e9 + 1e-4, self._on_timer)

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, ()
        if self._loop is not None and not self._loop.is_closed():
            for fileno in watched:
                self._loop.remove_reader(fileno)

    async def _await_room(self, deadline_ns: int) -> None:
        """Wait until there is room for one more request, or the connection went, or the time is over."""
        if self._core.room() > 0 or self._core.phase is not Phase.OPEN:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting_for_room.append(waiter)
        timer = loop.call_later(max(deadline_ns - time.monotonic_ns(), 0) / 1e9, _end, waiter, False)
        try:
            await waiter
        except asyncio.CancelledError:
            # The room that it may have been given is for the next.
            loop.call_soon(self._give_room)
            raise
        finally:
            timer.cancel()
            if not waiter.cancelled() and waiter.result():
                self._promised -= 1

    def _give_room(self) -> None:
        """Let as many go on as there is room for, the first first; all of them where there is no connection."""
        waiting = self._waiting_for_room
        room = self._core.room() - self._promised if self._core.phase is Phase.OPEN else len(waiting)
        while waiting and room > 0:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                self._promised += 1
                room -= 1

    async def _await_open(self, timeout_ns: float) -> Conclusion[Any]:
        watcher = self._core.watch_open(NEVER_NS)
        if watcher.conclusion is None:
            watcher.waiter = asyncio.get_running_loop().create_future()
            watcher.wake = _resolve
            await asyncio.wait({watcher.waiter}, timeout=max(timeout_ns, 0) / 1e9)
        return watcher.conclusion or NotSent(f"not connected in time: {self._core.not_open_reason}")


def _resolve(call: Call) -> None:
    waiter: asyncio.Future[None] = call.waiter
    if not waiter.done():
        waiter.set_result(None)


def _end(waiter: asyncio.Future[bool], result: bool) -> None:
    if not waiter.done():
        waiter.set_result(result)
