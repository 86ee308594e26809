"""Many orders: the conclusion of a batch message, and orders streamed singly through a bounded window."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from transport.contract.conclusions import Conclusion, Replied, Unknown
from transport.contract.errors import ExecutionBridgeError, ExecutionError, OutcomeUnknownError
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply, refused_reply
from transport.fastpath.calls import Call

if TYPE_CHECKING:
    from transport.fastpath.asynchronous import FastPathClient
    from transport.fastpath.blocking import BlockingFastPathClient

Pending = deque[tuple[Order, Call]]
"""Orders of a stream that were sent and not settled yet, the oldest first."""


def batch_conclusion(conclusion: Conclusion[Any], orders: int) -> Conclusion[list[ExecuteReply]]:
    """The conclusion with the replies unpacked; an answer for another number of orders is no answer."""
    if not isinstance(conclusion, Replied):
        return conclusion
    replies: list[ExecuteReply] = conclusion.reply.replies
    if len(replies) != orders:
        return Unknown(f"the engine answered {len(replies)} orders of a batch of {orders}")
    return Replied(replies, all(each.duplicate for each in replies) and orders > 0, conclusion.correlation)


def blocking_batch(client: BlockingFastPathClient, orders: Iterable[Order]) -> Iterator[OrderReply]:
    """Stream orders, `batch_window` in flight, with retries for each; replies in the order of the orders."""
    timeout_ms = client.config.call_timeout_ms
    pending: Pending = deque()
    source = iter(orders)
    exhausted = False
    while pending or not exhausted:
        while not exhausted and len(pending) < client.config.batch_window:
            order = next(source, None)
            if order is None:
                exhausted = True
            else:
                pending.append((order, client.start_order(order, timeout_ms)))
        if not pending:
            return
        order, call = pending.popleft()
        conclusion = client.finish(call)
        if isinstance(conclusion, Replied):
            yield conclusion.reply
            continue
        try:
            reply = client.persist_order(order, conclusion, call.deadline_ns).reply
        except ExecutionBridgeError as error:
            reply = failed_or_raise(order, error, pending)
        yield reply


def async_batch(client: FastPathClient, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
    """As `blocking_batch`, for asyncio. An asynchronous source may be slow: replies do not wait for its next order."""
    return _from_slow_source(client, orders) if isinstance(orders, AsyncIterable) else _from_source(client, orders)


async def _from_source(client: FastPathClient, orders: Iterable[Order]) -> AsyncIterator[OrderReply]:
    timeout_ms = client.config.call_timeout_ms
    pending: Pending = deque()
    for order in orders:
        pending.append((order, client.start_order(order, timeout_ms)))
        if len(pending) >= client.config.batch_window:
            oldest, call = pending.popleft()
            yield await _settle(client, oldest, call, pending)
    while pending:
        oldest, call = pending.popleft()
        yield await _settle(client, oldest, call, pending)


async def _from_slow_source(client: FastPathClient, orders: AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
    timeout_ms = client.config.call_timeout_ms
    pending: Pending = deque()
    source = aiter(orders)
    coming: asyncio.Future[Order | None] | None = None
    exhausted = False
    try:
        while pending or not exhausted:
            if coming is None and not exhausted and len(pending) < client.config.batch_window:
                coming = asyncio.ensure_future(_next_of(source))
            await _first_of(coming, pending)
            if coming is not None and coming.done():
                order, coming = coming.result(), None
                if order is None:
                    exhausted = True
                else:
                    pending.append((order, client.start_order(order, timeout_ms)))
            elif pending and pending[0][1].conclusion is not None:
                order, call = pending.popleft()
                yield await _settle(client, order, call, pending)
    finally:
        if coming is not None:
            coming.cancel()


async def _settle(client: FastPathClient, order: Order, call: Call, pending: Pending) -> OrderReply:
    conclusion: Conclusion[OrderReply] = await client.finish(call)
    if isinstance(conclusion, Replied):
        return conclusion.reply
    try:
        return (await client.persist_order(order, conclusion, call.deadline_ns)).reply
    except ExecutionBridgeError as error:
        return failed_or_raise(order, error, pending)


async def _first_of(coming: asyncio.Future[Order | None] | None, pending: Pending) -> None:
    waits: set[asyncio.Future[Any]] = set()
    if coming is not None:
        waits.add(coming)
    if pending:
        if pending[0][1].conclusion is not None:
            return
        waits.add(pending[0][1].waiter)
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)


async def _next_of(source: AsyncIterator[Order]) -> Order | None:
    return await anext(source, None)


def failed_or_raise(order: Order, error: ExecutionBridgeError, pending: Pending) -> OrderReply:
    """A refusal is a FAILED reply of its order alone; anything else ends the stream, and says who is in doubt."""
    if isinstance(error, ExecutionError):
        return refused_reply(order, error.code, str(error), error.field)
    in_doubt = [each.order_id for each, _ in pending]
    if isinstance(error, OutcomeUnknownError):
        in_doubt.insert(0, order.order_id)
    if not in_doubt:
        raise error
    raise OutcomeUnknownError(
        f"the stream of orders ended at {order.order_id}: {error}; {len(in_doubt)} orders are in doubt: "
        "send them again under the same ids",
        order_ids=tuple(in_doubt),
    ) from error
