"""What is known when a run is over: what the clients believe, what the journal holds, what the exchange did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tests.simulation.facts import Fact, facts_of
from tests.simulation.ledger import Ledger
from tests.simulation.schedule import Settings

_UPDATE_KINDS = {
    "Accepted": "ACCEPTED",
    "VenueRejected": "REJECTED",
    "Filled": "FILL",
    "Closed": "CLOSED",
    "Triggered": "TRIGGERED",
    "Replaced": "REPLACED",
    "LegOpened": "LEG_CHANGED",
    "LegResized": "LEG_CHANGED",
    "OrderRejected": "REJECTED",
}


class Fill(NamedTuple):
    """One execution of one order."""

    execution_id: int
    quantity: Decimal
    price: Decimal


class JournaledUpdate(NamedTuple):
    """One change of an order as the journal has it; its place in the list is its sequence number."""

    kind: str
    order_id: str
    execution_id: int
    record: int


@dataclass
class Admission:
    """An order as `apply` took it."""

    record: int
    time_ns: int
    event: str
    code: str
    input: dict[str, Any]


@dataclass
class JournalBook:
    """What the records say, order by order."""

    records: int = 0
    admitted: dict[str, list[Admission]] = field(default_factory=lambda: defaultdict(list[Admission]))
    replies: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The stored reply to each order."""
    fills: dict[str, list[Fill]] = field(default_factory=lambda: defaultdict(list[Fill]))
    """What the account was told was executed."""
    ended: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """Record and reason of an order's end."""
    updates: list[JournaledUpdate] = field(default_factory=list[JournaledUpdate])
    fences: dict[str, int] = field(default_factory=dict[str, int])
    """Record of each fence."""
    commands: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list[dict[str, Any]]))
    """Records of commands by command id."""
    quantity: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    """Of each order that was opened, its total now."""
    last_fill_record: dict[str, int] = field(default_factory=dict[str, int])
    control: list[Fact] = field(default_factory=list[Fact])
    """What limits, trading state and leases are judged by, in order."""

    @classmethod
    def read(cls, records: Iterable[dict[str, Any]]) -> JournalBook:
        """From the records of a dump."""
        book = cls()
        for record in records:
            book.records += 1
            for event in record["events"]:
                book._take(record, event)
            book.control += facts_of(record)
            for reply in record["concluded"]:
                if "status" in reply:
                    book.replies[reply["order_id"]] = reply
            reply = record["reply"]
            if reply and record["kind"] == "ExecuteOrder" and reply.get("code") != "DUPLICATE_ORDER_ID":
                book.replies.setdefault(reply["order_id"], reply)
        return book

    def _take(self, record: dict[str, Any], event: dict[str, Any]) -> None:
        name, order_id, at = event["event"], event.get("order_id", ""), record["seq"]
        if name in _UPDATE_KINDS:
            execution_id = event.get("execution_id", 0) if name == "Filled" else 0
            self.updates.append(JournaledUpdate(_UPDATE_KINDS[name], order_id, execution_id, at))
        if name in ("OrderOpened", "OrderRejected"):
            admission = Admission(at, record["time_ns"], name, event.get("code", "NONE"), record["input"])
            self.admitted[order_id].append(admission)
        if name in ("OrderOpened", "Replaced"):
            self.quantity[order_id] = Decimal(event["quantity"])
        if name == "Filled":
            self.fills[order_id].append(fill_of(event))
            self.last_fill_record[order_id] = at
        elif name in ("Closed", "VenueRejected"):
            self.ended[order_id] = (at, event["code"])
        elif name == "Fenced":
            self.fences[order_id] = at
        elif name == "CommandRecorded":
            self.commands[event["command_id"]].append(record)

    def open_orders(self) -> set[str]:
        """Orders (no legs) that were not at their end when the journal ended."""
        return {
            order_id
            for order_id, quantity in self.quantity.items()
            if order_id not in self.ended
            and sum((fill.quantity for fill in self.fills[order_id]), Decimal(0)) < quantity
        }


def fill_of(event: dict[str, Any]) -> Fill:
    """From an event of the journal."""
    return Fill(event["execution_id"], Decimal(event["quantity"]), Decimal(event["price"]))


class Recovery(NamedTuple):
    """A start from a snapshot."""

    snapshot_seq: int
    first_seq: int
    """Where the chain of records begins, archive included."""
    state_hash: str
    """Of the state that the engine started with."""
    replayed_hash: str
    """Of what all records lead to, executed again from the first one on."""
    problem: str
    """Why they could not be executed again, or empty."""


class LeaseLook(NamedTuple):
    """Who was connected at a moment, by the books of the engine's machine."""

    connected: frozenset[str]
    """Sessions with a connection that the engine had heard and not lost, on either path."""
    alone_ns: dict[str, int]
    """Since when others have had none, of those that had one since the engine started."""
    up_ns: int
    """Since when the engine has been up: of whoever has not been there since, the grace began then."""


@dataclass
class History:
    """A run that is over. The checker reads this and nothing else, so that tests can doctor it."""

    settings: Settings
    ledger: Ledger
    journal: JournalBook
    exchange: dict[str, list[Fill]]
    """What the exchange did, read from it directly."""
    exchange_new: dict[str, int]
    """How often each order arrived at the external exchange as a new one."""
    verified: str
    """Empty, or why `verify` does not agree."""
    problems: list[str]
    """What engine or clients did that they must never do, noted while it happened."""
    forgot: bool = False
    """The machine was lost in mode `os`: what was acknowledged before may be gone."""
    loud: bool = False
    """A client stopped because the engine had forgotten."""
    engine_last_sequence: int = 0
    recoveries: list[Recovery] = field(default_factory=list[Recovery])
    """Starts from snapshots."""
    lease_looks: dict[int, LeaseLook] = field(default_factory=dict[int, LeaseLook])
    """By the record of each lease that expired."""
    at_the_end: LeaseLook = field(default_factory=lambda: LeaseLook(frozenset(), {}, 0))
    ended_ns: int = 0
