"""The clocks of all rows: one place, so that no row is timed in another way than its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns
from typing import Any

from bench.orders import fresh_orders, read_fields
from bench.rows.row import Timed
from transport import ExecutionStatus, Order, OrderReply

Looked = tuple[list[int], list[int]]
"""What each order took, in ns, and what was seen of each."""


class WrongReplyError(RuntimeError):
    """A reply was not what a benchmark may count: a market order was not filled, or a limit order does not rest."""


def time_orders(call: Callable[[Order], OrderReply]) -> Timed:
    """One order after the other; each call's clock ends when every field of its reply has been read."""

    return lambda calls: time_each(call, fresh_orders(calls))


def time_each(call: Callable[[Order], OrderReply], orders: Sequence[Order]) -> list[int]:
    """What each of these orders took, one after the other."""
    taken_ns: list[int] = []
    for order in orders:
        began = perf_counter_ns()
        reply = call(order)
        read_fields(reply)
        taken_ns.append(perf_counter_ns() - began)
        check(order, reply)
    return taken_ns


def time_each_and(call: Callable[[Order], OrderReply], orders: Sequence[Order], look: Callable[[], int]) -> Looked:
    """The same, and by how much what `look` says has grown from order to order; the looks are outside the clocks."""
    taken_ns: list[int] = []
    grown: list[int] = []
    seen = look()
    for order in orders:
        began = perf_counter_ns()
        reply = call(order)
        read_fields(reply)
        taken_ns.append(perf_counter_ns() - began)
        before, seen = seen, look()
        grown.append(seen - before)
        check(order, reply)
    return taken_ns, grown


def time_orders_in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[Order], Awaitable[OrderReply]]) -> Timed:
    """As `time_orders`, in one coroutine of `loop`; starting the loop is outside the clocks."""

    async def measure(orders: list[Order]) -> list[int]:
        taken_ns: list[int] = []
        for order in orders:
            began = perf_counter_ns()
            reply = await call(order)
            read_fields(reply)
            taken_ns.append(perf_counter_ns() - began)
            check(order, reply)
        return taken_ns

    def timed(calls: int) -> list[int]:
        return loop.run_until_complete(measure(fresh_orders(calls)))

    return timed


def time_batches(call: Callable[[list[Order]], Sequence[OrderReply]], orders_per_call: int) -> Timed:
    """Many orders a call; its clock ends when every field of every reply has been read."""

    def timed(calls: int) -> list[int]:
        taken_ns: list[int] = []
        for _ in range(calls):
            orders = fresh_orders(orders_per_call)
            began = perf_counter_ns()
            replies = call(orders)
            for reply in replies:
                read_fields(reply)
            taken_ns.append(perf_counter_ns() - began)
            _check_all(orders, replies)
        return taken_ns

    return timed


def time_batches_in_loop(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[list[Order]], Awaitable[Sequence[OrderReply]]],
    orders_per_call: int,
) -> Timed:
    """As `time_batches`, each batch awaited in a coroutine of `loop`; starting the loop is outside the clocks."""

    async def measure(orders: list[Order]) -> int:
        began = perf_counter_ns()
        replies = await call(orders)
        for reply in replies:
            read_fields(reply)
        taken_ns = perf_counter_ns() - began
        _check_all(orders, replies)
        return taken_ns

    def timed(calls: int) -> list[int]:
        return [loop.run_until_complete(measure(fresh_orders(orders_per_call))) for _ in range(calls)]

    return timed


def time_exchanges(exchange: Callable[[bytes], bytes], request: bytes, reply_bytes: int) -> Timed:
    """Bytes out and as many as asked for back: what the floors do in place of an order."""

    def timed(calls: int) -> list[int]:
        taken_ns: list[int] = []
        for _ in range(calls):
            began = perf_counter_ns()
            reply = exchange(request)
            taken_ns.append(perf_counter_ns() - began)
            if len(reply) != reply_bytes:
                raise WrongReplyError(f"{len(reply)} bytes came back, not {reply_bytes}")
        return taken_ns

    return timed


def check(order: Order, reply: OrderReply) -> None:
    """The order is over, or rests where it was given a price.

    Raises:
        WrongReplyError: neither.
    """
    expected = ExecutionStatus.FILLED if order.price is None else ExecutionStatus.PENDING
    if reply.status != expected:
        raise WrongReplyError(f"not {expected.name}: {reply}")


def _check_all(orders: list[Order], replies: Sequence[OrderReply]) -> None:
    if [order.order_id for order in orders] != [reply.order_id for reply in replies]:
        raise WrongReplyError(f"{len(orders)} orders and {len(replies)} replies, or in another order")
    for order, reply in zip(orders, replies, strict=True):
        check(order, reply)


def time_codec(step: Callable[[Any], object], subjects: Callable[[int], Sequence[Any]], per_call: int) -> Timed:
    """`per_call` steps a clock, since one is shorter than reading the clock twice is exact."""

    def timed(calls: int) -> list[int]:
        taken_ns: list[int] = []
        for _ in range(calls):
            block = subjects(per_call)
            began = perf_counter_ns()
            for subject in block:
                step(subject)
            taken_ns.append(perf_counter_ns() - began)
        return taken_ns

    return timed
