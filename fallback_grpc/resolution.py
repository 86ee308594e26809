"""Orders of unknown outcome: what a bridge remembers of them, and what it says when it knows more."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from fallback_grpc.outcome import forgotten
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.errors import EngineSystemError, ValidationError, error_for_code
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderReply, Path

_log = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
"""Orders of unknown outcome that a client keeps; beyond that it forgets the oldest, and asks with a fence instead."""

_NOT_EXECUTED = (ExecutionStatus.REJECTED, ExecutionStatus.FAILED)


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order whose outcome was unknown. It is final: nothing of it is in doubt any more."""

    order_id: str
    reply: OrderReply | None = None
    """What `execute_order` would have returned: the engine's stored reply, a rejection too. None: fenced."""
    path: Path
    """The path that brought the answer."""
    resent: bool
    """The order was sent again under its id, so it may have executed only now; else the engine was asked."""

    @property
    def fenced(self) -> bool:
        """The order never executed and never will: what may still be on its way is rejected as `FENCED`."""
        return self.reply is None

    @property
    def executed(self) -> bool:
        """Whether the engine took the order: neither fenced nor rejected."""
        return self.reply is not None and self.reply.status not in _NOT_EXECUTED


class Dismissed(msgspec.Struct, frozen=True):
    """The caller has given up an order of unknown outcome that the engine can tell nothing of any more."""

    order: Order
    """As it was sent. What became of it, if anything, is in the journal's archive alone."""


DismissalListener = Callable[[Dismissed], None]
"""Called in the loop or thread that dismissed; must not block. What it raises is logged."""


class DoubtfulOrders:
    """The orders of unknown outcome of one client, as they were sent. Any thread."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._orders: OrderedDict[str, Order] = OrderedDict()
        self._forgotten: set[str] = set()
        self._listeners: list[DismissalListener] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._orders)

    def add(self, orders: Iterable[Order]) -> None:
        """Remembers these; the oldest are forgotten where there are too many."""
        with self._lock:
            for order in orders:
                self._orders.setdefault(order.order_id, order)  # the first content stands, as in the engine
            while len(self._orders) > self._most:
                self._forgotten.discard(self._orders.popitem(last=False)[0])

    def get(self, order_id: str) -> Order | None:
        """The order under this id, if it is remembered."""
        with self._lock:
            return self._orders.get(order_id)

    def discard(self, order_id: str) -> None:
        """Its outcome is known."""
        with self._lock:
            self._orders.pop(order_id, None)
            self._forgotten.discard(order_id)

    def forgotten(self, order_id: str) -> None:
        """The engine remembers the id no more: asking again tells no more, so it may be dismissed."""
        with self._lock:
            if order_id in self._orders:
                self._forgotten.add(order_id)

    def on_dismissed(self, listener: DismissalListener) -> None:
        """Tells `listener` of every dismissal from now on."""
        self._listeners.append(listener)

    def dismiss(self, order_id: str) -> Dismissed:
        """Gives an order up whose id the engine has forgotten, and says so. Raises `ValidationError` for any other."""
        with self._lock:
            if order_id not in self._forgotten:
                is_known = order_id in self._orders
                why = "its outcome may still be found out: resolve it" if is_known else "it is not remembered"
                raise ValidationError(f"dismiss: order {order_id}: {why}", field="order_id")
            self._forgotten.discard(order_id)
            dismissed = Dismissed(self._orders.pop(order_id))
        _log.warning("order %s is dismissed: what became of it is in the journal's archive alone", order_id)
        for listener in tuple(self._listeners):
            try:
                listener(dismissed)
            except Exception:  # the user's code must not stop the bridge
                _log.exception("a listener of dismissals failed on %s", order_id)
        return dismissed

    def ids(self) -> tuple[str, ...]:
        """Those that are remembered, oldest first."""
        with self._lock:
            return tuple(self._orders)


def resolution_of_query(order_id: str, answer: GetOrderReply, path: Path) -> Resolution:
    """What a fencing query came to. Raises the error of its code where the engine neither knows nor fenced the id.

    Raises `OutcomeUnknownError` where the engine remembers ids of that age no more: it says `fenced`, and that is true
    of copies to come alone.
    """
    if answer.found:
        return Resolution(order_id=order_id, reply=answer.reply or answer.order, path=path, resent=False)
    if answer.code == ReasonCode.ID_TOO_OLD:
        raise forgotten(order_id, (path,))
    if answer.fenced:
        return Resolution(order_id=order_id, path=path, resent=False)
    if answer.code == ReasonCode.NONE:
        raise EngineSystemError(f"order {order_id}: the engine neither knows the id nor says that it is fenced")
    raise error_for_code(answer.code, f"order {order_id}: {answer.message}", answer.field)
