"""The fast path for asyncio: `FastPathClient`, on uvloop and on the stock loop.

Rules: a client belongs to the event loop in which it is first used (`WrongLoopError` elsewhere), and any number of
tasks there may use it at once. The loop watches the carrier's descriptors itself: `zmq.asyncio` would cost several
turns of the loop per message. Connections are made anew in the background. Cancelling a task that awaits a call
abandons the wait and nothing else: the order's outcome is unknown, and the connection goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from transport.contract.attempts import Attempts
from transport.contract.conclusions import Conclusion, NotSent, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.control import AsyncControl
from transport.contract.errors import (
    ClientClosedError,
)
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReplies,
    Delivery,
    Health,
    OrderReply,
)
from transport.contract.requests import Command, HealthCheck, command_id_of, is_query, order_ids_of
from transport.contract.timeouts import call_timeout_ms
from transport.fastpath.async_path import AsyncFastPath
from transport.fastpath.async_streams import AsyncMarketData, AsyncOrderUpdates
from transport.fastpath.batches import async_batch
from transport.fastpath.core import NS_PER_MS, Phase
from transport.fastpath.market_feed import MarketFeed, pub_endpoint_of
from transport.fastpath.update_feed import UpdateFeed

ReplyT = TypeVar("ReplyT")


class FastPathClient(AsyncFastPath, AsyncControl):
    """Orders to one engine over ZeroMQ and FlatBuffers. See `transport.contract.client.AsyncPath`."""

    async def connect(self) -> None:
        """Connect, within `connect_timeout_ms`, or raise what kept it from: `NotSentError`, or the engine's refusal.

        After a `NotSentError` the client goes on trying in the background. The first time, the engine is told what
        `cancel_on_disconnect_ms` says.
        """
        await super().connect()
        await self._set_lease()

    # ---- whole calls, with retries ----

    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Execute one order; see `transport.contract.client` for how a call ends."""
        call = self.start_order(order, call_timeout_ms(timeout_ms, self.config.call_timeout_ms))
        if call.conclusion is None:
            await self.waiter_of(call)
        conclusion = call.conclusion or Unknown("interrupted")
        if isinstance(conclusion, Replied):
            return conclusion.reply
        return (await self.persist_order(order, conclusion, call.deadline_ns)).reply

    async def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, and whether it was a duplicate."""
        call = self.start_order(order, call_timeout_ms(timeout_ms, self.config.call_timeout_ms))
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

        An order that the engine refused comes as a reply with status FAILED; the others go on. Where the source raises,
        an order cannot be sent, or an outcome stays unknown, no more are sent; the replies of those that were sent
        come first, then the error (`OutcomeUnknownError` names all that are in doubt).
        """
        return async_batch(self, orders)

    async def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """Ask the engine how it is."""
        return cast(Health, await self._run(HealthCheck(), timeout_ms))

    # ---- streams ----

    def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> AsyncOrderUpdates:
        """The account's updates, from now or after `resume_from`. `await updates.start()` to know that it stands."""
        feed = UpdateFeed(self.config.account, resume_from, accept_gaps=accept_gaps)
        updates = AsyncOrderUpdates(self.config, self._codec, feed, journal_id=self._core.journal_id)
        self._own(updates)
        return updates

    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncMarketData:
        """Market data of these symbols (none: all), from about the first `await` on."""
        stream = AsyncMarketData(self._pub_endpoint, MarketFeed(self._codec, symbols))
        self._own(stream)
        return stream

    async def _pub_endpoint(self) -> str:
        if not self.config.pub_endpoint and self._core.welcome is None:
            await self.connect()
        return pub_endpoint_of(self.config.pub_endpoint, self._core.welcome)

    # ---- retries ----

    def _deadline_ns(self, timeout_ms: float | None) -> int:
        timeout_ms = call_timeout_ms(timeout_ms, self.config.call_timeout_ms)
        return time.monotonic_ns() + int(timeout_ms * NS_PER_MS)

    async def persist_order(self, order: Order, first: Conclusion[OrderReply], deadline_ns: int) -> Delivery:
        """Go on after a first attempt, as the retry table says, until there is a reply or the call's error."""
        attempts = Attempts(self.config.retries, deadline_ns, order_ids=lambda: (order.order_id,))
        replied = await self._persist(lambda left_ms: self.attempt_order(order, left_ms), attempts, deadline_ns, first)
        return Delivery(replied.reply, "zmq", replied.correlation, attempts.count + 1, replied.duplicate)

    def _client_config(self) -> BridgeConfig:
        return self.config

    async def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(
            self.config.retries,
            deadline_ns,
            order_ids=lambda: order_ids_of(command),
            command_id=command_id_of(command),
            is_query=is_query(command),
        )
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
            if conclusion is self._core.full and time.monotonic_ns() < deadline_ns:
                await self._await_room(deadline_ns)
                conclusion = None
                continue
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


async def connect(config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any) -> FastPathClient:
    """A connected client of the fast path alone; raises what kept it from connecting.

    `settings` stand over `config`. Without a `BridgeConfig`, environment variables `EXECUTION_BRIDGE_*` fill what is
    not given.
    """
    client = FastPathClient(BridgeConfig.of(config, **settings))
    try:
        await client.connect()
    except BaseException:
        await client.close()
        raise
    return client
