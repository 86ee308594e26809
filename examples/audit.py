"""Compares three books: the client's ledger, the engine's journal, and what the exchange did; order by order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from examples.cuts import Cut
from examples.ledger import Fill, Ledger
from transport import ExecutionStatus, OrderType

LEAST_IN_FLIGHT = 20
LEAST_REPLIES_LOST = 10

Fills = defaultdict[str, list[Fill]]


@dataclass
class Journal:
    """What the records of the journal say, read apart from everything that the client was told."""

    admitted: Counter[str] = field(default_factory=Counter[str])
    """Order ids, and how often `apply` took each as a new order."""
    opened: Counter[str] = field(default_factory=Counter[str])
    """Orders and legs, and how often the exchange opened each."""
    replies: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    told: Fills = field(default_factory=lambda: Fills(list))
    """Fills that the account was told of."""
    traded: Fills = field(default_factory=lambda: Fills(list))
    """Fills that the exchange made."""
    triggered: set[str] = field(default_factory=set[str])

    @classmethod
    def read(cls, records: Iterable[dict[str, Any]]) -> Self:
        """From the lines of `execution-engine dump`."""
        journal = cls()
        for record in records:
            journal.take(record)
        return journal

    def take(self, record: dict[str, Any]) -> None:
        """The next record."""
        for event in record["events"]:
            self._take_event(event)
        for event in record["venue_events"]:
            self._take_venue_event(event)
        reply = record.get("reply")
        if record["kind"] == "ExecuteOrder" and reply:
            self.replies[reply["order_id"]] = reply

    def _take_event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "OrderOpened" | "OrderRejected":
                self.admitted[event["order_id"]] += 1
            case "Filled":
                self.told[event["order_id"]].append(_fill(event))
            case _:
                pass

    def _take_venue_event(self, event: dict[str, Any]) -> None:
        match event["venue_event"]:
            case "Opened" | "LegOpened":
                self.opened[event["order_id"]] += 1
            case "Triggered":
                self.triggered.add(event["order_id"])
            case "Trade":
                for fill in event["fills"]:
                    self.traded[fill["order_id"]].append(_fill(fill))
            case _:
                pass


def _fill(event: dict[str, Any]) -> Fill:
    return Fill(event["execution_id"], Decimal(event["quantity"]), Decimal(event["price"]))


@dataclass
class Findings:
    """What the comparison found; `faults` says in words what keeps the run from being ok."""

    orders_compared: int = 0
    fills_compared: int = 0
    lost: int = 0
    duplicated: int = 0
    mismatched: int = 0
    faults: list[str] = field(default_factory=list[str])


def audit(
    ledger: Ledger,
    cuts: Sequence[Cut],
    records: Iterable[dict[str, Any]],
    verified: dict[str, Any],
    engine_exit_code: int,
) -> Findings:
    """Everything that must hold at the end of a run; every difference is counted."""
    journal = Journal.read(records)
    findings = Findings()
    _count_lost_and_doubled(ledger, journal, findings)
    _compare_replies(ledger, journal, findings)
    _compare_fills(ledger, journal, findings)
    _check_updates(ledger, findings)
    _check_coverage(ledger, journal, findings)
    _check_cuts(cuts, findings)
    if engine_exit_code != 0:
        findings.faults.append(f"the engine exited {engine_exit_code}")
    if not verified.get("records"):
        findings.faults.append("verify saw no records")
    for name in ("lost", "duplicated", "mismatched"):
        if count := getattr(findings, name):
            findings.faults.append(f"{count} {name}")
    return findings


def _count_lost_and_doubled(ledger: Ledger, journal: Journal, findings: Findings) -> None:
    lost = set(ledger.unconcluded()) | (set(ledger.calls) - set(journal.admitted))
    findings.lost = len(lost)
    doubled = [order_id for book in (journal.admitted, journal.opened) for order_id, count in book.items() if count > 1]
    twice_traded = [
        order_id
        for order_id, fills in journal.traded.items()
        if len({fill.execution_id for fill in fills}) < len(fills) or _overfilled(ledger, order_id, fills)
    ]
    findings.duplicated = len(set(doubled) | set(twice_traded))
    findings.mismatched += len(set(journal.admitted) - set(ledger.calls))


def _overfilled(ledger: Ledger, order_id: str, fills: Sequence[Fill]) -> bool:
    call = ledger.calls.get(order_id)
    return call is not None and sum(fill.quantity for fill in fills) > call.order.quantity


def _compare_replies(ledger: Ledger, journal: Journal, findings: Findings) -> None:
    for order_id, call in ledger.calls.items():
        stored = journal.replies.get(order_id)
        if call.reply is None or stored is None:
            continue
        findings.orders_compared += 1
        told = (call.reply.status.name, call.reply.executed_quantity, call.reply.sequence, call.reply.code.name)
        kept = (stored["status"], Decimal(stored["executed_quantity"]), stored["sequence"], stored["code"])
        findings.mismatched += told != kept
    findings.mismatched += sum(order_id not in journal.replies for order_id in ledger.calls)


def _compare_fills(ledger: Ledger, journal: Journal, findings: Findings) -> None:
    for order_id in set(ledger.fills) | set(journal.told) | set(journal.traded):
        heard, told, traded = (sorted(book[order_id]) for book in (ledger.fills, journal.told, journal.traded))
        findings.fills_compared += len(traded)
        findings.mismatched += not heard == told == traded
        state = ledger.states.get(order_id)
        executed = sum((fill.quantity for fill in traded), Decimal(0))
        findings.mismatched += state is None or state.executed_quantity != executed


def _check_updates(ledger: Ledger, findings: Findings) -> None:
    if ledger.sequences != list(range(1, len(ledger.sequences) + 1)) or ledger.gaps:
        findings.faults.append("order updates had a hole, a repetition or a gap")


def _check_coverage(ledger: Ledger, journal: Journal, findings: Findings) -> None:
    """The run must have been one: every type filled, both legs triggered, something cancelled and replaced."""
    filled = {order.order_type for order in ledger.states.values() if order.status == ExecutionStatus.FILLED}
    missing = [order_type.name for order_type in OrderType if order_type not in filled]
    missing += [leg for leg in ("·SL", "·TP") if not any(order_id.endswith(leg) for order_id in journal.triggered)]
    missing += [name for name in ("cancelled", "replaced") if not getattr(ledger, name)]
    paths = {call.delivery.path for call in ledger.calls.values() if call.delivery is not None}
    missing += [path for path in ("zmq", "grpc") if path not in paths]
    if missing:
        findings.faults.append(f"never happened: {', '.join(missing)}")


def _check_cuts(cuts: Sequence[Cut], findings: Findings) -> None:
    if [cut.kind for cut in cuts] != ["reset", "blackhole"]:
        findings.faults.append("the fast path was not cut once by reset and once silently")
    for cut in cuts:
        if cut.in_flight < LEAST_IN_FLIGHT or min(cut.executed_unanswered, cut.duplicates) < LEAST_REPLIES_LOST:
            findings.faults.append(f"the {cut.kind} cut hit too few orders: {cut}")
