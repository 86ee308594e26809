"""The fast path for threads: `BlockingFastPathClient`.

Thread rules: one client may be used by any number of threads at once; the calling threads do the I/O (`turns.py`).
No thread runs in between: a connection that is lost while nobody calls is noticed, and made anew, by the next call.
Iterators (order updates, market data) each have a connection of their own and belong to one thread each.
After `os.fork` the child must make a client of its own: using the parent's raises `ForkedProcessError`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import zmq

from transport.carriers.carrier import CarrierFactory
from transport.contract.attempts import Attempts
from transport.contract.codes import TradingState
from transport.contract.commands import AccountCommands
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import ClientClosedError, ForkedProcessError, NotSentError, error_for_code
from transport.contract.orders import Order, Quote
from transport.contract.path import PathListener
from transport.contract.replies import (
    CommandReplies,
    CommandReply,
    Delivery,
    ExecuteReply,
    GetOrderReply,
    Health,
    OrderCommandReply,
    OrderReply,
)
from transport.contract.requests import Command, HealthCheck, command_id_of
from transport.fastpath.batches import batch_conclusion, blocking_batch
from transport.fastpath.blocking_streams import BlockingMarketData, BlockingOrderUpdates
from transport.fastpath.core import NS_PER_MS, Call, FastPathCore, Phase
from transport.fastpath.driver import Driver, dealer_factory
from transport.fastpath.market_feed import MarketFeed, pub_endpoint_of
from transport.fastpath.turns import Turns
from transport.fastpath.update_feed import UpdateFeed
from transport.wire.choice import choose_codec
from transport.wire.messages import REPLY_TYPE_OF, BatchReply

ReplyT = TypeVar("ReplyT")


class BlockingFastPathClient:
    """Orders to one engine over ZeroMQ and FlatBuffers. See `transport.contract.client.BlockingPath`."""

    def __init__(self, config: BridgeConfig | None = None, *, make_carrier: CarrierFactory | None = None) -> None:
        self.config = config or BridgeConfig()
        self._pid = os.getpid()
        self._codec = choose_codec(self.config.codec)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        if make_carrier is None:
            self._context = zmq.Context()
            make_carrier = dealer_factory(self.config, self._context)
        self._core = FastPathCore(self.config, self._codec)
        self._driver = Driver(self._core, make_carrier)
        self._turns = Turns(self._driver)
        self._lock = self._turns.lock
        self._commands = AccountCommands(self.config.account)
        self._encode_order = self._codec.encode_execute_order

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
        with self._lock:
            self._driver.look()
            connected = self._core.phase is Phase.OPEN
        self._driver.deliver_told()
        return connected

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
        with self._lock:
            self._core.bind_journal(journal_id)

    def add_listener(self, listener: PathListener) -> None:
        """Tell `listener` of path events, from whatever thread notices them, outside the client's lock."""
        self._driver.listeners.append(listener)

    def close(self) -> None:
        """Close the connection; calls in flight end with an unknown outcome. May be called again."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._core.close()
            self._driver.act()
            self._turns.interrupt()
            self._turns.close()
        if self._context is not None:
            self._context.term()

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
        return self._attempt_order(order, time.monotonic_ns() + int(timeout_ms * NS_PER_MS))

    def _attempt_order(self, order: Order, deadline_ns: int) -> Conclusion[OrderReply]:
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._encode_order(correlation, journal_id, order)
        return self._exchange(Call(correlation, deadline_ns, ExecuteReply), data, journal_id)

    def start_order(self, order: Order, timeout_ms: float) -> Call:
        """Send one copy and do not wait: for pipelining. `finish` waits."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._encode_order(correlation, journal_id, order)
        call = Call(correlation, time.monotonic_ns() + int(timeout_ms * NS_PER_MS), ExecuteReply)
        if os.getpid() != self._pid:
            raise _forked()
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

    def finish(self, call: Call) -> Conclusion[OrderReply]:
        """Wait for the conclusion of a call that `start_order` began."""
        if call.conclusion is None:
            self._lock.acquire()
            if call.conclusion is None:
                self._turns.wait(call)
            else:
                self._lock.release()
        self._driver.deliver_told()
        return call.conclusion or Unknown("interrupted")

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
        if os.getpid() != self._pid:
            raise _forked()
        core = self._core
        turns = self._turns
        lock = self._lock
        lock.acquire()
        held = True
        try:
            conclusion = core.admit(call, data, journal_id)
            if conclusion is None:
                if self._driver.send(data):
                    held = False
                    turns.wait(call)
                else:
                    conclusion = core.withdraw(call)
            if conclusion is not None:
                self._notice()
        finally:
            if held:
                lock.release()
        if self._driver.told:
            self._driver.deliver_told()
        return conclusion or call.conclusion or Unknown("interrupted")

    def _notice(self) -> None:
        """A request could not be sent: see what became of the connection, so that the next one finds it made anew."""
        self._core.start(time.monotonic_ns())
        self._driver.act()
        self._driver.look()

    def _await_open(self, deadline_ns: int) -> Conclusion[Any]:
        if os.getpid() != self._pid:
            raise _forked()
        self._lock.acquire()
        held = True
        try:
            self._notice()
            watcher = self._core.watch_open(deadline_ns)
            if watcher.conclusion is None:
                held = False
                self._turns.wait(watcher)
        finally:
            if held:
                self._lock.release()
        if isinstance(watcher.conclusion, Unknown):
            return NotSent(f"not connected in time: {self._core.not_open_reason}")
        return watcher.conclusion or NotSent(self._core.not_open_reason)

    # ---- whole calls, with retries ----

    def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Execute one order; see `transport.contract.client` for how a call ends."""
        deadline_ns = self._deadline_ns(timeout_ms)
        conclusion = self._attempt_order(order, deadline_ns)
        if isinstance(conclusion, Replied):
            return conclusion.reply
        return self.persist_order(order, conclusion, deadline_ns).reply

    def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, and whether it was a duplicate."""
        deadline_ns = self._deadline_ns(timeout_ms)
        return self.persist_order(order, self._attempt_order(order, deadline_ns), deadline_ns)

    def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]:
        """Execute orders that travel as one message; the replies are by index. Not a transaction."""
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(
            self.config.retries, deadline_ns, order_ids=lambda: tuple(order.order_id for order in orders)
        )
        replied = self._persist(lambda left_ms: self.attempt_batch(orders, left_ms), attempts, deadline_ns)
        return [each.reply for each in replied.reply]

    def execute_batch_orders(self, orders: Iterable[Order]) -> Iterator[OrderReply]:
        """Execute orders singly, `batch_window` of them in flight; replies come in the order of the orders.

        An order that the engine refused comes as a reply with status FAILED; the others go on. If one's outcome stays
        unknown, `OutcomeUnknownError` ends the stream and names all that are in doubt.
        """
        return blocking_batch(self, orders)

    def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Cancel one order; an id that the engine does not know is fenced."""
        return cast(
            OrderCommandReply, self._run(self._commands.cancel(order_id, command_id, expected_version), timeout_ms)
        )

    def replace_order(
        self,
        order_id: str,
        *,
        expected_version: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Change total quantity or price of an open order that is still at `expected_version`."""
        command = self._commands.replace(order_id, command_id, expected_version, quantity, price)
        return cast(OrderCommandReply, self._run(command, timeout_ms))

    def get_order(self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None) -> GetOrderReply:
        """Ask for one order; with `fence`, an unknown id will never execute afterwards."""
        return cast(GetOrderReply, self._run(self._commands.get(order_id, fence=fence), timeout_ms))

    def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Cancel every open order of the account, or of one symbol."""
        return cast(CommandReply, self._run(self._commands.cancel_all(symbol, command_id), timeout_ms))

    def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say what the account may do from now on."""
        command = self._commands.set_trading_state(state, command_id, cancel_open_orders=cancel_open_orders)
        return cast(CommandReply, self._run(command, timeout_ms))

    def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Feed quotes to the embedded exchange."""
        return cast(CommandReply, self._run(self._commands.publish_quotes(quotes, command_id), timeout_ms))

    def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """Ask the engine how it is."""
        return cast(Health, self._run(HealthCheck(), timeout_ms))

    # ---- streams ----

    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> BlockingOrderUpdates:
        """The account's updates, from now or after `resume_from`; subscribed when this returns."""
        if os.getpid() != self._pid:
            raise _forked()
        updates = BlockingOrderUpdates(
            self.config,
            self._codec,
            UpdateFeed(self.config.account, resume_from, accept_gaps=accept_gaps),
            journal_id=self._core.journal_id,
        )
        updates.start()
        return updates

    def stream_market_data(self, symbols: Sequence[str] = ()) -> BlockingMarketData:
        """Market data of these symbols (none: all), from about now."""
        if os.getpid() != self._pid:
            raise _forked()
        if not self.config.pub_endpoint and self._core.welcome is None:
            self.connect()
        endpoint = pub_endpoint_of(self.config.pub_endpoint, self._core.welcome)
        return BlockingMarketData(endpoint, MarketFeed(self._codec, symbols))

    # ---- retries ----

    def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(self.config.retries, deadline_ns, command_id=command_id_of(command))
        replied = self._persist(lambda left_ms: self.attempt(command, left_ms), attempts, deadline_ns)
        return replied.reply

    def persist_order(self, order: Order, first: Conclusion[OrderReply], deadline_ns: int) -> Delivery:
        """Go on after a first attempt, as the retry table says, until there is a reply or the call's error."""
        attempts = Attempts(self.config.retries, deadline_ns, order_ids=lambda: (order.order_id,))
        replied = self._persist(lambda left_ms: self.attempt_order(order, left_ms), attempts, deadline_ns, first)
        return Delivery(replied.reply, "zmq", replied.correlation, attempts.count + 1, replied.duplicate)

    def _deadline_ns(self, timeout_ms: float | None) -> int:
        return time.monotonic_ns() + int(
            (self.config.call_timeout_ms if timeout_ms is None else timeout_ms) * NS_PER_MS
        )

    def _persist(
        self,
        attempt: Callable[[float], Conclusion[ReplyT]],
        attempts: Attempts,
        deadline_ns: int,
        conclusion: Conclusion[ReplyT] | None = None,
    ) -> Replied[ReplyT]:
        """Attempts until one is answered, or the rules say that this is it."""
        while True:
            if conclusion is None:
                conclusion = attempt(max((deadline_ns - time.monotonic_ns()) / NS_PER_MS, 0.0))
            if isinstance(conclusion, Replied):
                return conclusion
            if self._core.phase is Phase.CLOSED and not attempts.in_doubt and isinstance(conclusion, NotSent):
                raise ClientClosedError("the client is closed; nothing was sent")
            self._pause(attempts.pause_ns(conclusion, time.monotonic_ns()))
            conclusion = None

    def _pause(self, pause_ns: int) -> None:
        """Let a pause pass; where the connection is what is missing, only until it is back."""
        until_ns = time.monotonic_ns() + pause_ns
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if self._core.phase in (Phase.OPEN, Phase.HALTED, Phase.CLOSED):
                time.sleep(left_ns / 1e9)
            elif isinstance(self._await_open(until_ns), Replied):
                break
        self._driver.deliver_told()


def _forked() -> ForkedProcessError:
    return ForkedProcessError(
        "this client was made before os.fork, in the parent process; make one of its own in the child"
    )
