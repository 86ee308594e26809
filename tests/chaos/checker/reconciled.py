"""Reconciliation: what clients were told at their connections is true, and no engine was said to have forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.checker.books import Books
from tests.chaos.checker.differences import Difference, DifferenceKind


def check_reconciliations(books: Books) -> Iterator[Difference]:
    """Every report of every bridge."""
    executions = {order_id: {fill.execution_id for fill in fills} for order_id, fills in books.journal.traded.items()}
    for name, book in books.clients.items():
        for note in book.notes:
            if note["e"] != "reconciled":
                continue
            for order_id in note["missing"]:
                yield Difference(DifferenceKind.SAID_TO_BE_FORGOTTEN, name, order_id)
            for order_id, execution_id in note["fills"]:
                if execution_id not in executions.get(order_id, ()):
                    yield Difference(DifferenceKind.RECONCILED_UNTRUE, name, f"{order_id}: execution {execution_id}")
            if note["gap"]:
                yield Difference(DifferenceKind.UPDATE_GAP, name, f"in a reconciliation: {note['gap']}")
