"""What both bridge clients know and say of themselves, without I/O: paths, counters, orders of unknown outcome."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fallback_grpc.failover.events import BridgePathListener, BridgeStatistics
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.outcome import Done, conclusion_of_batched, settled_replies
from fallback_grpc.resolution import DismissalListener, Dismissed, DoubtfulOrders
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Replied
from transport.contract.config import BridgeConfig
from transport.contract.errors import JournalMismatchError
from transport.contract.orders import Order
from transport.contract.path import PathEvent, PathListener, PathRefused
from transport.contract.replies import ExecuteReply, OrderReply, Path


class KnownPath(Protocol):
    """What is asked here of a path's client, of either kind."""

    @property
    def is_connected(self) -> bool: ...
    def bind_journal(self, journal_id: str) -> None: ...


class BridgeState(ABC):
    """For `ExecutionBridgeClient` and `BlockingExecutionBridgeClient`."""

    _config: BridgeConfig
    _board: Switchboard
    _doubtful: DoubtfulOrders

    @abstractmethod
    def _known_paths(self) -> Mapping[Path, KnownPath]: ...

    @property
    def account(self) -> str:
        """The account that this client trades for."""
        return self._config.account

    @property
    def journal_id(self) -> str:
        """The engine's journal that this client belongs to."""
        return self._board.journal_id

    @property
    def usable_paths(self) -> tuple[Path, ...]:
        """The paths that carry orders now, best first."""
        return self._board.usable

    @property
    def statistics(self) -> BridgeStatistics:
        """Counters since the client was made."""
        return self._board.statistics()

    def path_states(self) -> dict[str, dict[str, Any]]:
        """What is known of each path: usable, connected, breaker state, journal, reason."""
        return {path: self._board.describe(path) for path in self._known_paths()}

    def on_path_event(self, listener: BridgePathListener) -> None:
        """Calls `listener` at every transition of a path and of its breaker (`PathEventKind`).

        In the loop, or in the thread that noticed; it must not block.
        """
        self._board.add_listener(listener)

    @property
    def unresolved_orders(self) -> tuple[str, ...]:
        """Ids of the orders of unknown outcome that this client remembers, oldest first; `resolve` settles each."""
        return self._doubtful.ids()

    def dismiss(self, order_id: str) -> Dismissed:
        """Gives up an order of unknown outcome that the engine can tell nothing of any more: its id is too old.

        `unresolved_orders` names it no longer, and `on_dismissed` is told; nothing is sent. No order is ever dismissed
        by itself. Raises `ValidationError` for any other order: `resolve` that.
        """
        return self._doubtful.dismiss(order_id)

    def on_dismissed(self, listener: DismissalListener) -> None:
        """Calls `listener` with every order that `dismiss` gives up."""
        self._doubtful.on_dismissed(listener)

    def _heard_of(self, order: Order, reply: OrderReply) -> None:
        """An order was answered: it may be one in doubt, sent again by hand.

        That its id is too old by now does not tell what became of it, only that nothing more can be found out.
        """
        if reply.code == ReasonCode.ID_TOO_OLD:
            self._doubtful.forgotten(order.order_id)
        else:
            self._doubtful.discard(order.order_id)

    def _heard_of_batch(self, orders: Sequence[Order], done: Done[list[ExecuteReply]]) -> None:
        """As `_heard_of`, for each order of a batch; a refusal of one tells nothing of an earlier copy of it.

        What stays in doubt is remembered before anyone settles it: who reads a stream may leave before that.
        """
        if done.was_in_doubt:
            settled = settled_replies(done, refusals_are_final=True)
            self._doubtful.add(order for order, reply in zip(orders, settled, strict=True) if reply is None)
        if self._doubtful:
            for order, answer in zip(orders, done.reply, strict=True):
                if isinstance(conclusion_of_batched(answer), Replied):
                    self._heard_of(order, answer.reply)

    def _is_connected(self, path: Path) -> bool:
        return self._known_paths()[path].is_connected

    def _listener_of(self, path: Path) -> PathListener:
        def heard(event: PathEvent) -> None:
            self._board.path_event(path, event, time.monotonic_ns())

        return heard

    def _bind_journal(self) -> None:
        """Both paths accept only the engine that the better one found (invariant 12)."""
        for path, client in self._known_paths().items():
            try:
                client.bind_journal(self._board.journal_id)
            except JournalMismatchError as problem:
                refused = PathRefused(reason=str(problem), code=ReasonCode.JOURNAL_ID_MISMATCH)
                self._board.path_event(path, refused, time.monotonic_ns())
