"""Sends what the core says, through the client, and reports how each copy ended. For asyncio."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from fallback_grpc.queue.core import QueueCore
from fallback_grpc.queue.entries import Entry
from fallback_grpc.queue.sends import (
    Send,
    SendKind,
    conclusion_for,
    conclusion_of_reply,
    halts,
    is_about_one,
    is_too_large,
)
from transport.contract.conclusions import Conclusion, Replied, Unknown
from transport.contract.errors import ExecutionBridgeError
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderCommandReply, OrderReply, Path

_log = logging.getLogger(__name__)


class QueueClient(Protocol):
    """What the queue needs of a client; `ExecutionBridgeClient` has it."""

    @property
    def account(self) -> str: ...
    @property
    def journal_id(self) -> str: ...
    @property
    def usable_paths(self) -> tuple[Path, ...]: ...
    @property
    def last_sequence(self) -> int | None: ...
    def on_path_event(self, listener: Callable[[Any], None]) -> None: ...
    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply: ...
    async def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]: ...
    async def cancel_order(self, order_id: str, *, command_id: str | None = None) -> OrderCommandReply: ...
    async def get_order(self, order_id: str, *, fence: bool = False) -> GetOrderReply: ...


class Sender:
    """The calls of one queue that are under way."""

    def __init__(self, client: QueueClient, core: QueueCore, changed: Callable[[], None]) -> None:
        self._client = client
        self._core = core
        self._changed = changed
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their start

    def send_what_is_due(self, now_ns: int) -> None:
        """Starts the calls that the core wants, in its order."""
        self._core.paths_usable(bool(self._client.usable_paths))
        for send in self._core.next_sends(now_ns):
            self._start(self._send(send))
        for entry in self._core.next_asks(now_ns):
            self._start(self._ask(entry))

    async def stop(self) -> None:
        """Breaks off what is under way: unknown."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _send(self, send: Send) -> None:
        conclusions: Sequence[Conclusion[Any]] = ()
        try:
            conclusions = await self._call(send)
        except ExecutionBridgeError as problem:
            if send.kind is SendKind.BATCH and is_too_large(problem):
                self._core.batch_too_large(send.entries)
            elif send.kind is SendKind.BATCH and is_about_one(problem):
                self._core.send_alone(send.entries)
            else:
                conclusions = [conclusion_for(entry, problem) for entry in send.entries]
            if halts(problem):
                _log.critical("the queue sends nothing more: %s", problem)
                self._core.halt(problem)
        except BaseException as problem:
            conclusions = [Unknown(f"the call was broken off: {problem!r}")] * len(send.entries)
            if not isinstance(problem, Exception):
                raise
            _log.exception("a call of the queue failed in a way that is not known")
        finally:
            now_ns = time.monotonic_ns()
            for entry, conclusion in zip(send.entries, conclusions, strict=False):
                self._core.ended(entry, conclusion, now_ns)
            self._changed()

    async def _call(self, send: Send) -> list[Conclusion[Any]]:
        first = send.entries[0]
        if send.kind is SendKind.CANCEL:
            return [Replied(await self._client.cancel_order(first.order_id, command_id=first.command_id))]
        if send.kind is SendKind.FENCE:
            return [Replied(await self._client.get_order(first.order_id, fence=True))]
        if send.kind is SendKind.ORDER:
            return [conclusion_of_reply(await self._client.execute_order(send.orders[0]))]
        replies = await self._client.execute_batch(send.orders)
        if len(replies) != len(send.entries):
            return [Unknown(f"{len(replies)} replies to a batch of {len(send.entries)}")] * len(send.entries)
        return [conclusion_of_reply(reply) for reply in replies]

    async def _ask(self, entry: Entry) -> None:
        try:
            reply = await self._client.get_order(entry.order_id)
            self._core.query_answered(entry, reply, time.monotonic_ns())
        except ExecutionBridgeError as problem:
            _log.debug("asking for order %s: %s", entry.order_id, problem)
        finally:
            self._core.asked(entry, time.monotonic_ns())
            self._changed()
