"""Every check of a run, in one list."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.checker.books import Books
from tests.chaos.checker.commands import check_commands
from tests.chaos.checker.differences import Difference, DifferenceKind
from tests.chaos.checker.exchange import check_exchange
from tests.chaos.checker.orders import check_orders
from tests.chaos.checker.queued import check_queues
from tests.chaos.checker.reconciled import check_reconciliations
from tests.chaos.checker.updates import check_updates

EXPECTED_ENDS = (
    "done",
    "NotSentError",
    "ExecutionError",
    "OutcomeUnknownError",
    "EngineSystemError",
    "QueueFullError",
    "withdrawn",
    "",
)
"""How calls may end under faults. EngineSystemError only with JOURNAL_FAILED, which a failed disk explains."""


def check(books: Books) -> list[Difference]:
    """All that is wrong; empty after a good run."""
    return [
        *check_orders(books),
        *check_exchange(books),
        *check_commands(books),
        *check_updates(books),
        *check_queues(books),
        *check_reconciliations(books),
        *books.journal.leases.differences,
        *_check_ends(books),
        *_check_verify(books),
    ]


def _check_ends(books: Books) -> Iterator[Difference]:
    for name, book in books.clients.items():
        for call in book.calls.values():
            message = call.end.get("message", "")
            if call.how not in EXPECTED_ENDS or (call.how == "EngineSystemError" and "JOURNAL_FAILED" not in message):
                yield Difference(DifferenceKind.UNEXPECTED_END, name, f"{call.kind}: {call.how}: {message}")
        for note in book.notes:
            if note["e"] == "surprise":
                yield Difference(DifferenceKind.SURPRISE, name, note["what"])


def _check_verify(books: Books) -> Iterator[Difference]:
    if books.verify_problem:
        yield Difference(DifferenceKind.VERIFY_FAILED, "engine", books.verify_problem)
    elif not books.verified.get("records"):
        yield Difference(DifferenceKind.VERIFY_FAILED, "engine", f"verify saw no records: {books.verified}")
