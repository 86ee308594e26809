"""Reconciliation for asyncio: at every (re)connection, one comparison after another, in a task of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol, cast

from fallback_grpc.failover.events import BridgePathEvent, PathEventKind
from fallback_grpc.reconciliation.beliefs import Beliefs
from fallback_grpc.reconciliation.comparison import Comparison
from fallback_grpc.reconciliation.report import Reconciliation, ReconciliationListener
from fallback_grpc.reconciliation.telling import is_final, tell
from transport.contract.errors import ExecutionBridgeError
from transport.contract.replies import (
    CommandReplies,
    GetOrderReply,
    OpenOrders,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)

_log = logging.getLogger(__name__)

# Paths that flap are not compared at each beat; a comparison that failed is tried again after this.
_PAUSE_S = 0.25
# A replay ends where it stands if the engine says nothing more for so long.
_PATIENCE_S = 5.0
# A subscription of the application's own is about to bring what was missed: it gets so long.
_SUBSCRIBER_PATIENCE_S = 2.0


class ReconciledClient(Protocol):
    """What the reconciler asks a client for."""

    async def open_orders(self) -> OpenOrders: ...
    async def get_order(self, order_id: str) -> GetOrderReply: ...


class AsyncReconciler:
    """The reconciliation of one bridge; it does nothing, and costs nothing, before `listen`."""

    def __init__(
        self, client: ReconciledClient, replay: Callable[[int], AsyncIterator[OrderUpdate | UpdateGap]]
    ) -> None:
        """`replay`: the account's updates after a number."""
        self._client = client
        self._replay = replay
        self._listeners: list[ReconciliationListener] = []
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.beliefs: Beliefs | None = None
        """None: nobody listens."""
        self._subscriptions = 0

    def listen(self, listener: ReconciliationListener, since: int | None) -> None:
        """Reconciles from now on; `since`: the account's last update that the program has dealt with."""
        if self.beliefs is None:
            self.beliefs = Beliefs(since)
        elif self.beliefs.position is None:
            self.beliefs.position = since
        self._listeners.append(listener)

    def start(self) -> None:
        """The client is connected: compares, if somebody listens."""
        if self.beliefs is not None:
            self._due.set()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="reconciliation")

    def replied(self, reply: OrderReply) -> None:
        """Takes news of an order."""
        if self.beliefs is not None:
            self.beliefs.replied(reply)

    def replied_to_command(self, reply: CommandReplies) -> None:
        """Takes what a cancel or a replace left of its order."""
        if self.beliefs is not None and isinstance(reply, OrderCommandReply) and reply.order is not None:
            self.beliefs.replied(reply.order)

    def following(self, items: AsyncIterator[OrderUpdate | UpdateGap]) -> AsyncIterator[OrderUpdate | UpdateGap]:
        """A subscription of the application: what it brings is no news any more. Unchanged where nobody listens."""
        return items if self.beliefs is None else self._follow(items, self.beliefs)

    async def _follow(
        self, items: AsyncIterator[OrderUpdate | UpdateGap], beliefs: Beliefs
    ) -> AsyncGenerator[OrderUpdate | UpdateGap, None]:
        self._subscriptions += 1
        try:
            async with aclosing(cast("Any", items)) as received:
                async for item in received:
                    beliefs.heard(item)
                    yield item
        finally:
            self._subscriptions -= 1

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def path_changed(self, event: BridgePathEvent) -> None:
        """A path that came up may lead to news."""
        if event.kind is PathEventKind.UP:
            self._due.set()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                tell(self._listeners, await self.reconcile())
            except ExecutionBridgeError as problem:
                if is_final(problem):
                    _log.error("reconciliation ends: %s", problem)
                    return
                _log.warning("reconciliation: %s; it is tried again", problem)
                self._due.set()
            except Exception:  # a fault of ours must not end it for good, nor stop the client
                _log.exception("reconciliation failed")
            await asyncio.sleep(_PAUSE_S)

    async def reconcile(self) -> Reconciliation:
        """Compares once. Raises what the client's calls raise."""
        beliefs = self.beliefs = self.beliefs or Beliefs()
        listing = (await self._client.open_orders()).raise_for_rejection()
        if self._subscriptions:
            await self._wait_for_subscription(beliefs, listing.last_sequence)
        comparison = Comparison(beliefs, listing)
        if (begin := comparison.replay_from) is not None:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._replay_into(comparison, begin)
            except TimeoutError:
                _log.warning("reconciliation: the replay of updates did not end; the open orders are compared")
        for believed in comparison.to_look_up():
            comparison.looked_up(believed, await self._client.get_order(believed.order_id))
        return comparison.report()

    async def _replay_into(self, comparison: Comparison, begin: int) -> None:
        items = cast("Any", self._replay(begin))
        async with aclosing(items):
            async for item in items:
                if comparison.replayed(item):
                    return

    async def _wait_for_subscription(self, beliefs: Beliefs, sequence: int) -> None:
        ends_s = asyncio.get_running_loop().time() + _SUBSCRIBER_PATIENCE_S
        while self._subscriptions and (beliefs.position or 0) < sequence:
            if asyncio.get_running_loop().time() >= ends_s:
                return
            await asyncio.sleep(0.01)
