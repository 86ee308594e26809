"""The fast path for threads, below the client API: one connection after the other, and single attempts on it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from transport.carriers.carrier import CarrierFactory
from transport.carriers.native_dealer import NativeDealer
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import NotSentError, error_for_code
from transport.contract.orders import Order
from transport.contract.path import PathListener
from transport.contract.replies import (
    CommandReplies,
    ExecuteReply,
    OrderReply,
)
from transport.contract.requests import Command, HealthCheck
from transport.fastpath.batches import batch_conclusion
from transport.fastpath.blocking_carriers import BlockingCarriers
from transport.fastpath.calls import Call
from transport.fastpath.core import NS_PER_MS, FastPathCore, Phase
from transport.fastpath.driver import Driver
from transport.fastpath.ownership import OwnedStream, check_process
from transport.fastpath.turns import Turns
from transport.wire.choice import choose_codec
from transport.wire.messages import REPLY_TYPE_OF, BatchReply

ReplyT = TypeVar("ReplyT")
_Pass = Callable[[Order, int], Any]
"""The lone caller's way (`Turnstile`): the reply; or False, nothing was sent; or the number of a request that waits."""
_TURNSTILES: WeakSet[Any] = WeakSet()


def _no_passage(_order: Order, _timeout_ns: int) -> bool:
    return False


def _shut_turnstiles() -> None:
    """In a forked child the sockets are the parent's: the general way says so."""
    for turnstile in _TURNSTILES:
        turnstile.shut()


os.register_at_fork(after_in_child=_shut_turnstiles)


