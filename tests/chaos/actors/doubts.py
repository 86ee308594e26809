"""What a client does not know just now: followed line by line as its ledger grows, so that nobody reads it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, cast

from tests.chaos.actors.books import Call, Conclusion
from tests.chaos.actors.ledger_file import Entry

_SEEN_TO_BY_THE_QUEUE = ("put", "queue cancel")


class Doubts:
    """Orders and commands in doubt. It forgets what has ended, so a long run costs a client no memory."""

    def __init__(self) -> None:
        self.orders: dict[str, Entry] = {}
        """By order id."""
        self.commands: dict[str, Call] = {}
        """By command id; the last call of each."""
        self.last_sequence = 0
        """Of the last update that was delivered."""
        self.lives = 0
        self._open: dict[int, Call] = {}

    @classmethod
    def of_earlier_lives(cls, entries: Iterable[Any]) -> Self:
        """From a ledger whose writer is dead: what has no end is in doubt."""
        doubts = cls()
        for entry in entries:
            doubts.take(entry)
        for call in doubts._open.values():
            doubts._conclude(call)
        doubts._open.clear()
        return doubts

    def take(self, entry: Any) -> None:
        """The next line."""
        if isinstance(entry, list):
            self.last_sequence = cast("list[Any]", entry)[2]
            return
        match entry["e"]:
            case "started":
                self.lives += 1
            case "intent" if entry["call"] not in _SEEN_TO_BY_THE_QUEUE:
                orders = {order["order_id"]: order for order in entry.get("orders", ())}
                self._open[entry["n"]] = Call(entry["n"], entry["call"], entry["t"], orders, entry.get("command", {}))
            case "reply" if entry["n"] in self._open:
                self._open[entry["n"]].replies[entry["reply"]["order_id"]] = entry["reply"]
            case "answer" if entry["n"] in self._open:
                self._open[entry["n"]].answer = entry["answer"]
            case "end" if entry["n"] in self._open:
                call = self._open.pop(entry["n"])
                call.how, call.in_doubt = entry["how"], tuple(entry.get("ids", ()))
                self._conclude(call)
            case _:
                pass

    def _conclude(self, call: Call) -> None:
        for order_id, order in call.orders.items():
            self._order_ended(order_id, order, call.conclusion_of(order_id))
        if call.kind == "fence":
            if call.fence_conclusion in ("reply", "fenced"):
                self.orders.pop(call.command["order_id"], None)
        elif "command_id" in call.command:
            if call.command_conclusion == "unknown":
                self.commands[call.command["command_id"]] = call
            elif call.command_conclusion == "reply":
                self.commands.pop(call.command["command_id"], None)

    def _order_ended(self, order_id: str, order: Entry, conclusion: Conclusion) -> None:
        if conclusion == "unknown":
            self.orders[order_id] = order
        elif conclusion == "reply":
            self.orders.pop(order_id, None)
