"""Orders: what each client was told of each id, against what the journal holds of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.actors.books import Call, Conclusion
from tests.chaos.actors.ledger_file import Entry
from tests.chaos.checker.books import Books, Content, content_of, same_reply
from tests.chaos.checker.differences import Difference, DifferenceKind

_NOT_STORED = ("ID_TOO_OLD",)


def check_orders(books: Books) -> Iterator[Difference]:
    """Replies, refusals, fences and doubts of every order id."""
    ended: dict[str, list[Conclusion]] = defaultdict(list)
    sent: dict[str, set[Content]] = defaultdict(set)
    for name, book in books.clients.items():
        for call in book.calls.values():
            if call.kind == "fence":
                yield from _check_fence(books, name, call)
                ended[call.command["order_id"]].append(call.fence_conclusion)
            for order_id, order in call.orders.items():
                content = content_of(order)
                sent[order_id].add(content)
                ended[order_id].append(call.conclusion_of(order_id))
                if call.conclusion_of(order_id) == "reply":
                    yield from check_reply(books, name, call.replies[order_id], content)
        for order_id in book.orders_in_doubt():
            yield Difference(DifferenceKind.UNRESOLVED, name, order_id)
    yield from _check_what_was_not_done(books, ended)
    yield from _check_contents(books, sent)


def check_reply(books: Books, client: str, reply: Entry, content: Content) -> Iterator[Difference]:
    """One reply that a client was given, against the journal."""
    order_id, code = reply["order_id"], reply["code"]
    taken = books.journal.contents.get(order_id)
    if code == "FENCED":
        if taken is not None or order_id not in books.journal.fenced:
            yield Difference(DifferenceKind.REJECTED_AS_FENCED, client, order_id)
    elif code == "DUPLICATE_ORDER_ID":
        if taken is None or taken == content:
            yield Difference(DifferenceKind.REJECTED_AS_OTHER, client, order_id)
    elif code in _NOT_STORED:
        return
    elif taken is None:
        yield Difference(DifferenceKind.ACKNOWLEDGED_LOST, client, f"{order_id}: told {reply['status']}")
    elif taken != content:
        yield Difference(DifferenceKind.CONTENT_DIFFERS, client, f"{order_id}: sent {content}, taken {taken}")
    elif differing := same_reply(reply, books.journal.replies.get(order_id, {})):
        stored = books.journal.replies.get(order_id, {})
        sides = {name: (reply[name], stored.get(name)) for name in differing}
        yield Difference(DifferenceKind.REPLY_DIFFERS, client, f"{order_id}: told and stored {sides}")


def _check_fence(books: Books, client: str, call: Call) -> Iterator[Difference]:
    order_id, answer = call.command["order_id"], call.answer
    match call.fence_conclusion:
        case "fenced":
            if order_id in books.journal.contents:
                yield Difference(DifferenceKind.EXECUTED_FENCED, client, order_id)
            elif order_id not in books.journal.fenced:
                yield Difference(DifferenceKind.FENCE_UNRECORDED, client, order_id)
        case "reply":
            assert answer is not None
            yield from _check_found(books, client, order_id, answer["reply"])
        case _:
            pass


def _check_found(books: Books, client: str, order_id: str, reply: Entry) -> Iterator[Difference]:
    """What a query found, or what a resolution came to: that sends again what this client sent last."""
    journal = books.journal
    stored = journal.replies.get(order_id)
    if reply["code"] == "FENCED":
        if order_id in journal.contents or order_id not in journal.fenced:
            yield Difference(DifferenceKind.REJECTED_AS_FENCED, client, order_id)
    elif reply["code"] == "DUPLICATE_ORDER_ID":
        sent = {content_of(call.orders[order_id]) for call in books.clients[client].calls_of(order_id)}
        if order_id not in journal.contents or not sent - {journal.contents[order_id]}:
            yield Difference(DifferenceKind.REJECTED_AS_OTHER, client, order_id)
    elif stored is None:
        yield Difference(DifferenceKind.ACKNOWLEDGED_LOST, client, f"{order_id}: found by a query")
    elif differing := same_reply(reply, stored):
        yield Difference(DifferenceKind.QUERY_DIFFERS, client, f"{order_id}: {differing}")


def _check_what_was_not_done(books: Books, ended: dict[str, list[Conclusion]]) -> Iterator[Difference]:
    for order_id, conclusions in ended.items():
        if order_id in books.journal.contents and set(conclusions) == {"no effect"}:
            yield Difference(DifferenceKind.EXECUTED_UNSENT, "journal", f"{order_id} ({len(conclusions)} calls)")


def _check_contents(books: Books, sent: dict[str, set[Content]]) -> Iterator[Difference]:
    for order_id, content in books.journal.contents.items():
        if order_id not in sent:
            yield Difference(DifferenceKind.FROM_NOWHERE, "journal", order_id)
        elif content not in sent[order_id]:
            yield Difference(DifferenceKind.CONTENT_DIFFERS, "journal", f"{order_id}: {content}")
