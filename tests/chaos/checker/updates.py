"""Updates: for every subscriber each once and in order, the same for all, and the fills among them the exchange's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from examples.ledger import Fill
from tests.chaos.actors.books import ClientBook
from tests.chaos.actors.ledger_file import Entry
from tests.chaos.checker.books import Books
from tests.chaos.checker.differences import Difference, DifferenceKind

_SEQUENCE, _KIND, _ORDER_ID, _EXECUTION_ID, _QUANTITY, _PRICE, _STATUS, _EXECUTED = range(2, 10)


def check_updates(books: Books) -> Iterator[Difference]:
    """Every client that subscribed."""
    first_told: dict[int, list[Any]] = {}
    for name, book in books.clients.items():
        if not any(note["e"] == "subscribed" for note in book.notes):
            continue
        yield from _check_order(name, book, books.last_sequence)
        yield from _check_fills(name, book, books)
        for update in book.updates:
            told = first_told.setdefault(update[_SEQUENCE], update)
            if told[_SEQUENCE:] != update[_SEQUENCE:]:
                yield Difference(DifferenceKind.UPDATES_DISAGREE, name, f"{told} and {update}")
        for note in book.notes:
            if note["e"] == "gap":
                yield Difference(DifferenceKind.UPDATE_GAP, name, f"{note['first']} to {note['last']}")
            if note["e"] == "updates ended" and not _did_not_begin(note):
                yield Difference(DifferenceKind.SUBSCRIPTION_ENDED, name, note["problem"] or "without an error")


def _did_not_begin(note: Entry) -> bool:
    """A subscription that was not sent in time, under a fault: the caller subscribes again, and nothing is lost."""
    return note["came"] == 0 and note["problem"].startswith("NotSentError")


def _check_order(name: str, book: ClientBook, last_sequence: int) -> Iterator[Difference]:
    expected = 1
    for update in book.updates:
        sequence = update[_SEQUENCE]
        if sequence > expected:
            yield Difference(DifferenceKind.UPDATE_HOLE, name, f"{expected} to {sequence - 1}")
        elif sequence < expected:
            yield Difference(DifferenceKind.UPDATE_REPEATED, name, f"{sequence} after {expected - 1}")
        expected = max(expected, sequence + 1)
    if expected <= last_sequence:
        yield Difference(DifferenceKind.UPDATES_MISSING, name, f"{expected} to {last_sequence}")


def _check_fills(name: str, book: ClientBook, books: Books) -> Iterator[Difference]:
    heard: dict[str, list[Fill]] = defaultdict(list)
    executed: dict[str, Decimal] = {}
    for update in book.updates:
        order_id = update[_ORDER_ID]
        executed[order_id] = Decimal(update[_EXECUTED])
        if update[_KIND] == "FILL":
            quantity, price = Decimal(update[_QUANTITY]), Decimal(update[_PRICE])
            heard[order_id].append(Fill(update[_EXECUTION_ID], quantity, price))
    for order_id in set(heard) | set(books.journal.traded):
        fills = sorted(heard.get(order_id, ()))
        if fills != sorted(books.journal.traded.get(order_id, ())):
            yield Difference(DifferenceKind.FILLS_HEARD_DIFFER, name, order_id)
        if executed.get(order_id, Decimal(0)) != sum((fill.quantity for fill in fills), Decimal(0)):
            yield Difference(DifferenceKind.STATE_DIFFERS, name, order_id)
