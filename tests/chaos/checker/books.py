"""All books of a run, read: every client's ledger, and the journal with what verify says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.audit import Journal
from examples.rig.engine_process import EngineFailedError, EngineProcess
from tests.chaos.actors.books import ClientBook
from tests.chaos.actors.ledger_file import Entry, read_ledger
from tests.chaos.checker.leases import LeaseBook
from transport import OrderSide, OrderType, TimeInForce

CONTENT = (
    "symbol", "order_type", "side", "quantity", "price", "stop_loss", "take_profit", "time_in_force", "expires_at_ns",
)  # fmt: skip
_DECIMALS = ("quantity", "price", "stop_loss", "take_profit")
_NAMES = {"order_type": OrderType, "side": OrderSide, "time_in_force": TimeInForce}
Content = tuple[Any, ...]


@dataclass
class JournalBook(Journal):
    """The journal as the audit of the demo reads it, and what else the checker needs."""

    contents: dict[str, Content] = field(default_factory=dict[str, Content])
    """Of each order that was taken."""
    taken_at_ns: dict[str, int] = field(default_factory=dict[str, int])
    """Engine time at which each order was opened."""
    fenced: set[str] = field(default_factory=set[str])
    commands: Counter[str] = field(default_factory=Counter[str])
    """Command ids, and how often each was executed."""
    command_replies: dict[str, Entry] = field(default_factory=dict[str, Entry])
    largest_quantity: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    """Of each order, replaces included."""

    leases: LeaseBook = field(default_factory=LeaseBook)

    def take(self, record: dict[str, Any]) -> None:
        """The next record."""
        super().take(record)
        self.leases.take(record)
        for event in record["events"]:
            match event["event"]:
                case "OrderOpened" | "OrderRejected":
                    self.contents[event["order_id"]] = content_of(record["input"])
                    if event["event"] == "OrderOpened":
                        self.taken_at_ns[event["order_id"]] = record["time_ns"]
                        self._grown(event["order_id"], event["quantity"])
                case "Fenced":
                    self.fenced.add(event["order_id"])
                case "Replaced" | "LegOpened" | "LegResized":
                    self._grown(event["order_id"], event["quantity"])
                case "CommandRecorded" if record["kind"] != "LeaseExpired":  # that one is the engine's own
                    self.commands[event["command_id"]] += 1
                    if record.get("reply"):
                        self.command_replies[event["command_id"]] = record["reply"]
                case _:
                    pass

    def _grown(self, order_id: str, quantity: str) -> None:
        self.largest_quantity[order_id] = max(self.largest_quantity.get(order_id, Decimal(0)), Decimal(quantity))


@dataclass
class Books:
    """What there is to compare."""

    clients: dict[str, ClientBook]
    journal: JournalBook
    last_sequence: int
    """Of the account, at the end."""
    verified: dict[str, Any] = field(default_factory=dict[str, Any])
    verify_problem: str = ""

    @classmethod
    def read(cls, ledgers: Mapping[str, Path], engine: EngineProcess, last_sequence: int) -> Books:
        """From the files of a run whose engine has ended."""
        books = cls(
            {name: ClientBook.read(name, read_ledger(path)) for name, path in ledgers.items() if path.exists()},
            JournalBook.read(engine.dump()),
            last_sequence,
        )
        try:
            books.verified = engine.verify()
        except EngineFailedError as problem:
            books.verify_problem = str(problem)
        return books

    @property
    def orders(self) -> int:
        """How many orders clients meant to send, each id once."""
        return len(
            {order_id for book in self.clients.values() for call in book.order_calls() for order_id in call.orders}
        )


def content_of(order: Entry) -> Content:
    """What makes an order that order, from the journal's words or the ledger's."""
    return tuple(_content_word(name, order.get(name)) for name in CONTENT)


def _content_word(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _NAMES and isinstance(value, int):
        return _NAMES[name](value).name
    return Decimal(value) if name in _DECIMALS else value


def same_reply(told: Entry, stored: Entry, but_for: Iterable[str] = ()) -> list[str]:
    """The fields in which two replies differ."""
    left_out = {"kind", *but_for}
    return [name for name in told if name not in left_out and not _same(told[name], stored.get(name))]


def _same(told: Any, stored: Any) -> bool:
    if isinstance(told, dict) and isinstance(stored, dict):
        return not same_reply(told, stored)  # type: ignore[reportUnknownArgumentType]
    if told == stored:
        return True
    if not isinstance(told, str) or not isinstance(stored, str):
        return False
    try:
        return Decimal(told) == Decimal(stored)
    except ArithmeticError:
        return False
