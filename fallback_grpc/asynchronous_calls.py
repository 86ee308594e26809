"""The contract's names for asyncio, over three primitives: one order, one batch, one command."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import cast

from fallback_grpc.order_stream import in_parts
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
from transport.contract.control import AsyncControl
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


class AsyncCalls(AsyncControl):
    """What `GrpcClient` and `ExecutionBridgeClient` offer alike; see `transport.contract.client` for the contract."""

    _config: BridgeConfig

    @abstractmethod
    async def _order(self, order: Order, timeout_ms: float, *, in_doubt: bool = False) -> Done[OrderReply]: ...

    async def settle_order(self, order: Order, *, in_doubt: bool) -> Done[OrderReply]:
        """Executes an order that an earlier copy may have executed already (`in_doubt`): no refusal settles that."""
        return await self._order(order, self._config.call_timeout_ms, in_doubt=in_doubt)

    @abstractmethod
    async def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]: ...

    @abstractmethod
    async def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]: ...

    def _client_config(self) -> BridgeConfig:
        return self._config

    async def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies:
        return (await self._command(command, self._timeout(timeout_ms))).reply

    def _timeout(self, timeout_ms: float | None) -> float:
        return call_timeout_ms(timeout_ms, self._config.call_timeout_ms)

    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        """Executes one order. A rejection is a reply; see `transport.contract.errors` for what is raised."""
        return (await self._order(order, self._timeout(timeout_ms))).reply

    async def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, duplicate."""
        return delivery_of(await self._order(order, self._timeout(timeout_ms)))

    async def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]:
        """Executes orders sent as one message; replies by index. Not a transaction: each order stands by itself."""
        if not orders:
            return []
        timeout_ms = self._timeout(timeout_ms)
        replies: list[OrderReply | None] = [None] * len(orders)
        try:
            done = await self._batch(orders, timeout_ms)
        except OutcomeUnknownError as unknown:
            # Too large for the path that is left: its orders can be sent again one by one.
            if len(orders) == 1 or unknown.refusal not in TOO_LARGE:
                raise
        else:
            replies = settled_replies(done, refusals_are_final=True)
        return await self._settle_rest(orders, replies, timeout_ms)

    async def _settle_rest(
        self, orders: Sequence[Order], replies: list[OrderReply | None], timeout_ms: float
    ) -> list[OrderReply]:
        """The batch's replies; those that are missing are orders in doubt. Each that stays so is named in the error.

        No other error is raised: what one of them ended in is not what the batch ended in.
        """
        unknown: list[OutcomeUnknownError] = []

        async def settle(index: int) -> None:
            try:
                replies[index] = (await self._order(orders[index], timeout_ms, in_doubt=True)).reply
            except OutcomeUnknownError as problem:
                unknown.append(problem)
            except ExecutionBridgeError as problem:
                replies[index] = fenced_reply(orders[index], problem)
                if replies[index] is None:
                    unknown.append(not_asked(orders[index], problem))

        try:
            await asyncio.gather(*(settle(index) for index, reply in enumerate(replies) if reply is None))
        except asyncio.CancelledError:
            self._left_unread(orders, replies)
            raise
        if unknown:
            raise batch_unknown(len(orders), unknown)
        return [reply for reply in replies if reply is not None]

    async def execute_batch_orders(self, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
        """Streams orders, `batch_window` in flight; replies in the order of the orders, as soon as they come.

        What the source has ready travels as one message, half a window at most; what is in doubt of that goes again
        under the same ids. An order that is refused is answered by a reply with status FAILED and its code; the others
        go on. If any ended in `OutcomeUnknownError`, `NotSentError` or another error, or the source raised, that is
        raised after the last reply.
        """
        results = StreamResults()
        window_size = self._config.batch_window
        parts = in_parts(orders, lambda part: self.execute_part(part, results), window_size, results, self._left_unread)
        async with aclosing(parts) as replies:
            async for reply in replies:
                yield reply
        results.raise_if_failed()

    async def execute_part(self, part: Sequence[Order], results: StreamResults) -> list[OrderReply | None]:
        """Executes orders of a stream as one message; replies by index. None: `results` knows what became of it."""
        replies: list[OrderReply | None] = [None] * len(part)
        timeout_ms = self._config.call_timeout_ms
        in_doubt = False
        if len(part) > 1:
            try:
                done = await self._batch(part, timeout_ms)
            except ExecutionBridgeError as problem:
                if results.is_about_each(problem):
                    return [results.reply_for(order, problem) for order in part]
                # Refused or not encodable as a whole: only singly can each order have its own answer.
                in_doubt = isinstance(problem, OutcomeUnknownError)
            else:
                replies, in_doubt = settled_replies(done, refusals_are_final=False), done.was_in_doubt

        async def settle(index: int) -> None:
            try:
                replies[index] = (await self._order(part[index], timeout_ms, in_doubt=in_doubt)).reply
            except ExecutionBridgeError as problem:
                replies[index] = fenced_reply(part[index], problem) or results.reply_for(part[index], problem)

        try:
            await asyncio.gather(*(settle(index) for index, reply in enumerate(replies) if reply is None))
        except asyncio.CancelledError:
            self._left_unread(part, replies)
            raise
        return replies

    def _left_unread(self, orders: Sequence[Order], replies: Sequence[OrderReply | None]) -> None:
        """These were answered, and the caller left before he heard of it: a bridge remembers what may have executed."""

    async def _engine_health(self, timeout_ms: float | None) -> Health:
        return cast("Health", (await self._command(HealthCheck(), self._timeout(timeout_ms))).reply)
