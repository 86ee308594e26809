"""Reconciliation for threads: in a daemon thread of its own, which exists once somebody listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator

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

_PAUSE_S = 0.25
_STOP_S = 5.0


class BlockingReconciler:
    """As `AsyncReconciler`. Replies come from the threads that call; the comparison from one of its own."""

    def __init__(
        self,
        open_orders: Callable[[], OpenOrders],
        get_order: Callable[[str], GetOrderReply],
        replay: Callable[[int], Generator[OrderUpdate | UpdateGap, None, None]],
    ) -> None:
        self._open_orders = open_orders
        self._get_order = get_order
        self._replay = replay
        self._listeners: list[ReconciliationListener] = []
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.beliefs: Beliefs | None = None
        """None: nobody listens."""

    def listen(self, listener: ReconciliationListener, since: int | None) -> None:
        """Reconciles from now on; `since`: the account's last update that the program has dealt with."""
        if self.beliefs is None:
            self.beliefs = Beliefs(since)
        with self._lock:
            if self.beliefs.position is None:
                self.beliefs.position = since
        self._listeners.append(listener)

    def replied(self, reply: OrderReply) -> None:
        """Takes news of an order; any thread."""
        if self.beliefs is not None:
            with self._lock:
                self.beliefs.replied(reply)

    def replied_to_command(self, reply: CommandReplies) -> None:
        """Takes what a cancel or a replace left of its order; any thread."""
        if isinstance(reply, OrderCommandReply) and reply.order is not None:
            self.replied(reply.order)

    def start(self) -> None:
        """The client is connected: compares, if somebody listens."""
        if self.beliefs is None:
            return
        self._due.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reconciliation", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends it, once the client's calls have ended."""
        self._stopped.set()
        self._due.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def path_changed(self, event: BridgePathEvent) -> None:
        """A path that came up may lead to news."""
        if event.kind is PathEventKind.UP:
            self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopped.is_set():
                return
            try:
                tell(self._listeners, self.reconcile())
            except ExecutionBridgeError as problem:
                if self._stopped.is_set():
                    return
                if is_final(problem):
                    _log.error("reconciliation ends: %s", problem)
                    return
                _log.warning("reconciliation: %s; it is tried again", problem)
                self._due.set()
            except Exception:  # a fault of ours must not end it for good, nor stop the client
                _log.exception("reconciliation failed")
            self._stopped.wait(_PAUSE_S)

    def reconcile(self) -> Reconciliation:
        """Compares once. Raises what the client's calls raise."""
        beliefs = self.beliefs = self.beliefs or Beliefs()
        listing = self._open_orders().raise_for_rejection()
        with self._lock:
            comparison = Comparison(beliefs, listing)
        if (begin := comparison.replay_from) is not None:
            items = self._replay(begin)
            try:
                for item in items:
                    with self._lock:
                        if comparison.replayed(item):
                            break
            finally:
                items.close()
        with self._lock:
            wanted = comparison.to_look_up()
        for believed in wanted:
            found = self._get_order(believed.order_id)
            with self._lock:
                comparison.looked_up(believed, found)
        with self._lock:
            return comparison.report()
