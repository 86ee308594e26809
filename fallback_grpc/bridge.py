"""The bridge client for asyncio: both paths behind the contract's names, and the original's.

    client = ExecutionBridgeClient({"zmq_endpoint": "tcp://127.0.0.1:5555", "rust_endpoint": "127.0.0.1:50051"})
    await client.connect()
    reply = await client.execute_order_sync({"symbol": "NASDAQ", "order_type": "MARKET", "side": "BUY", "quantity": 1})

Use a client in the event loop it was connected in, from as many tasks as you like; not across `os.fork`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from fallback_grpc.asynchronous import GrpcClient
from fallback_grpc.asynchronous_calls import AsyncCalls
from fallback_grpc.bridge_health import BridgeHealth, bridge_health, stopped_health
from fallback_grpc.bridge_settings import (
    BridgeSettings,
    bridge_settings,
    check_one_engine,
    in_preference,
    plan_policy,
    probe_timeout_ms,
    switchboard_settings,
    why_nothing_connected,
)
from fallback_grpc.bridge_state import BridgeState, KnownPath
from fallback_grpc.failover.asynchronous import AsyncFailover
from fallback_grpc.failover.funnel import OrderFunnel
from fallback_grpc.failover.hedging import HedgeBudget
from fallback_grpc.failover.streams import AsyncStreams
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.order_stream import as_async
from fallback_grpc.original import order_from_dict, reply_to_dict
from fallback_grpc.outcome import Done, delivery_of, not_asked, subject_of_command, subject_of_orders
from fallback_grpc.reconciliation.asynchronous import AsyncReconciler
from fallback_grpc.reconciliation.report import ReconciliationListener
from fallback_grpc.resolution import Resolution
from fallback_grpc.resolving import AsyncResolver, refused_and_fenced
from transport.contract.client import AsyncPath
from transport.contract.codes import ExecutionStatus
from transport.contract.conclusions import Conclusion
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    ForkedProcessError,
    OutcomeUnknownError,
    WrongLoopError,
)
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReplies,
    Delivery,
    ExecuteReply,
    Health,
    MarketDataUpdate,
    OrderReply,
    OrderUpdate,
    Path,
    UpdateGap,
)
from transport.contract.requests import Command, HealthCheck, command_id_of
from transport.fastpath.asynchronous import FastPathClient

_log = logging.getLogger(__name__)


class ExecutionBridgeClient(BridgeState, AsyncCalls):
    """Orders over the fast path, over gRPC when that fails, each exactly once; see `transport.contract.client`."""

    def __init__(
        self,
        config: Mapping[str, Any] | BridgeConfig | BridgeSettings,
        *,
        paths: Mapping[Path, AsyncPath] | None = None,
    ) -> None:
        """A client that is not connected yet. A mapping that names `grpc_endpoint` (`rust_endpoint`) and no
        `zmq_endpoint` means gRPC alone; see `bridge_settings.bridge_settings`.

        `paths` replaces the clients of the two paths; tests do that.
        """
        self._settings = bridge_settings(config)
        self._config = self._settings.config
        make: dict[Path, Callable[[BridgeConfig], AsyncPath]] = {"zmq": FastPathClient, "grpc": GrpcClient}
        if paths is None:
            inner = self._settings.inner.config
            paths = {name: make[name](inner) for name in self._settings.paths}
        self._paths: dict[Path, AsyncPath] = dict(paths)
        self._board = Switchboard(in_preference(self._paths, self._config), switchboard_settings(self._config))
        self._failover = AsyncFailover(self._board, plan_policy(self._config), HedgeBudget(self._config.hedge_share))
        self._streams = AsyncStreams(self._board, self._failover.gate, self._paths, self._config.connect_timeout_ms)
        self._reconciler = AsyncReconciler(self, lambda after: self._streams.updates(after, True))
        self._board.add_listener(self._reconciler.path_changed)
        self._funnels = {path: OrderFunnel(client) for path, client in self._paths.items() if path == "grpc"}
        self._resolver = AsyncResolver(self._resend, self._command)
        self._doubtful = self._resolver.doubtful
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        for name, client in self._paths.items():
            client.add_listener(self._listener_of(name))

    # ---- life ----

    async def connect(self) -> None:
        """Connects both paths and checks the engine's health. Succeeds if at least one path is up.

        Raises what the better path failed with, and `JournalMismatchError` if both endpoints were given and two
        engines answer there. A client that did not connect is closed, also when this is cancelled.
        """
        self._check_alive(connecting=True)
        if self._loop is not None:
            self._check_alive()
            return
        self._loop = asyncio.get_running_loop()
        try:
            await self._open_paths()
            self._failover.start_probing(self._paths, probe_timeout_ms(self._config))
            await self._command(HealthCheck(), self._config.call_timeout_ms)
            await self._set_lease()
            self._reconciler.start()
        except BaseException:
            await self.close()
            raise

    async def _open_paths(self) -> None:
        results = await asyncio.gather(*(client.connect() for client in self._paths.values()), return_exceptions=True)
        failures = dict(zip(self._paths, results, strict=True))
        for path, failure in failures.items():
            if isinstance(failure, BaseException) and not isinstance(failure, ExecutionBridgeError):
                raise failure
            if failure is not None:
                _log.warning("path %s did not connect: %s", path, failure)
        self._board.settle(time.monotonic_ns())
        check_one_engine(self._settings, self.path_states())
        if not self._board.usable:
            self._board.raise_if_stopped()
            raise why_nothing_connected(failures)
        self._bind_journal()

    async def close(self) -> None:
        """Ends probing and streams and closes both paths. Calls in flight end as unknown, at once.

        Readers of streams get `ClientClosedError`. In a child process it does nothing. Raises `WrongLoopError` in
        another loop than the one it was connected in, and leaves the client as it was.
        """
        if self._closed or os.getpid() != self._process:
            return
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise WrongLoopError("this client belongs to another event loop: close it there")
        self._closed = True
        self._board.stop(ClientClosedError("the client is closed"), time.monotonic_ns())
        await self._reconciler.stop()
        await self._failover.stop()
        await asyncio.gather(*(client.close() for client in self._paths.values()), return_exceptions=True)

    async def __aenter__(self) -> ExecutionBridgeClient:
        if self._loop is None:
            await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- orders, one by one ----

    async def execute_order(
        self, order: Order, *, timeout_ms: float | None = None, hedge: bool | None = None
    ) -> OrderReply:
        """Executes one order. A rejection is a reply; see `transport.contract.errors` for what is raised.

        `hedge`: whether it may go by both paths, the first reply ending the call: True, after `hedge_after_us` (0: at
        once), within `hedge_share` of this client's orders; False, no; None, if `hedge_after_us` is above 0.
        """
        return (await self._order(order, self._timeout(timeout_ms), hedge=hedge)).reply

    async def deliver_order(
        self, order: Order, *, timeout_ms: float | None = None, hedge: bool | None = None
    ) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, duplicate."""
        return delivery_of(await self._order(order, self._timeout(timeout_ms), hedge=hedge))

    # ---- the original's names ----

    async def execute_order_sync(self, trade_order: Mapping[str, Any]) -> dict[str, Any]:
        """Executes one order given as a dictionary; see `fallback_grpc.original` for keys and values."""
        order = order_from_dict(trade_order, self._config.account)
        delivery = await self.deliver_order(order)
        return reply_to_dict(delivery.reply, delivery)

    async def execute_orders_batch(
        self, orders: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
    ) -> AsyncIterator[dict[str, Any]]:
        """Streams orders given as dictionaries; replies in their order (see `execute_batch_orders`)."""

        async def typed() -> AsyncIterator[Order]:
            async for fields in as_async(orders):
                yield order_from_dict(fields, self._config.account)

        async for reply in self.execute_batch_orders(typed()):
            yield reply_to_dict(reply)

    async def health_check(self, *, timeout_ms: float | None = None) -> BridgeHealth:
        """The engine's health by the best path, and the state of each path in `checks`.

        Once the engine's state went back it is not asked any more: NOT_SERVING, and `message` says why.
        """
        self._check_alive()
        if self._board.stopped is not None:
            return stopped_health(self._board.stopped, self._board.journal_id, self.path_states())
        done = await self._command(HealthCheck(), self._timeout(timeout_ms))
        return bridge_health(cast("Health", done.reply), self.path_states(), done.path)

    async def resolve(self, order_id: str, *, timeout_ms: float | None = None) -> Resolution:
        """Finds out what became of an order whose call ended in `OutcomeUnknownError`, or was cancelled.

        This client remembers such orders (`resolution.MOST_REMEMBERED` of them) and sends the same order again under
        its id: it executes once, and `expires_at` still holds. An id that it does not remember is asked for with a
        fence: found, or it never will be executed. Waits for a path where none is alive. Several tasks that resolve
        one id at once share one resolution and its answer. Raises `OutcomeUnknownError` where the time did not
        suffice: the order stays remembered.
        """
        self._check_alive()
        return await self._resolver.resolve(order_id, self._config.account, self._timeout(timeout_ms))

    # ---- streams ----

    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]:
        """The market of some symbols, or of all: by PUB/SUB, by gRPC while the fast path is down."""
        self._check_alive()
        return self._streams.market_data(symbols)

    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> AsyncIterator[OrderUpdate | UpdateGap]:
        """Every update of the account once and in order, across reconnects and failover.

        The subscription begins when the first item is awaited; give `resume_from` to miss nothing before that.
        """
        self._check_alive()
        return self._reconciler.following(self._streams.updates(resume_from, accept_gaps))

    # ---- what is known ----

    def prefer(self, path: Path) -> None:
        """Calls take this path first from now on, whenever it is up; no connection is touched.

        Raises `ValidationError` for a path that this client has not.
        """
        self._board.prefer(path, time.monotonic_ns())

    def on_reconciled(self, listener: ReconciliationListener, *, since: int | None = None) -> None:
        """Compares open orders and missed updates with the engine's at every (re)connection, and tells `listener`.

        `since`: the account's last update that your program has dealt with (of an earlier run); what came after it is
        reported. What a subscription of this client brings is not reported, and what a call under way is about to say
        may be. Begins at once; before that it costs nothing.
        """
        self._reconciler.listen(listener, since)
        if self._loop is not None and not self._closed:
            self._reconciler.start()

    @property
    def last_sequence(self) -> int | None:
        """The account's last update up to which all has been heard of or reconciled; None before `on_reconciled`."""
        beliefs = self._reconciler.beliefs
        return None if beliefs is None else beliefs.position

    # ---- the three primitives ----

    async def _order(
        self, order: Order, timeout_ms: float, *, in_doubt: bool = False, hedge: bool | None = None
    ) -> Done[OrderReply]:
        try:
            done = await self._send_order(order, timeout_ms, in_doubt=in_doubt, hedge=hedge)
        except OutcomeUnknownError as unknown:
            self._doubtful.add((order,))
            resolution = await self._resolver.fence_refused(order, unknown, timeout_ms)
            if resolution.reply is None:
                raise refused_and_fenced(order, unknown) from unknown
            return Done(resolution.reply, resolution.path, unknown.copies, True, 0, True)
        except ExecutionBridgeError:
            raise
        except BaseException:  # the caller was cancelled: the order may be on its way
            self._doubtful.add((order,))
            raise
        if self._doubtful:
            self._heard_of(order, done.reply)
        return done

    async def _resend(self, order: Order, timeout_ms: float) -> Done[OrderReply]:
        return await self._send_order(order, timeout_ms, in_doubt=True, in_time=True)

    async def _send_order(
        self,
        order: Order,
        timeout_ms: float,
        *,
        in_doubt: bool = False,
        in_time: bool = False,
        hedge: bool | None = None,
    ) -> Done[OrderReply]:
        def attempt(path: Path, copy_ms: float) -> Any:
            return self._funnels.get(path, self._paths[path]).attempt_order(order, copy_ms)

        try:
            self._check_alive()
        except ExecutionBridgeError as problem:
            if in_doubt:  # that this copy was not sent says nothing of the earlier one
                raise not_asked(order, problem) from problem
            raise
        done = await self._failover.call(
            attempt,
            self._is_connected,
            lambda: subject_of_orders((order,)),
            timeout_ms,
            orders=1,
            in_doubt=in_doubt,
            in_time=in_time,
            hedge=hedge,
        )
        if (beliefs := self._reconciler.beliefs) is not None:
            beliefs.replied(done.reply)
        return done

    async def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]:
        def attempt(path: Path, copy_ms: float) -> Any:
            return self._paths[path].attempt_batch(orders, copy_ms)

        self._check_alive()
        try:
            done = await self._failover.call(
                attempt, self._is_connected, lambda: subject_of_orders(orders), timeout_ms, orders=len(orders)
            )
        except ExecutionBridgeError as problem:
            if isinstance(problem, OutcomeUnknownError):
                self._doubtful.add(orders)
            raise
        except BaseException:
            self._doubtful.add(orders)
            raise
        self._heard_of_batch(orders, done)
        for answer in done.reply:
            self._reconciler.replied(answer.reply)
        return done

    def _left_unread(self, orders: Sequence[Order], replies: Sequence[OrderReply | None]) -> None:
        # A refused one had no effect, and sending it again by `resolve` could give it one.
        self._doubtful.add(
            order
            for order, reply in zip(orders, replies, strict=True)
            if reply is not None and not (reply.status == ExecutionStatus.FAILED and reply.code.is_refusal)
        )

    async def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]:
        async def attempt(path: Path, copy_ms: float) -> Conclusion[CommandReplies]:
            return await self._paths[path].attempt(command, copy_ms)

        self._check_alive()
        done = await self._failover.call(
            attempt,
            self._is_connected,
            lambda: subject_of_command(command),
            timeout_ms,
            in_time=not command_id_of(command),  # a query changes nothing: nothing is left to be found out
        )
        self._reconciler.replied_to_command(done.reply)
        return done

    # ---- inside ----

    def _known_paths(self) -> Mapping[Path, KnownPath]:
        return self._paths

    def _check_alive(self, *, connecting: bool = False) -> None:
        if os.getpid() != self._process:
            raise ForkedProcessError(
                f"this client was made in process {self._process}; make one of its own in process {os.getpid()}"
            )
        if self._closed:
            raise ClientClosedError("the client is closed; nothing was sent")
        if not connecting:
            if self._loop is None:
                raise ClientClosedError("the client is not connected: await connect() first; nothing was sent")
            if self._loop is not asyncio.get_running_loop():
                raise WrongLoopError("this client belongs to another event loop: make one client per loop")