class BlockingFastPath:
    """The path itself: connecting, listeners, single attempts. `BlockingFastPathClient` adds whole calls."""

    def __init__(
        self, config: Mapping[str, Any] | BridgeConfig | None = None, *, make_carrier: CarrierFactory | None = None
    ) -> None:
        self.config = BridgeConfig.of(config)
        self._pid = os.getpid()
        self._closed = threading.Event()
        self._timeout_ns = int(self.config.call_timeout_ms * NS_PER_MS)
        self._codec = choose_codec(self.config.codec)
        self._carriers: BlockingCarriers | None = None
        if make_carrier is None:
            self._carriers = BlockingCarriers(self.config)
            make_carrier = self._carriers.make
        self._core = FastPathCore(self.config, self._codec)
        self._driver = Driver(self._core, make_carrier)
        is_native = self._carriers is not None and self._carriers.is_native
        self._turns = Turns(self._driver, is_native=is_native, spin_us=self.config.spin_us)
        self._lock = self._turns.lock
        turnstile = self._turns.turnstile
        self._pass: _Pass = turnstile.execute if turnstile is not None else _no_passage
        self._pass_whole: _Pass = turnstile.deliver if turnstile is not None else _no_passage
        self._encode_order = self._codec.encode_execute_order
        self._streams: WeakSet[OwnedStream] = WeakSet()
        if turnstile is not None:
            _TURNSTILES.add(turnstile)

    # ---- the path ----

    def connect(self) -> None:
        """Connect, within `connect_timeout_ms`, or raise what kept it from: `NotSentError`, or the engine's refusal.

        The client may be used after a `NotSentError`: each call tries again, with the back-off's pauses.
        """
        conclusion = self._await_open(time.monotonic_ns() + int(self.config.connect_timeout_ms * NS_PER_MS))
        self._driver.deliver_told()
        if isinstance(conclusion, Refused):
            raise error_for_code(conclusion.code, conclusion.message, conclusion.field)
        if not isinstance(conclusion, Replied):
            raise NotSentError(f"{self.config.zmq_endpoint}: {conclusion.reason}")

    @property
    def is_connected(self) -> bool:
        """Whether a request would be sent now, as far as is known."""
        check_process(self._pid)
        with self._lock:
            self._driver.look()
            connected = self._core.phase is Phase.OPEN
            self._turns.settle()
        self._driver.deliver_told()
        return connected

    @property
    def journal_id(self) -> str:
        """The engine's journal that this path is bound to; empty before the first connection."""
        return self._core.journal_id

    @property
    def last_sequence(self) -> int:
        """Highest update sequence number that this client has seen in replies."""
        with self._lock:
            last_sequence = self._core.last_sequence or 0
            self._turns.settle()
        return last_sequence

    def bind_journal(self, journal_id: str) -> None:
        """Accept no other engine than this one."""
        with self._lock:
            self._core.bind_journal(journal_id)

    def add_listener(self, listener: PathListener) -> None:
        """Tell `listener` of path events, from whatever thread notices them, outside the client's lock."""
        self._driver.listeners.append(listener)

    def close(self) -> None:
        """Close the connection; calls in flight end with an unknown outcome. May be called again.

        Streams of this client end with `ClientClosedError`, within half a second where a thread waits in one.
        """
        if os.getpid() != self._pid:
            return
        self._closed.set()
        with self._lock:
            self._core.close()
            self._driver.act()
            self._turns.close()
            streams = list(self._streams)
        for stream in streams:
            stream.end_with_client()
        if self._carriers is not None:
            self._carriers.close()

    def _own(self, stream: OwnedStream) -> None:
        """Let a stream end with this client; at once, if that is closed."""
        with self._lock:
            self._streams.add(stream)
            closed = self._core.phase is Phase.CLOSED
        if closed:
            stream.end_with_client()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- single attempts: what failover builds on ----

    def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        """Send one copy, once, and say how it ended."""
        timeout_ns = int(timeout_ms * NS_PER_MS)
        passed = self._pass_whole(order, timeout_ns) if timeout_ns > 0 else False
        if passed is False:
            return self._attempt_order(order, time.monotonic_ns() + timeout_ns)
        if passed.__class__ is tuple:
            return Replied(*passed)
        return self._finish_passage(passed).conclusion or Unknown("interrupted")

    def _attempt_order(self, order: Order, deadline_ns: int) -> Conclusion[OrderReply]:
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._encode_order(correlation, journal_id, order)
        return self._exchange(Call(correlation, deadline_ns, ExecuteReply), data, journal_id)

    def _finish_passage(self, correlation: int) -> Call:
        """Wait for an order that a lone caller has sent, and to which something else came first than its reply."""
        with self._lock:
            call = self._turns.adopted.pop(correlation)
            if call.conclusion is None:
                self._turns.wait(call)
            self._turns.settle()
        self._driver.deliver_told()
        return call

    def start_order(self, order: Order, timeout_ms: float) -> Call:
        """Send one copy and do not wait: for pipelining. `finish` waits."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._encode_order(correlation, journal_id, order)
        call = Call(correlation, time.monotonic_ns() + int(timeout_ms * NS_PER_MS), ExecuteReply)
        check_process(self._pid)
        with self._lock:
            conclusion = core.admit(call, data, journal_id)
            if conclusion is None and not self._driver.send(data):
                conclusion = core.withdraw(call)
            if conclusion is not None:
                call.conclude(conclusion)
                self._notice()
            elif self._turns.has_leader:
                # Sending may have taken the edge of the descriptor that the leader waits on.
                self._driver.look()
                self._turns.interrupt()
        return call

    def start_orders(self, orders: list[Order], timeout_ms: float, *, only_at_once: bool = False) -> list[Call]:
        """As `start_order`, for the first of many: one or more, as many as have room and go in one write.

        With `only_at_once`, none where the connection stands and takes no more just now: the order may wait.
        Raises `ValidationError` where the first has no form on the wire; then nothing was sent.
        """
        check_process(self._pid)
        core = self._core
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        with self._lock:
            carrier = self._driver.carrier
            native = isinstance(carrier, NativeDealer)
            calls = self._driver.send_orders(carrier, orders, deadline_ns) if native else []
        if calls:
            return calls
        call = self.start_order(orders[0], timeout_ms)
        return [] if only_at_once and core.phase is Phase.OPEN and isinstance(call.conclusion, NotSent) else [call]

    def finish(self, call: Call) -> Conclusion[OrderReply]:
        """Wait for the conclusion of a call that `start_order` began."""
        if call.conclusion is None:
            with self._lock:
                if call.conclusion is None:
                    self._turns.wait(call)
                self._turns.settle()
        self._driver.deliver_told()
        return call.conclusion or Unknown("interrupted")

    def begin_order(self, order: Order, timeout_ms: float) -> OrderInFlight:
        """Send one copy, for a thread that waits for it and for something else."""
        return OrderInFlight(self, self.start_order(order, timeout_ms))

    def wait_for(self, call: Call, until_ns: int, interrupted: threading.Event) -> Conclusion[Any] | None:
        """Wait for a call that was started, no longer than `until_ns`, and not at all if it was interrupted."""
        with self._lock:
            if call.conclusion is None and not interrupted.is_set():
                call.until_ns = until_ns
                self._turns.wait(call)
            interrupted.clear()
            self._turns.settle()
        self._driver.deliver_told()
        return call.conclusion

    def call_away(self, call: Call, interrupted: threading.Event) -> None:
        """End the present `wait_for` of this call, or the next one. From any thread."""
        with self._lock:
            interrupted.set()
            self._turns.call_away(call)
            self._turns.settle()

    def abandon(self, call: Call, reason: str) -> None:
        """Give a call up: a reply that comes later is ignored."""
        with self._lock:
            self._core.abandon(call, reason)
            self._turns.settle()

    def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        """Send one copy of a batch, once, and say how it ended."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._codec.encode_execute_batch(correlation, journal_id, orders)
        call = Call(correlation, time.monotonic_ns() + int(timeout_ms * NS_PER_MS), BatchReply)
        return batch_conclusion(self._exchange(call, data, journal_id), len(orders))

    def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]:
        """Send one copy of a command, once, and say how it ended."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = core.encode(correlation, journal_id, command)
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        return self._exchange(Call(correlation, deadline_ns, REPLY_TYPE_OF[type(command)]), data, journal_id)

    def probe(self, timeout_ms: float) -> bool:
        """Whether the path carries a request and its reply just now; connects where it is not connected."""
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        if self._core.phase is not Phase.OPEN:
            self._await_open(deadline_ns)
            self._driver.deliver_told()
        remaining_ms = (deadline_ns - time.monotonic_ns()) / NS_PER_MS
        return isinstance(self.attempt(HealthCheck(), max(remaining_ms, 1.0)), Replied)

    def _exchange(self, call: Call, data: bytes, journal_id: str) -> Conclusion[Any]:
        """Send and wait. On the way of every order: flat on purpose."""
        check_process(self._pid)
        core = self._core
        turns = self._turns
        with self._lock:
            conclusion = core.admit(call, data, journal_id)
            if conclusion is None:
                if self._driver.send(data):
                    turns.wait(call)
                else:
                    conclusion = core.withdraw(call)
            if conclusion is not None:
                self._notice()
            turns.settle()
        if self._driver.told:
            self._driver.deliver_told()
        return conclusion or call.conclusion or Unknown("interrupted")

    def _notice(self) -> None:
        """A request could not be sent: see what became of the connection, so that the next one finds it made anew."""
        self._core.start(time.monotonic_ns())
        self._driver.act()
        self._driver.look()

    def _await_open(self, deadline_ns: int) -> Conclusion[Any]:
        check_process(self._pid)
        with self._lock:
            self._notice()
            watcher = self._core.watch_open(deadline_ns)
            if watcher.conclusion is None:
                self._turns.wait(watcher)
            self._turns.settle()
        if isinstance(watcher.conclusion, Unknown):
            return NotSent(f"not connected in time: {self._core.not_open_reason}")
        return watcher.conclusion or NotSent(self._core.not_open_reason)


class OrderInFlight:
    """A copy of an order that was sent: its thread may wait for it in parts. See `BlockingFastPath.begin_order`."""

    def __init__(self, path: BlockingFastPath, call: Call) -> None:
        self._path = path
        self._call = call
        self._interrupted = threading.Event()

    def wait(self, until_ns: int) -> Conclusion[OrderReply] | None:
        """How it ended; None: not yet, at `until_ns` or when interrupted."""
        return self._path.wait_for(self._call, until_ns, self._interrupted)

    def interrupt(self) -> None:
        """End the present `wait`, or the next one. From any thread."""
        self._path.call_away(self._call, self._interrupted)

    def abandon(self) -> None:
        """Nobody waits for it any more: a reply that comes later is ignored."""
        self._path.abandon(self._call, "another copy was answered first")
