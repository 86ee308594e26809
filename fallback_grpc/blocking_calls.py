"""The contract's names for threads, over three primitives: one order, one batch, one command."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from fallback_grpc.outcome import (
    TOO_LARGE,
    Done,
    batch_unknown,
    delivery_of,
    fenced_reply,
    not_asked,
    settled_replies,
)
from fallback_grpc.stream_results import StreamResults
from transport.contract.config import BridgeConfig
from transport.contract.control import BlockingControl
from transport.contract.errors import ExecutionBridgeError, OutcomeUnknownError
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReplies,
    Delivery,
    ExecuteReply,
    Health,
    OrderReply,
)
from transport.contract.requests import (
    Command,
    HealthCheck,
)
from transport.contract.timeouts import call_timeout_ms


class BlockingCalls(BlockingControl):
    """What the blocking clients offer alike; see `transport.contract.client` for the contract."""

    _config: BridgeConfig

    @abstractmethod
    def _order(self, order: Order, timeout_ms: float, *, in_doubt: bool = False) -> Done[OrderReply]: ...

    @abstractmethod
    def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]: ...

    @abstractmethod
    def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]: ...

    def _client_config(self) -> BridgeConfig:
        return self._config

    def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        return self._command(command, self._timeout(timeout_ms)).reply

    def _timeout(self, timeout_ms: float | None) -> float:
        return call_timeout_ms(timeout_ms, self._config.call_timeout_ms)

    def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Executes one order. A rejection is a reply; see `transport.contract.errors` for what is raised."""
        return self._order(order, self._timeout(timeout_ms)).reply

    def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, duplicate."""
        return delivery_of(self._order(order, self._timeout(timeout_ms)))

    def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]:
        """Executes orders sent as one message; replies by index. Not a transaction: each order stands by itself."""
        if not orders:
            return []
        timeout_ms = self._timeout(timeout_ms)
        replies: list[OrderReply | None] = [None] * len(orders)
        try:
            done = self._batch(orders, timeout_ms)
        except OutcomeUnknownError as unknown:
            # Too large for the path that is left: its orders can be sent again one by one.
            if len(orders) == 1 or unknown.refusal not in TOO_LARGE:
                raise
        else:
            replies = settled_replies(done, refusals_are_final=True)
        return self._settle_rest(orders, replies, timeout_ms)

    def _settle_rest(
        self, orders: Sequence[Order], replies: list[OrderReply | None], timeout_ms: float
    ) -> list[OrderReply]:
        """The batch's replies; those that are missing are orders in doubt. Each that stays so is named in the error.

        No other error is raised: what one of them ended in is not what the batch ended in.
        They share the time of one call, so that an engine that answers nobody is not waited for once per order.
        """
        unknown: list[OutcomeUnknownError] = []
        ends_ns = time.monotonic_ns() + int(timeout_ms * 1e6)
        for index, reply in enumerate(replies):
            if reply is not None:
                continue
            try:
                left_ms = max((ends_ns - time.monotonic_ns()) / 1e6, 1.0)
                replies[index] = self._order(orders[index], left_ms, in_doubt=True).reply
            except OutcomeUnknownError as problem:
                unknown.append(problem)
            except ExecutionBridgeError as problem:
                replies[index] = fenced_reply(orders[index], problem)
                if replies[index] is None:
                    unknown.append(not_asked(orders[index], problem))
        if unknown:
            raise batch_unknown(len(orders), unknown)
        return [reply for reply in replies if reply is not None]

    def execute_batch_orders(self, orders: Iterable[Order]) -> Iterator[OrderReply]:
        """Executes a stream of orders, up to `batch_window` in flight; replies in the order of the orders.

        They travel as batches of that size. One that is refused is answered by a reply with status FAILED and its
        code; the others go on. If any ended in `OutcomeUnknownError`, `NotSentError` or another error, that is
        raised after the last reply; so is what the source raised.
        """
        results = StreamResults()
        source = _until_it_fails(orders, results)
        while part := list(islice(source, self._config.batch_window)):
            yield from self._part(part, results)
        results.raise_if_failed()

    def _part(self, part: list[Order], results: StreamResults) -> Iterator[OrderReply]:
        """As `AsyncCalls.execute_part`; an order that is settled singly holds back no reply before its own."""
        replies: list[OrderReply | None] = [None] * len(part)
        timeout_ms = self._config.call_timeout_ms
        in_doubt = False
        if len(part) > 1:
            try:
                done = self._batch(part, timeout_ms)
            except ExecutionBridgeError as problem:
                if results.is_about_each(problem):
                    yield from filter(None, (results.reply_for(order, problem) for order in part))
                    return
                # Refused or not encodable as a whole: only singly can each order have its own answer.
                in_doubt = isinstance(problem, OutcomeUnknownError)
            else:
                replies, in_doubt = settled_replies(done, refusals_are_final=False), done.was_in_doubt
        for order, settled in zip(part, replies, strict=True):
            reply = settled
            if reply is None:
                try:
                    reply = self._order(order, timeout_ms, in_doubt=in_doubt).reply
                except ExecutionBridgeError as problem:
                    reply = fenced_reply(order, problem) or results.reply_for(order, problem)
            if reply is not None:
                yield reply

    def _engine_health(self, timeout_ms: float | None) -> Health:
        return cast("Health", self._command(HealthCheck(), self._timeout(timeout_ms)).reply)


def _until_it_fails(orders: Iterable[Order], results: StreamResults) -> Iterator[Order]:
    """The source's orders; what it raises ends them, and is kept for the end of the stream."""
    try:
        yield from orders
    except Exception as problem:  # the user's code
        results.source_failed(problem)
