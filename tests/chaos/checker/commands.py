"""Commands: each executed once, each answer the stored one, no doubt left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.actors.books import Conclusion
from tests.chaos.checker.books import Books, same_reply
from tests.chaos.checker.differences import Difference, DifferenceKind


def check_commands(books: Books) -> Iterator[Difference]:
    """Cancels, replaces, quotes: all that carries a command id."""
    ended: dict[str, list[Conclusion]] = defaultdict(list)
    for name, book in books.clients.items():
        for call in book.calls.values():
            command_id = call.command.get("command_id")
            if command_id is None:
                continue
            if call.kind == "queue cancel":
                ended[command_id].append("unknown")  # the queue's events say more
                continue
            ended[command_id].append(call.command_conclusion)
            if call.answer is None:
                continue
            stored = books.journal.command_replies.get(command_id)
            if command_id not in books.journal.commands or stored is None:
                yield Difference(DifferenceKind.COMMAND_LOST, name, f"{call.kind} {command_id}: {call.answer}")
            elif differing := same_reply(call.answer, stored, but_for=("duplicate",)):
                yield Difference(DifferenceKind.COMMAND_REPLY_DIFFERS, name, f"{call.kind} {command_id}: {differing}")
        for command_id, call in book.commands_in_doubt().items():
            yield Difference(DifferenceKind.COMMAND_UNRESOLVED, name, f"{call.kind} {command_id}")
    for command_id, count in books.journal.commands.items():
        if count > 1:
            yield Difference(DifferenceKind.COMMAND_TWICE, "journal", f"{command_id}: {count} times")
        if command_id not in ended:
            yield Difference(DifferenceKind.FROM_NOWHERE, "journal", f"command {command_id}")
        elif set(ended[command_id]) == {"no effect"}:
            yield Difference(DifferenceKind.EXECUTED_UNSENT, "journal", f"command {command_id}")
