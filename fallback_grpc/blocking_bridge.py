"""The bridge client for threads: both paths behind the contract's names.

Any number of threads may use one client; the calling thread does the fast path's I/O itself. Two daemon threads
probe the paths. Iterators belong to the thread that reads them. Not across `os.fork`: the child makes its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, cast

from fallback_grpc.background import BackgroundStreams
from fallback_grpc.blocking import BlockingGrpcClient
from fallback_grpc.blocking_calls import BlockingCalls
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
from fallback_grpc.failover.blocking import BlockingFailover
from fallback_grpc.failover.blocking_hedge import OwnCopy
from fallback_grpc.failover.hedging import HedgeBudget
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.original import order_from_dict, reply_to_dict
from fallback_grpc.outcome import Done, delivery_of, not_asked, subject_of_command, subject_of_orders
from fallback_grpc.reconciliation.blocking import BlockingReconciler
from fallback_grpc.reconciliation.report import ReconciliationListener
from fallback_grpc.resolution import Resolution
from fallback_grpc.resolving import BlockingResolver, refused_and_fenced
from transport.contract.client import BlockingPath
from transport.contract.conclusions import Conclusion, NotSent
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    ForkedProcessError,
    OutcomeUnknownError,
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
from transport.fastpath.blocking import BlockingFastPathClient

_log = logging.getLogger(__name__)

# Calls on gRPC at once; more threads than this wait their turn, so that a failover of all does not swamp the path.
_MOST_ON_GRPC = 32

ReplyT = TypeVar("ReplyT")


class BlockingExecutionBridgeClient(BridgeState, BlockingCalls):
    """`ExecutionBridgeClient`, for threads; see `transport.contract.client` for the contract."""

    def __init__(
        self,
        config: Mapping[str, Any] | BridgeConfig | BridgeSettings,
        *,
        paths: Mapping[Path, BlockingPath] | None = None,
    ) -> None:
        """As for `ExecutionBridgeClient`."""
        self._settings = bridge_settings(config)
        self._config = self._settings.config
        make: dict[Path, Callable[[BridgeConfig], BlockingPath]] = {
            "zmq": BlockingFastPathClient, "grpc": BlockingGrpcClient
        }  # fmt: skip
        if paths is None:
            inner = self._settings.inner.config
            paths = {name: make[name](inner) for name in self._settings.paths}
        self._paths: dict[Path, BlockingPath] = dict(paths)
        self._board = Switchboard(in_preference(self._paths, self._config), switchboard_settings(self._config))
        self._failover = BlockingFailover(self._board, plan_policy(self._config), HedgeBudget(self._config.hedge_share))
        self._streams = BackgroundStreams(
            self._settings.inner,
            lambda: self._board.journal_id,
            lambda event: self._board.state_regressed(event.path, event.reason, event.at_ns),
        )
        self._reconciler = BlockingReconciler(
            self.open_orders,
            self.get_order,
            lambda after: self._streams.open(lambda client: client.subscribe_order_updates(resume_from=after)),
        )
        self._board.add_listener(self._reconciler.path_changed)
        self._grpc_room = threading.BoundedSemaphore(_MOST_ON_GRPC)
        self._resolver = BlockingResolver(self._resend, self._command)
        self._doubtful = self._resolver.doubtful
        self._process = os.getpid()
        self._connected = self._closed = False
        for name, client in self._paths.items():
            client.add_listener(self._listener_of(name))

    # ---- life ----

    def connect(self) -> None:
        """Connects both paths and checks the engine's health. Succeeds if at least one path is up.

        Raises what the better path failed with, and `JournalMismatchError` if both endpoints were given and two
        engines answer there. A client that did not connect is closed.
        """
        self._check_alive(connecting=True)
        if self._connected:
            return
        try:
            self._open_paths()
            self._connected = True
            self._failover.start_probing(self._paths, probe_timeout_ms(self._config))
            self._command(HealthCheck(), self._config.call_timeout_ms)
            self._set_lease()
            self._reconciler.start()
        except BaseException:
            self.close()
            raise

    def _open_paths(self) -> None:
        with ThreadPoolExecutor(len(self._paths), "bridge-connect") as pool:
            running = [pool.submit(client.connect) for client in self._paths.values()]
        failures = dict(zip(self._paths, (attempt.exception() for attempt in running), strict=True))
        for path, failure in failures.items():
            if failure is not None and not isinstance(failure, ExecutionBridgeError):
                raise failure
            if failure is not None:
                _log.warning("path %s did not connect: %s", path, failure)
        self._board.settle(time.monotonic_ns())
        check_one_engine(self._settings, self.path_states())
        if not self._board.usable:
            self._board.raise_if_stopped()
            raise why_nothing_connected(failures)
        self._bind_journal()

    def close(self) -> None:
        """Ends probing and streams, and closes both paths. Calls in flight end as unknown, at once."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() != self._process:
            return  # what is open belongs to the parent
        self._board.stop(ClientClosedError("the client is closed"), time.monotonic_ns())
        self._streams.close()
        self._failover.stop(probe_timeout_ms(self._config) / 1_000)
        for client in self._paths.values():
            client.close()
        self._reconciler.stop()

    def __enter__(self) -> Self:
        if not self._connected:
            self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- orders, one by one ----

    def execute_order(self, order: Order, *, timeout_ms: float | None = None, hedge: bool | None = None) -> OrderReply:
        """Executes one order. A rejection is a reply; see `transport.contract.errors` for what is raised.

        `hedge`: whether it may go by both paths, the first reply ending the call: True, after `hedge_after_us` (0: at
        once), within `hedge_share` of this client's orders; False, no; None, if `hedge_after_us` is above 0.
        """
        return (self._order(order, self._timeout(timeout_ms), hedge=hedge)).reply

    def deliver_order(self, order: Order, *, timeout_ms: float | None = None, hedge: bool | None = None) -> Delivery:
        """As `execute_order`, with the envelope: path, correlation, attempts, duplicate."""
        return delivery_of(self._order(order, self._timeout(timeout_ms), hedge=hedge))

    # ---- the original's names ----

    def execute_order_sync(self, trade_order: Mapping[str, Any]) -> dict[str, Any]:
        """Executes one order given as a dictionary; see `fallback_grpc.original` for keys and values."""
        delivery = self.deliver_order(order_from_dict(trade_order, self._config.account))
        return reply_to_dict(delivery.reply, delivery)

    def execute_orders_batch(self, orders: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Streams orders given as dictionaries; replies in their order (see `execute_batch_orders`)."""
        typed = (order_from_dict(fields, self._config.account) for fields in orders)
        for reply in self.execute_batch_orders(typed):
            yield reply_to_dict(reply)

    def health_check(self, *, timeout_ms: float | None = None) -> BridgeHealth:
        """The engine's health by the best path, and the state of each path in `checks`.

        Once the engine's state went back it is not asked any more: NOT_SERVING, and `message` says why.
        """
        self._check_alive()
        if self._board.stopped is not None:
            return stopped_health(self._board.stopped, self._board.journal_id, self.path_states())
        done = self._command(HealthCheck(), self._timeout(timeout_ms))
        return bridge_health(cast("Health", done.reply), self.path_states(), done.path)

    def resolve(self, order_id: str, *, timeout_ms: float | None = None) -> Resolution:
        """Finds out what became of an order whose call ended in `OutcomeUnknownError`, or was interrupted.

        This client remembers such orders (`resolution.MOST_REMEMBERED` of them) and sends the same order again under
        its id: it executes once, and `expires_at` still holds. An id that it does not remember is asked for with a
        fence: found, or it never will be executed. Waits for a path where none is alive. Several threads that resolve
        one id at once share one resolution and its answer. Raises `OutcomeUnknownError` where the time did not
        suffice: the order stays remembered.
        """
        self._check_alive()
        return self._resolver.resolve(order_id, self._config.account, self._timeout(timeout_ms))

    # ---- streams ----

    def stream_market_data(self, symbols: Sequence[str] = ()) -> Iterator[MarketDataUpdate]:
        """The market of some symbols, or of all: by PUB/SUB, by gRPC while the fast path is down."""
        self._check_alive()
        return self._streams.open(lambda client: client.stream_market_data(symbols))

    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> Iterator[OrderUpdate | UpdateGap]:
        """Every update of the account once and in order, across reconnects and failover.

        The subscription begins now, in the background; give `resume_from` to miss nothing.
        """
        self._check_alive()
        return self._streams.open(
            lambda client: client.subscribe_order_updates(resume_from=resume_from, accept_gaps=accept_gaps)
        )

    # ---- what is known ----

    def prefer(self, path: Path) -> None:
        """Calls take this path first from now on, whenever it is up; no connection is touched.

        Raises `ValidationError` for a path that this client has not.
        """
        self._board.prefer(path, time.monotonic_ns())
        self._streams.prefer(path)

    def on_reconciled(self, listener: ReconciliationListener, *, since: int | None = None) -> None:
        """As for `ExecutionBridgeClient`; called in a thread of its own. What a subscription brings is reported too."""
        self._reconciler.listen(listener, since)
        if self._connected and not self._closed:
            self._reconciler.start()

    @property
    def last_sequence(self) -> int | None:
        """As for `ExecutionBridgeClient`."""
        beliefs = self._reconciler.beliefs
        return None if beliefs is None else beliefs.position

    # ---- the three primitives ----

    def _order(
        self, order: Order, timeout_ms: float, *, in_doubt: bool = False, hedge: bool | None = None
    ) -> Done[OrderReply]:
        try:
            done = self._send_order(order, timeout_ms, in_doubt=in_doubt, hedge=hedge)
        except OutcomeUnknownError as unknown:
            self._doubtful.add((order,))
            resolution = self._resolver.fence_refused(order, unknown, timeout_ms)
            if resolution.reply is None:
                raise refused_and_fenced(order, unknown) from unknown
            return Done(resolution.reply, resolution.path, unknown.copies, True, 0, True)
        except ExecutionBridgeError:
            raise
        except BaseException:  # the caller was interrupted: the order may be on its way
            self._doubtful.add((order,))
            raise
        if self._doubtful:
            self._heard_of(order, done.reply)
        return done

    def _resend(self, order: Order, timeout_ms: float) -> Done[OrderReply]:
        return self._send_order(order, timeout_ms, in_doubt=True, in_time=True)

    def _send_order(
        self,
        order: Order,
        timeout_ms: float,
        *,
        in_doubt: bool = False,
        in_time: bool = False,
        hedge: bool | None = None,
    ) -> Done[OrderReply]:
        def attempt(path: Path, copy_ms: float) -> Conclusion[OrderReply]:
            if path == "grpc":
                return self._on_grpc(lambda left_ms: self._paths[path].attempt_order(order, left_ms), copy_ms)
            return self._paths[path].attempt_order(order, copy_ms)

        def begin(path: Path, copy_ms: float) -> OwnCopy[OrderReply] | None:
            client = self._paths[path]
            return client.begin_order(order, copy_ms) if isinstance(client, BlockingFastPathClient) else None

        try:
            self._check_alive()
        except ExecutionBridgeError as problem:
            if in_doubt:  # that this copy was not sent says nothing of the earlier one
                raise not_asked(order, problem) from problem
            raise
        done = self._failover.call(
            attempt,
            self._is_connected,
            lambda: subject_of_orders((order,)),
            timeout_ms,
            orders=1,
            in_doubt=in_doubt,
            in_time=in_time,
            begin=begin,
            hedge=hedge,
        )
        self._reconciler.replied(done.reply)
        return done

    def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]:
        def attempt(path: Path, copy_ms: float) -> Conclusion[list[ExecuteReply]]:
            return self._paths[path].attempt_batch(orders, copy_ms)

        self._check_alive()
        try:
            done = self._failover.call(
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

    def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]:
        def attempt(path: Path, copy_ms: float) -> Conclusion[CommandReplies]:
            return self._paths[path].attempt(command, copy_ms)

        self._check_alive()
        done = self._failover.call(
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

    def _on_grpc(self, attempt: Callable[[float], Conclusion[ReplyT]], copy_ms: float) -> Conclusion[ReplyT]:
        began_ns = time.monotonic_ns()
        if not self._grpc_room.acquire(timeout=copy_ms / 1_000):
            return NotSent("too many threads waited for gRPC")
        try:
            return attempt(copy_ms - (time.monotonic_ns() - began_ns) / 1_000_000)
        finally:
            self._grpc_room.release()

    def _check_alive(self, *, connecting: bool = False) -> None:
        if os.getpid() != self._process:
            raise ForkedProcessError(
                f"this client was made in process {self._process}; make one of its own in process {os.getpid()}"
            )
        if self._closed:
            raise ClientClosedError("the client is closed; nothing was sent")
        if not connecting and not self._connected:
            raise ClientClosedError("the client is not connected: connect() first; nothing was sent")
