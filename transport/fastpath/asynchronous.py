"""The fast path for asyncio: `FastPathClient`, on uvloop and on the stock loop.

Rules: a client belongs to the event loop in which it is first used (`WrongLoopError` elsewhere), and any number of
tasks there may use it at once. The loop watches the carrier's descriptors itself: `zmq.asyncio` would cost several
turns of the loop per message. Connections are made anew in the background. Cancelling a task that awaits a call
abandons the wait and nothing else: the order's outcome is unknown, and the connection goes on.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
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
from transport.contract.errors import (
    ClientClosedError,
    ForkedProcessError,
    NotSentError,
    WrongLoopError,
    error_for_code,
)
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
from transport.fastpath.async_streams import AsyncMarketData, AsyncOrderUpdates
from transport.fastpath.batches import async_batch, batch_conclusion
from transport.fastpath.core import NEVER_NS, NS_PER_MS, Call, FastPathCore, Phase
from transport.fastpath.driver import Driver, dealer_factory
from transport.fastpath.market_feed import MarketFeed, pub_endpoint_of
from transport.fastpath.update_feed import UpdateFeed
from transport.wire.choice import choose_codec
from transport.wire.messages import REPLY_TYPE_OF, BatchReply

ReplyT = TypeVar("ReplyT")


class FastPathClient:
    """Orders to one engine over ZeroMQ and FlatBuffers. See `transport.contract.client.AsyncPath`."""

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
        self._driver.before_close = self._unwatch
        self._commands = AccountCommands(self.config.account)
        self._encode_order = self._codec.encode_execute_order
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
        """Close the connection; calls in flight end with an unknown outcome. May be called again."""
        if os.getpid() != self._pid:
            return
        self._core.close()
        self._driver.act()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._driver.deliver_told()
        if self._context is not None:
            self._context.term()

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
        call = self.start_order(order, timeout_ms)
        if call.conclusion is None:
            await call.waiter
        return call.conclusion or Unknown("interrupted")

    def start_order(self, order: Order, timeout_ms: float) -> Call:
        """Send one copy and do not wait: for pipelining. `finish` waits."""
        core = self._core
        journal_id = core.journal_id
        correlation = core.next_correlation()
        data = self._encode_order(correlation, journal_id, order)
        call = Call(correlation, time.monotonic_ns() + int(timeout_ms * NS_PER_MS), ExecuteReply)
        self._exchange(call, data, journal_id)
        return call

    async def finish(self, call: Call) -> Conclusion[Any]:
        """Wait for the conclusion of a call that was started."""
        if call.conclusion is None:
            await call.waiter
        return call.conclusion or Unknown("interrupted")

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
        """Send; the call's `waiter` is done once it is concluded. On the way of every order: flat on purpose."""
        loop = self._enter()
        driver = self._driver
        call.waiter = loop.create_future()
        call.wake = _resolve
        conclusion = self._core.admit(call, data, journal_id)
        if conclusion is None:
            if driver.send(data):
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
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise WrongLoopError("this client belongs to another event loop; make one client per loop")
            self._loop = loop
            self._core.start(time.monotonic_ns())
            self._driver.act()
            self._settle()
        if os.getpid() != self._pid:
            raise ForkedProcessError(
                "this client was made before os.fork, in the parent process; make one of its own in the child"
            )
        return loop

    def _on_messages(self) -> None:
        driver = self._driver
        complete = driver.drain()
        if not complete and self._loop is not None:
            self._loop.call_soon(self._on_messages)
        if driver.told:
            self._settle()

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
        if loop is not None and carrier is not None and not self._watched:
            self._watched = carrier.filenos()
            loop.add_reader(self._watched[0], self._on_messages)
            for fileno in self._watched[1:]:
                loop.add_reader(fileno, self._on_monitor)
            # What came before the loop watched shows no edge any more.
            loop.call_soon(self._on_monitor)
        timer_ns = self._core.timer_ns()
        if timer_ns is not None and timer_ns < self._timer_ns:
            self._arm(timer_ns)
        self._driver.deliver_told()

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

    async def _await_open(self, timeout_ns: float) -> Conclusion[Any]:
        watcher = self._core.watch_open(NEVER_NS)
        if watcher.conclusion is None:
            watcher.waiter = asyncio.get_running_loop().create_future()
            watcher.wake = _resolve
            await asyncio.wait({watcher.waiter}, timeout=max(timeout_ns, 0) / 1e9)
        return watcher.conclusion or NotSent(f"not connected in time: {self._core.not_open_reason}")

    # ---- whole calls, with retries ----

    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Execute one order; see `transport.contract.client` for how a call ends."""
        call = self.start_order(order, self.config.call_timeout_ms if timeout_ms is None else timeout_ms)
        if call.conclusion is None:
            await call.waiter
        conclusion = call.conclusion or Unknown("interrupted")
        if isinstance(conclusion, Replied):
            return conclusion.reply
        return (await self.persist_order(order, conclusion, call.deadline_ns)).reply

    async def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, and whether it was a duplicate."""
        call = self.start_order(order, self.config.call_timeout_ms if timeout_ms is None else timeout_ms)
        return await self.persist_order(order, await self.finish(call), call.deadline_ns)

    async def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]:
        """Execute orders that travel as one message; the replies are by index. Not a transaction."""
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(
            self.config.retries, deadline_ns, order_ids=lambda: tuple(order.order_id for order in orders)
        )
        replied = await self._persist(lambda left_ms: self.attempt_batch(orders, left_ms), attempts, deadline_ns)
        return [each.reply for each in replied.reply]

    def execute_batch_orders(self, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
        """Execute orders singly, `batch_window` of them in flight; replies come in the order of the orders.

        An order that the engine refused comes as a reply with status FAILED; the others go on. If one's outcome stays
        unknown, `OutcomeUnknownError` ends the stream and names all that are in doubt.
        """
        return async_batch(self, orders)

    async def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Cancel one order; an id that the engine does not know is fenced."""
        command = self._commands.cancel(order_id, command_id, expected_version)
        return cast(OrderCommandReply, await self._run(command, timeout_ms))

    async def replace_order(
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
        return cast(OrderCommandReply, await self._run(command, timeout_ms))

    async def get_order(self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None) -> GetOrderReply:
        """Ask for one order; with `fence`, an unknown id will never execute afterwards."""
        return cast(GetOrderReply, await self._run(self._commands.get(order_id, fence=fence), timeout_ms))

    async def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Cancel every open order of the account, or of one symbol."""
        return cast(CommandReply, await self._run(self._commands.cancel_all(symbol, command_id), timeout_ms))

    async def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say what the account may do from now on."""
        command = self._commands.set_trading_state(state, command_id, cancel_open_orders=cancel_open_orders)
        return cast(CommandReply, await self._run(command, timeout_ms))

    async def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Feed quotes to the embedded exchange."""
        return cast(CommandReply, await self._run(self._commands.publish_quotes(quotes, command_id), timeout_ms))

    async def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """Ask the engine how it is."""
        return cast(Health, await self._run(HealthCheck(), timeout_ms))

    # ---- streams ----

    def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> AsyncOrderUpdates:
        """The account's updates, from now or after `resume_from`. `await updates.start()` to know that it stands."""
        feed = UpdateFeed(self.config.account, resume_from, accept_gaps=accept_gaps)
        return AsyncOrderUpdates(self.config, self._codec, feed, journal_id=self._core.journal_id)

    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncMarketData:
        """Market data of these symbols (none: all), from about the first `await` on."""
        return AsyncMarketData(self._pub_endpoint, MarketFeed(self._codec, symbols))

    async def _pub_endpoint(self) -> str:
        if not self.config.pub_endpoint and self._core.welcome is None:
            await self.connect()
        return pub_endpoint_of(self.config.pub_endpoint, self._core.welcome)

    # ---- retries ----

    def _deadline_ns(self, timeout_ms: float | None) -> int:
        timeout_ms = self.config.call_timeout_ms if timeout_ms is None else timeout_ms
        return time.monotonic_ns() + int(timeout_ms * NS_PER_MS)

    async def persist_order(self, order: Order, first: Conclusion[OrderReply], deadline_ns: int) -> Delivery:
        """Go on after a first attempt, as the retry table says, until there is a reply or the call's error."""
        attempts = Attempts(self.config.retries, deadline_ns, order_ids=lambda: (order.order_id,))
        replied = await self._persist(lambda left_ms: self.attempt_order(order, left_ms), attempts, deadline_ns, first)
        return Delivery(replied.reply, "zmq", replied.correlation, attempts.count + 1, replied.duplicate)

    async def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(self.config.retries, deadline_ns, command_id=command_id_of(command))
        replied = await self._persist(lambda left_ms: self.attempt(command, left_ms), attempts, deadline_ns)
        return replied.reply

    async def _persist(
        self,
        attempt: Callable[[float], Awaitable[Conclusion[ReplyT]]],
        attempts: Attempts,
        deadline_ns: int,
        conclusion: Conclusion[ReplyT] | None = None,
    ) -> Replied[ReplyT]:
        """Attempts until one is answered, or the rules say that this is it."""
        while True:
            if conclusion is None:
                conclusion = await attempt(max((deadline_ns - time.monotonic_ns()) / NS_PER_MS, 0.0))
            if isinstance(conclusion, Replied):
                return conclusion
            if self._core.phase is Phase.CLOSED and not attempts.in_doubt and isinstance(conclusion, NotSent):
                raise ClientClosedError("the client is closed; nothing was sent")
            await self._pause(attempts.pause_ns(conclusion, time.monotonic_ns()))
            conclusion = None

    async def _pause(self, pause_ns: int) -> None:
        """Let a pause pass; where the connection is what is missing, only until it is back."""
        until_ns = time.monotonic_ns() + pause_ns
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if self._core.phase in (Phase.OPEN, Phase.HALTED, Phase.CLOSED):
                await asyncio.sleep(left_ns / 1e9)
            elif isinstance(await self._await_open(left_ns), Replied):
                return


def _resolve(call: Call) -> None:
    waiter: asyncio.Future[None] = call.waiter
    if not waiter.done():
        waiter.set_result(None)
