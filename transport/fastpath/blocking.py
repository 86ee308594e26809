"""The fast path for threads: `BlockingFastPathClient`.

Thread rules: one client may be used by any number of threads at once; the calling threads do the I/O (`turns.py`).
No thread runs in between: a connection that is lost while nobody calls is noticed, and made anew, by the next call.
Over a native carrier a caller that is alone does all of it in one call of native code, and looks for its reply for
`spin_us` before it sleeps; signals interrupt it as anywhere.
Iterators (order updates, market data) each have a connection of their own and belong to one thread each.
After `os.fork` the child must make a client of its own: using the parent's raises `ForkedProcessError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from transport.contract.attempts import Attempts
from transport.contract.conclusions import Conclusion, NotSent, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.control import BlockingControl
from transport.contract.errors import ClientClosedError
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReplies,
    Delivery,
    Health,
    OrderReply,
)
from transport.contract.requests import Command, HealthCheck, command_id_of, is_query, order_ids_of
from transport.contract.timeouts import call_timeout_ms
from transport.fastpath.batches import blocking_batch
from transport.fastpath.blocking_path import BlockingFastPath
from transport.fastpath.blocking_streams import BlockingMarketData, BlockingOrderUpdates
from transport.fastpath.core import NS_PER_MS, Phase
from transport.fastpath.market_feed import MarketFeed, pub_endpoint_of
from transport.fastpath.ownership import check_process
from transport.fastpath.update_feed import UpdateFeed

ReplyT = TypeVar("ReplyT")


class BlockingFastPathClient(BlockingFastPath, BlockingControl):
    """Orders to one engine over ZeroMQ and FlatBuffers. See `transport.contract.client.BlockingPath`."""

    def connect(self) -> None:
        """Connect, within `connect_timeout_ms`, or raise what kept it from: `NotSentError`, or the engine's refusal.

        The client may be used after a `NotSentError`: each call tries again, with the back-off's pauses. The first
        time, the engine is told what `cancel_on_disconnect_ms` says.
        """
        super().connect()
        self._set_lease()

    # ---- whole calls, with retries ----

    def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Execute one order; see `transport.contract.client` for how a call ends."""
        timeout_ns = self._timeout_ns if timeout_ms is None else self._timeout_ns_of(timeout_ms)
        passed = self._pass(order, timeout_ns)
        if passed.__class__ is OrderReply:
            return passed
        # The lone caller's way was not open, or something else came before the reply.
        if passed is False:
            deadline_ns = time.monotonic_ns() + timeout_ns
            conclusion = self._attempt_order(order, deadline_ns)
        else:
            call = self._finish_passage(passed)
            deadline_ns = call.deadline_ns
            conclusion = call.conclusion or Unknown("interrupted")
        if isinstance(conclusion, Replied):
            return conclusion.reply
        return self.persist_order(order, conclusion, deadline_ns).reply

    def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, and whether it was a duplicate."""
        timeout_ns = self._timeout_ns_of(timeout_ms)
        deadline_ns = time.monotonic_ns() + timeout_ns
        return self.persist_order(order, self.attempt_order(order, timeout_ns / NS_PER_MS), deadline_ns)

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

        An order that the engine refused comes as a reply with status FAILED; the others go on. Where the source raises,
        an order cannot be sent, or an outcome stays unknown, no more are sent; the replies of those that were sent
        come first, then the error (`OutcomeUnknownError` names all that are in doubt).
        """
        return blocking_batch(self, orders)

    def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """Ask the engine how it is."""
        return cast(Health, self._run(HealthCheck(), timeout_ms))

    # ---- streams ----

    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> BlockingOrderUpdates:
        """The account's updates, from now or after `resume_from`; subscribed when this returns."""
        check_process(self._pid)
        updates = BlockingOrderUpdates(
            self.config,
            self._codec,
            UpdateFeed(self.config.account, resume_from, accept_gaps=accept_gaps),
            journal_id=self._core.journal_id,
        )
        self._own(updates)
        updates.start()
        return updates

    def stream_market_data(self, symbols: Sequence[str] = ()) -> BlockingMarketData:
        """Market data of these symbols (none: all), from about now."""
        check_process(self._pid)
        if not self.config.pub_endpoint and self._core.welcome is None:
            self.connect()
        endpoint = pub_endpoint_of(self.config.pub_endpoint, self._core.welcome)
        stream = BlockingMarketData(endpoint, MarketFeed(self._codec, symbols))
        self._own(stream)
        return stream

    # ---- retries ----

    def _client_config(self) -> BridgeConfig:
        return self.config

    def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        deadline_ns = self._deadline_ns(timeout_ms)
        attempts = Attempts(
            self.config.retries,
            deadline_ns,
            order_ids=lambda: order_ids_of(command),
            command_id=command_id_of(command),
            is_query=is_query(command),
        )
        replied = self._persist(lambda left_ms: self.attempt(command, left_ms), attempts, deadline_ns)
        return replied.reply

    def persist_order(self, order: Order, first: Conclusion[OrderReply], deadline_ns: int) -> Delivery:
        """Go on after a first attempt, as the retry table says, until there is a reply or the call's error."""
        attempts = Attempts(self.config.retries, deadline_ns, order_ids=lambda: (order.order_id,))
        replied = self._persist(lambda left_ms: self.attempt_order(order, left_ms), attempts, deadline_ns, first)
        return Delivery(replied.reply, "zmq", replied.correlation, attempts.count + 1, replied.duplicate)

    def _deadline_ns(self, timeout_ms: float | None) -> int:
        return time.monotonic_ns() + self._timeout_ns_of(timeout_ms)

    def _timeout_ns_of(self, timeout_ms: float | None) -> int:
        return int(call_timeout_ms(timeout_ms, self.config.call_timeout_ms) * NS_PER_MS)

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
                self._closed.wait(left_ns / 1e9)
            elif isinstance(self._await_open(until_ns), Replied):
                break
        self._driver.deliver_told()


def connect_blocking(config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any) -> BlockingFastPathClient:
    """A connected client of the fast path alone; raises what kept it from connecting.

    `settings` stand over `config`. Without a `BridgeConfig`, environment variables `EXECUTION_BRIDGE_*` fill what is
    not given.
    """
    client = BlockingFastPathClient(BridgeConfig.of(config, **settings))
    try:
        client.connect()
    except BaseException:
        client.close()
        raise
    return client
