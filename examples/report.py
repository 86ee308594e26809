"""What a run comes to: the short tables that the demo prints, and its one last line."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from examples.audit import Findings
from examples.cuts import Cut
from examples.ledger import Call, Ledger
from transport import ExecutionStatus, OrderType

FAILOVER_LIMIT_MS = 1000.0


def print_tables(console: Console, ledger: Ledger, cuts: Sequence[Cut], findings: Findings) -> None:
    """Orders by type, status and path; latencies by path; the cuts; the comparison of the books."""
    console.print(_orders_by_type(ledger))
    console.print(_latency_by_path(ledger))
    console.print(_cuts(cuts))
    console.print(_comparison(ledger, findings))


def last_line(ledger: Ledger, cuts: Sequence[Cut], findings: Findings) -> str:
    """`demo: orders=… ok`, or what stands in the place of the ok."""
    slowest_ms = max((cut.failover_ms for cut in cuts), default=float("inf"))
    faults = list(findings.faults)
    if slowest_ms > FAILOVER_LIMIT_MS:
        faults.append(f"failover took more than {FAILOVER_LIMIT_MS:.0f} ms")
    verdict = "ok" if not faults else "FAILED: " + "; ".join(faults)
    return (
        f"demo: orders={len(ledger.calls)} lost={findings.lost} duplicated={findings.duplicated} "
        f"mismatched={findings.mismatched} failover_ms={slowest_ms:.0f} {verdict}"
    )


def _orders_by_type(ledger: Ledger) -> Table:
    statuses = list(ExecutionStatus)
    paths = {"zmq": "by zmq", "grpc": "by grpc", "?": "in batches"}
    names = [status.name.lower().replace("partially_filled", "partial") for status in statuses]
    table = Table(
        "type", "orders", *names, *paths.values(), title="Orders: how they ended, and by which path they went"
    )
    for order_type in OrderType:
        calls = [call for call in ledger.calls.values() if call.order.order_type == order_type]
        ends = Counter(_final_status(ledger, call) for call in calls)
        ways = Counter(call.path for call in calls)
        counts = [len(calls), *(ends[status] for status in statuses), *(ways[path] for path in paths)]
        table.add_row(order_type.name, *map(str, counts))
    return table


def _final_status(ledger: Ledger, call: Call) -> ExecutionStatus | None:
    state = ledger.states.get(call.order.order_id, call.reply)
    return state.status if state else None


def _latency_by_path(ledger: Ledger) -> Table:
    table = Table("sent", "path", "orders", "p50 us", "p99 us", title="Latency, by the path that answered")
    for sent in ("alone", "in basket", "in batch"):
        for path in ("zmq", "grpc"):
            calls = [call for call in ledger.calls.values() if call.sent == sent and call.path == path]
            if len(calls) > 1:
                percentiles = statistics.quantiles((call.latency_us for call in calls), n=100, method="inclusive")
                table.add_row(sent, path, str(len(calls)), f"{percentiles[49]:.0f}", f"{percentiles[98]:.0f}")
    return table


def _cuts(cuts: Sequence[Cut]) -> Table:
    table = Table("cut", "in flight", "executed, reply lost", "answered again", "ms to next order", title="Cuts")
    for cut in cuts:
        counts = (str(count) for count in (cut.in_flight, cut.executed_unanswered, cut.duplicates))
        table.add_row(cut.kind, *counts, f"{cut.failover_ms:.1f}")
    return table


def _comparison(ledger: Ledger, findings: Findings) -> Table:
    delivered = [call.delivery for call in ledger.calls.values() if call.delivery is not None]
    resent = sum(delivery.attempts - 1 for delivery in delivered)
    resolved = sum(delivery.attempts > 1 for delivery in delivered)
    table = Table("", "", title="Ledger, journal and exchange, order by order and fill by fill", show_header=False)
    rows = {
        "orders compared": findings.orders_compared,
        "fills compared": findings.fills_compared,
        "updates, each once and in order": len(ledger.sequences),
        "cancelled, replaced by the strategy": f"{ledger.cancelled}, {ledger.replaced}",
        "copies resent": resent,
        "calls so resolved": resolved,
        "lost": findings.lost,
        "duplicated": findings.duplicated,
        "mismatched": findings.mismatched,
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
