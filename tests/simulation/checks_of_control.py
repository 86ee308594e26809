"""Checks of limits, trading state and cancel on disconnect, against the journal and the books of the machines.

The limits that stand are those that clients say they set, from the record on in which the journal has their command.
What is asked is less than what the engine asks: legs, positions and collars are not reckoned here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tests.simulation.facts import (
    Ended,
    Executed,
    Fact,
    LeaseExpired,
    LeaseTaken,
    LimitsSet,
    Opened,
    Resized,
    StateSet,
)
from tests.simulation.history import History
from transport.contract.requests import RiskLimits

_SLACK_NS: Final = 50_000_000
"""A lease may expire so much later than its grace."""


class _Open:
    """Which orders are open, as the records go by."""

    def __init__(self) -> None:
        self.orders: dict[str, Opened] = {}
        self._left: dict[str, Decimal] = {}

    def take(self, fact: Fact) -> None:
        if isinstance(fact, Opened):
            self.orders[fact.order_id] = fact
            self._left[fact.order_id] = fact.quantity
        elif isinstance(fact, Ended):
            self.orders.pop(fact.order_id, None)
        elif isinstance(fact, Executed | Resized) and fact.order_id in self.orders:
            if isinstance(fact, Resized):
                before = self.orders[fact.order_id]
                self.orders[fact.order_id] = before._replace(quantity=fact.quantity)
                self._left[fact.order_id] += fact.quantity - before.quantity
            else:
                self._left[fact.order_id] -= fact.quantity
            if self._left[fact.order_id] <= 0:
                del self.orders[fact.order_id]


class _Limits:
    """Those that stand."""

    def __init__(self) -> None:
        self._set: dict[str, RiskLimits] = {}
        self._tokens: Decimal | None = None
        self._at_ns = 0

    def replace(self, fact: LimitsSet, limits: RiskLimits) -> None:
        self._set[fact.symbol] = limits
        if not fact.symbol:
            self._tokens, self._at_ns = None, fact.time_ns

    def of(self, symbol: str, name: str) -> Any:
        own = self._set.get(symbol)
        value = getattr(own, name) if own is not None else None
        account = self._set.get("")
        return getattr(account, name) if value is None and account is not None else value

    def broken_by(self, order: Opened, others: int) -> Iterator[str]:
        """What an order breaks that comes to so many open ones of its symbol."""
        most: Decimal | None = self.of(order.symbol, "max_order_quantity")
        if most is not None and order.quantity > most:
            yield f"its quantity {order.quantity} is above {most}"
        notional: Decimal | None = self.of(order.symbol, "max_order_notional")
        if notional is not None and order.order_type == "LIMIT" and order.price is not None:
            worth = order.price * order.quantity
            if worth > notional:
                yield f"it comes to {worth}, above {notional}"
        most_open: int | None = self.of(order.symbol, "max_open_orders")
        if most_open is not None and order.may_rest and others >= most_open:
            yield f"{others} orders were open, and {most_open} may be"
        if self._overdraws(order.time_ns):
            yield "too many came at once"

    def _overdraws(self, now_ns: int) -> bool:
        """Takes a token. The bucket was not fuller than full when it was given."""
        rate: int | None = self.of("", "orders_per_second")
        if rate is None:
            return False
        burst = self.of("", "order_burst") or rate
        tokens = Decimal(burst) if self._tokens is None else self._tokens
        passed = Decimal(max(now_ns - self._at_ns, 0)) / 10**9
        self._tokens = min(Decimal(burst), tokens + rate * passed) - 1
        self._at_ns = now_ns
        return self._tokens < Decimal("-0.000001")


def no_order_is_taken_beyond_a_limit(history: History) -> Iterator[str]:
    """Limits hold from the record of their command on, across every crash and start."""
    given = {each.command_id: each.limits for each in history.ledger.commands if each.limits is not None}
    limits, books = _Limits(), _Open()
    for fact in history.journal.control:
        if isinstance(fact, LimitsSet):
            if fact.command_id in given:
                limits.replace(fact, given[fact.command_id])
            else:
                yield f"record {fact.record} sets limits that no client gave ({fact.command_id})"
        elif isinstance(fact, Opened):
            others = sum(each.symbol == fact.symbol for each in books.orders.values())
            for problem in limits.broken_by(fact, others):
                yield f"order {fact.order_id} was taken in record {fact.record}: {problem}"
        books.take(fact)


def a_halted_account_takes_no_orders(history: History) -> Iterator[str]:
    """HALTED is HALTED until another state is set; what it cancels is over (the embedded exchange obeys at once)."""
    state, books = "ACTIVE", _Open()
    swept = 0
    for fact in history.journal.control:
        if swept and fact.record > swept:
            if books.orders:
                yield f"{len(books.orders)} orders are open after record {swept}, which halts and cancels"
            swept = 0
        if isinstance(fact, StateSet):
            state = fact.state
            if fact.cancels and history.settings.venue == "embedded":
                swept = fact.record
        elif isinstance(fact, Opened) and state == "HALTED":
            yield f"order {fact.order_id} was taken in record {fact.record} by an account that is HALTED"
        books.take(fact)


def leases_expire_for_who_is_gone(history: History) -> Iterator[str]:
    """A lease expires for who had no connection on either path for the whole grace, and for nobody else."""
    graces: dict[str, int | None] = {}
    expired: set[str] = set()
    for fact in history.journal.control:
        if isinstance(fact, LeaseTaken):
            graces[fact.session_id] = fact.grace_ms
        elif isinstance(fact, LeaseExpired):
            expired.add(fact.session_id)
            yield from _was_gone(history, fact, graces.get(fact.session_id))
    end = history.at_the_end
    for session_id, grace_ms in graces.items():
        if grace_ms is None or session_id in expired or session_id in end.connected:
            continue
        alone_ns = end.alone_ns.get(session_id, end.up_ns)
        if alone_ns > grace_ms * 1_000_000 + _SLACK_NS:
            yield f"{session_id} has been gone for {alone_ns / 1e6:.0f} ms, its lease of {grace_ms} ms stands"


def _was_gone(history: History, fact: LeaseExpired, grace_ms: int | None) -> Iterator[str]:
    told = f"the lease of {fact.session_id} expired in record {fact.record}"
    look = history.lease_looks.get(fact.record)
    if grace_ms is None or look is None:
        yield f"{told}: it has none" if grace_ms is None else f"{told}: nobody looked at it"
        return
    # Who is refused because the engine has forgotten stands at its door without being let in.
    if fact.session_id in look.connected and not history.loud:
        yield f"{told}, and it was connected"
    alone_ns = min(look.alone_ns.get(fact.session_id, look.up_ns), look.up_ns)
    if alone_ns < grace_ms * 1_000_000 and not history.loud:
        yield f"{told} after {alone_ns / 1e6:.3f} ms, before its grace of {grace_ms} ms"


def nothing_stays_open_of_who_is_gone(history: History) -> Iterator[str]:
    """When a lease has expired no order of its session is open that was entered under it."""
    leased: dict[str, int] = {}
    books = _Open()
    due: list[tuple[LeaseExpired, list[str]]] = []
    for fact in history.journal.control:
        books.take(fact)
        if isinstance(fact, LeaseTaken):
            if fact.grace_ms is None:
                leased.pop(fact.session_id, None)
            else:
                leased.setdefault(fact.session_id, fact.record)
        elif isinstance(fact, LeaseExpired) and fact.session_id in leased:
            since = leased[fact.session_id]
            entered = [
                each.order_id
                for each in books.orders.values()
                if each.session_id == fact.session_id and each.record > since
            ]
            due.append((fact, entered))
    for fact, entered in due:
        for order_id in entered:
            if order_id in books.orders:
                yield f"order {order_id} is open, and the lease of {fact.session_id} expired in record {fact.record}"


CONTROL_CHECKS: Final[tuple[Callable[[History], Iterator[str]], ...]] = (
    no_order_is_taken_beyond_a_limit,
    a_halted_account_takes_no_orders,
    leases_expire_for_who_is_gone,
    nothing_stays_open_of_who_is_gone,
)
