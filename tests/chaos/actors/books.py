"""What one ledger says: calls with how each ended, what is still in doubt, the updates that came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tests.chaos.actors.ledger_file import Entry

Conclusion = Literal["reply", "no effect", "fenced", "unknown"]
"""How a call left one order: answered; not sent or refused, so that this call did nothing; fenced: it never will
execute; or the client does not know (no end was written down either, where the client was killed)."""

_NO_EFFECT = ("NotSentError", "ClientClosedError", "ExecutionError", "ValidationError", "AuthenticationError")
"""Ends of a call that say that none of its copies had an effect (`transport.contract.errors`)."""


@dataclass(slots=True)
class Call:
    """One call, from its intent to its end."""

    number: int
    kind: str
    began_ns: int
    orders: dict[str, Entry] = field(default_factory=dict[str, Entry])
    command: Entry = field(default_factory=dict[str, Any])
    replies: dict[str, Entry] = field(default_factory=dict[str, Entry])
    replied_ns: int = 0
    duplicates: int = 0
    """Replies that the engine gave from memory."""
    answer: Entry | None = None
    how: str = ""
    """`done`, the error's class, or empty: the client died before the end."""
    in_doubt: tuple[str, ...] = ()
    """Order ids that the error named."""
    end: Entry = field(default_factory=dict[str, Any])

    def conclusion_of(self, order_id: str) -> Conclusion:
        """How this call left that order."""
        reply = self.replies.get(order_id)
        if reply is not None:
            return "no effect" if reply["status"] == "FAILED" else "reply"
        if self.kind == "put":
            return "unknown"  # the queue's events say more
        if self.how in _NO_EFFECT or (self.how == "OutcomeUnknownError" and order_id not in self.in_doubt):
            return "no effect"
        return "unknown"

    @property
    def fence_conclusion(self) -> Conclusion:
        """How a query with a fence left its order."""
        if self.answer is None:
            return "no effect" if self.how in _NO_EFFECT else "unknown"
        if self.answer["found"]:
            return "reply" if self.answer["reply"] is not None else "unknown"
        return "fenced" if self.answer["fenced"] else "unknown"

    @property
    def command_conclusion(self) -> Conclusion:
        """How the call left its command."""
        if self.answer is not None:
            return "reply"
        return "no effect" if self.how in _NO_EFFECT else "unknown"


@dataclass(slots=True)
class ClientBook:
    """One client's ledger, all its lives."""

    name: str
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    updates: list[list[Any]] = field(default_factory=list[list[Any]])
    queued: list[Entry] = field(default_factory=list[Entry])
    """What the queue told, in its order."""
    notes: list[Entry] = field(default_factory=list[Entry])
    """Everything else: starts, gaps, listeners that ended, surprises."""
    lives: int = 0
    _put: dict[str, Entry] | None = None

    @classmethod
    def read(cls, name: str, entries: Iterable[Any]) -> ClientBook:
        """From the lines of the ledger."""
        book = cls(name)
        for entry in entries:
            book.take(entry)
        return book

    def take(self, entry: Any) -> None:
        """The next line."""
        if isinstance(entry, list):
            self.updates.append(cast("list[Any]", entry))
            return
        match entry["e"]:
            case "intent":
                orders = {order["order_id"]: order for order in entry.get("orders", ())}
                command = entry.get("command", {})
                self.calls[entry["n"]] = Call(entry["n"], entry["call"], entry["t"], orders, command)
            case "reply":
                call = self.calls[entry["n"]]
                call.replies[entry["reply"]["order_id"]] = entry["reply"]
                call.replied_ns = call.replied_ns or entry["t"]
                call.duplicates += bool(entry.get("duplicate"))
            case "answer":
                self.calls[entry["n"]].answer = entry["answer"]
            case "end":
                call = self.calls[entry["n"]]
                call.how, call.in_doubt, call.end = entry["how"], tuple(entry.get("ids", ())), entry
            case "queued":
                self.queued.append(entry)
            case kind:
                self.lives += kind == "started"
                self.notes.append(entry)

    @property
    def last_sequence(self) -> int:
        """Of the last update that was delivered; 0 before the first."""
        return self.updates[-1][2] if self.updates else 0

    def queued_order(self, order_id: str) -> Entry | None:
        """An order that was put into the queue."""
        if self._put is None:
            self._put = {
                one: order for call in self.calls.values() if call.kind == "put" for one, order in call.orders.items()
            }
        return self._put.get(order_id)

    def calls_of(self, order_id: str) -> Iterator[Call]:
        """Calls that sent this order."""
        return (call for call in self.calls.values() if order_id in call.orders)

    def order_calls(self) -> Iterator[Call]:
        """Calls that sent orders."""
        return (call for call in self.calls.values() if call.orders)

    def orders_in_doubt(self) -> dict[str, Entry]:
        """Orders that this client does not know the end of: neither replied to nor fenced, and perhaps executed."""
        doubtful: dict[str, Entry] = {}
        settled: set[str] = set()
        for call in self.calls.values():
            if call.kind == "put":
                continue  # the queue and its outbox see to that
            if call.kind == "fence" and call.fence_conclusion in ("reply", "fenced"):
                settled.add(call.command["order_id"])
            for order_id, order in call.orders.items():
                match call.conclusion_of(order_id):
                    case "unknown":
                        doubtful[order_id] = order
                    case "reply":
                        settled.add(order_id)
                    case _:
                        pass
        return {order_id: order for order_id, order in doubtful.items() if order_id not in settled}

    def commands_in_doubt(self) -> dict[str, Call]:
        """Commands whose answer this client never got, by command id; the last call of each."""
        doubtful: dict[str, Call] = {}
        settled: set[str] = set()
        for call in self.calls.values():
            command_id = call.command.get("command_id")
            if command_id is None or call.kind == "queue cancel":
                continue
            match call.command_conclusion:
                case "unknown":
                    doubtful[command_id] = call
                case "reply":
                    settled.add(command_id)
                case _:
                    pass
        return {command_id: call for command_id, call in doubtful.items() if command_id not in settled}
