"""Finds out what became of orders of unknown outcome: sends them again under their ids, or asks with a fence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, cast

from fallback_grpc.failover.plan import REFUSALS_TO_WAIT_OUT
from fallback_grpc.outcome import Done
from fallback_grpc.resolution import DoubtfulOrders, Resolution, resolution_of_query
from transport.contract.codes import ReasonCode
from transport.contract.errors import ExecutionBridgeError, OutcomeUnknownError, error_for_code
from transport.contract.orders import Order
from transport.contract.replies import CommandReplies, GetOrderReply, OrderReply
from transport.contract.requests import GetOrder


def refused_and_fenced(order: Order, unknown: OutcomeUnknownError) -> ExecutionBridgeError:
    """The error of an order that the engine refuses, and that a fence has kept from ever executing."""
    text = f"order {order.order_id}: refused, and fenced since an earlier copy was in doubt: it never executed"
    return error_for_code(unknown.refusal, text)


def _by_reply(done: Done[OrderReply]) -> Resolution:
    return Resolution(order_id=done.reply.order_id, reply=done.reply, path=done.path, resent=True)


def _by_query(order_id: str, done: Done[CommandReplies]) -> Resolution:
    return resolution_of_query(order_id, cast("GetOrderReply", done.reply), done.path)


def _can_fence(unknown: OutcomeUnknownError) -> bool:
    """Whether a fencing query may tell what sending again did not: copies are refused for good, and a path is alive.

    Not where the engine only was busy: a fence would end an order that may well be taken later. Nor where it has
    forgotten the id: a fence would tell no more.
    """
    return unknown.path_alive and unknown.refusal not in (
        ReasonCode.NONE, ReasonCode.ID_TOO_OLD, *REFUSALS_TO_WAIT_OUT
    )  # fmt: skip


def _why_not_fenced(unknown: OutcomeUnknownError, problem: ExecutionBridgeError) -> OutcomeUnknownError:
    """What an order in doubt ended in that a fencing query did not settle: that its id is forgotten is worth saying."""
    if isinstance(problem, OutcomeUnknownError) and problem.refusal == ReasonCode.ID_TOO_OLD:
        return problem
    return unknown


def _take_forgotten(doubtful: DoubtfulOrders, order: Order, ending: OutcomeUnknownError) -> None:
    """The order may be dismissed from now on, if it is forgotten that it stays in doubt for."""
    if ending.refusal == ReasonCode.ID_TOO_OLD:
        doubtful.forgotten(order.order_id)


class AsyncResolver:
    """For the tasks of one event loop."""

    def __init__(
        self,
        resend: Callable[[Order, float], Awaitable[Done[OrderReply]]],
        ask: Callable[[GetOrder, float], Awaitable[Done[CommandReplies]]],
    ) -> None:
        """`resend` sends an order that is in doubt, `ask` a query; both within milliseconds."""
        self._resend = resend
        self._ask = ask
        self._running: dict[str, asyncio.Task[Resolution]] = {}
        self.doubtful = DoubtfulOrders()

    async def resolve(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        """See `ExecutionBridgeClient.resolve`."""
        running = self._running.get(order_id)
        if running is None:
            running = asyncio.create_task(self._resolve(order_id, account, timeout_ms), name=f"resolve-{order_id}")
            self._running[order_id] = running
            running.add_done_callback(lambda done: self._finished(order_id, done))
        return await asyncio.shield(running)

    async def fence_refused(self, order: Order, unknown: OutcomeUnknownError, timeout_ms: float) -> Resolution:
        """Settles an order whose further copies are refused for good; raises `unknown` where that cannot be."""
        if not _can_fence(unknown):
            _take_forgotten(self.doubtful, order, unknown)
            raise unknown
        try:
            return await self._fence(order.order_id, order.account, timeout_ms)
        except ExecutionBridgeError as problem:
            ending = _why_not_fenced(unknown, problem)
            _take_forgotten(self.doubtful, order, ending)
            raise ending from (problem if ending is unknown else unknown)

    async def _resolve(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        order = self.doubtful.get(order_id)
        if order is None:
            return await self._fence(order_id, account, timeout_ms)
        try:
            resolution = _by_reply(await self._resend(order, timeout_ms))
        except OutcomeUnknownError as unknown:
            resolution = await self.fence_refused(order, unknown, timeout_ms)
        self.doubtful.discard(order_id)
        return resolution

    async def _fence(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        query = GetOrder(order_id=order_id, account=account, fence=True)
        resolution = _by_query(order_id, await self._ask(query, timeout_ms))
        self.doubtful.discard(order_id)
        return resolution

    def _finished(self, order_id: str, done: asyncio.Task[Any]) -> None:
        self._running.pop(order_id, None)
        if not done.cancelled():
            done.exception()  # who asked has it; if nobody waits any more, nobody needs it


class BlockingResolver:
    """For any number of threads."""

    def __init__(
        self,
        resend: Callable[[Order, float], Done[OrderReply]],
        ask: Callable[[GetOrder, float], Done[CommandReplies]],
    ) -> None:
        """As for `AsyncResolver`."""
        self._resend = resend
        self._ask = ask
        self._lock = threading.Lock()
        self._running: dict[str, Future[Resolution]] = {}
        self.doubtful = DoubtfulOrders()

    def resolve(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        """See `BlockingExecutionBridgeClient.resolve`. The first thread that asks does it; others wait for it."""
        with self._lock:
            running = self._running.get(order_id)
            mine = running is None
            if running is None:
                running = self._running[order_id] = Future()
        if not mine:
            return running.result()
        try:
            resolution = self._resolve(order_id, account, timeout_ms)
        except BaseException as problem:
            running.set_exception(problem if isinstance(problem, Exception) else self._interrupted(order_id))
            raise
        else:
            running.set_result(resolution)
            return resolution
        finally:
            with self._lock:
                del self._running[order_id]

    def fence_refused(self, order: Order, unknown: OutcomeUnknownError, timeout_ms: float) -> Resolution:
        """As `AsyncResolver.fence_refused`."""
        if not _can_fence(unknown):
            _take_forgotten(self.doubtful, order, unknown)
            raise unknown
        try:
            return self._fence(order.order_id, order.account, timeout_ms)
        except ExecutionBridgeError as problem:
            ending = _why_not_fenced(unknown, problem)
            _take_forgotten(self.doubtful, order, ending)
            raise ending from (problem if ending is unknown else unknown)

    def _resolve(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        order = self.doubtful.get(order_id)
        if order is None:
            return self._fence(order_id, account, timeout_ms)
        try:
            resolution = _by_reply(self._resend(order, timeout_ms))
        except OutcomeUnknownError as unknown:
            resolution = self.fence_refused(order, unknown, timeout_ms)
        self.doubtful.discard(order_id)
        return resolution

    def _fence(self, order_id: str, account: str, timeout_ms: float) -> Resolution:
        query = GetOrder(order_id=order_id, account=account, fence=True)
        resolution = _by_query(order_id, self._ask(query, timeout_ms))
        self.doubtful.discard(order_id)
        return resolution

    @staticmethod
    def _interrupted(order_id: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"order {order_id}: the thread that resolved it was interrupted", order_ids=(order_id,)
        )
