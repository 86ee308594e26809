"""The exchange: nothing twice, nothing beyond its quantity or its time, and the account told of exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tests.chaos.checker.books import Books
from tests.chaos.checker.differences import Difference, DifferenceKind


def check_exchange(books: Books) -> Iterator[Difference]:
    """What the journal says that was done, by itself."""
    journal = books.journal
    for book, kind in (
        (journal.admitted, DifferenceKind.EXECUTED_TWICE),
        (journal.opened, DifferenceKind.OPENED_TWICE),
    ):
        yield from (Difference(kind, "journal", f"{key}: {count} times") for key, count in book.items() if count > 1)
    for order_id, fills in journal.traded.items():
        if len({fill.execution_id for fill in fills}) < len(fills):
            yield Difference(DifferenceKind.FILLED_TWICE, "journal", f"{order_id}: {fills}")
        executed = sum((fill.quantity for fill in fills), Decimal(0))
        if executed > journal.largest_quantity.get(order_id, Decimal(0)):
            yield Difference(DifferenceKind.OVERFILLED, "journal", f"{order_id}: {executed}")
    for order_id in set(journal.told) | set(journal.traded):
        if sorted(journal.told.get(order_id, ())) != sorted(journal.traded.get(order_id, ())):
            yield Difference(DifferenceKind.FILLS_DIFFER, "journal", order_id)
    for order_id, at_ns in journal.taken_at_ns.items():
        expires_at_ns = journal.contents[order_id][-1]
        if expires_at_ns is not None and at_ns >= expires_at_ns:
            late_ms = (at_ns - expires_at_ns) / 1e6
            yield Difference(DifferenceKind.EXECUTED_EXPIRED, "journal", f"{order_id}: {late_ms:.1f} ms late")
