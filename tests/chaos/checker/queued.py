"""The queue: one final event for all that it took, across restarts of its client, and each of them true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.actors.books import ClientBook
from tests.chaos.actors.ledger_file import Entry
from tests.chaos.checker.books import Books, content_of, same_reply
from tests.chaos.checker.differences import Difference, DifferenceKind
from tests.chaos.checker.orders import check_reply

_FINAL = ("Result", "CancelResult", "Refused", "Withdrawn", "NotStored", "Untraceable")
_NEVER_SENT = ("Refused", "Withdrawn", "NotStored")


def check_queues(books: Books) -> Iterator[Difference]:
    """Every client that has a queue."""
    for name, book in books.clients.items():
        told: dict[str, list[Entry]] = defaultdict(list)
        for event in book.queued:
            told[event["command_id"] or event["id"]].append(event)
        yield from _check_taken(name, book, books, told)
        for item, events in told.items():
            yield from _check_events(name, item, events)
            yield from _check_truth(name, book, books, events)


def _check_taken(name: str, book: ClientBook, books: Books, told: dict[str, list[Entry]]) -> Iterator[Difference]:
    """What was on disk when `put` returned, or was executed all the same, is told of in the end."""
    for call in book.calls.values():
        if call.kind not in ("put", "queue cancel"):
            continue
        known = books.journal.contents if call.kind == "put" else books.journal.commands
        items = list(call.orders) if call.kind == "put" else [call.command["command_id"]]
        for item in items:
            is_final = any(event["what"] in _FINAL for event in told.get(item, ()))
            if not is_final and (call.how == "done" or item in known):
                yield Difference(DifferenceKind.UNRESOLVED, name, f"{call.kind} {item}: no final event")


def _check_events(name: str, item: str, events: list[Entry]) -> Iterator[Difference]:
    final = False
    for event in events:
        if event["recovered"]:
            final = False  # an earlier life may have been killed before it had acknowledged what it wrote down
        if final:
            yield Difference(DifferenceKind.TOLD_AFTER_THE_END, name, f"{item}: {event['what']}")
        final = event["what"] in _FINAL
    ends = {event["what"] for event in events if event["what"] in _FINAL}
    if len(ends) > 1:
        yield Difference(DifferenceKind.TOLD_TWO_ENDS, name, f"{item}: {sorted(ends)}")


def _check_truth(name: str, book: ClientBook, books: Books, events: list[Entry]) -> Iterator[Difference]:
    journal = books.journal
    for event in events:
        order_id, command_id = event["id"], event["command_id"]
        match event["what"]:
            # Of an order that a cancel overtook, the journal has the fence: that is as durable, and its last word.
            case "Receipt" if not command_id and order_id not in journal.contents and order_id not in journal.fenced:
                yield Difference(DifferenceKind.ACKNOWLEDGED_LOST, name, f"{order_id}: receipt")
            case "Result":
                order = book.queued_order(order_id)
                if order is None:
                    yield Difference(DifferenceKind.FROM_NOWHERE, name, f"{order_id}: told by the queue")
                else:
                    yield from check_reply(books, name, event["reply"], content_of(order))
            case "CancelResult":
                stored = journal.command_replies.get(command_id)
                if stored is None:
                    yield Difference(DifferenceKind.COMMAND_LOST, name, f"{command_id}: told by the queue")
                elif differing := same_reply(event["reply"], stored, but_for=("duplicate",)):
                    yield Difference(DifferenceKind.COMMAND_REPLY_DIFFERS, name, f"{command_id}: {differing}")
            case what if what in _NEVER_SENT and (order_id in journal.contents if not command_id else False):
                yield Difference(DifferenceKind.EXECUTED_UNSENT, name, f"{order_id}: told {what} by the queue")
            case _:
                pass
