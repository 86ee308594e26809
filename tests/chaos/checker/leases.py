"""Leases: what a session left open is cancelled once it was gone for its grace; never before, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.checker.differences import Difference, DifferenceKind

_NS_PER_MS = 1_000_000


@dataclass
class LeaseBook:
    """What the journal alone says of leases. A session that sent a request was connected then."""

    differences: list[Difference] = field(default_factory=list[Difference])
    expired: int = 0
    _grace_ms: dict[str, int] = field(default_factory=dict[str, int])
    _seen_ns: dict[str, int] = field(default_factory=dict[str, int])
    _session_of: dict[str, str] = field(default_factory=dict[str, str])
    """Of each order."""
    _started_ns: int = 0

    def take(self, record: dict[str, Any]) -> None:
        """The next record."""
        session, at_ns = record.get("session_id", ""), record.get("time_ns", 0)
        match record["kind"]:
            case "Started":
                self._started_ns = at_ns
            case "ExecuteOrder":
                self._session_of.setdefault(record["input"]["order_id"], session)
            case "SetCancelOnDisconnect":
                self._set(record["input"])
            case "LeaseExpired":
                self._expired(record, at_ns)
            case _:
                pass
        if record["kind"] != "LeaseExpired":
            self._seen_ns[session] = at_ns
            if any(event.get("code") == "CANCELLED_ON_DISCONNECT" for event in record["events"]):
                self._differ(DifferenceKind.CANCELLED_WITHOUT_LEASE, f"record {record.get('seq')}: {record['kind']}")

    def _set(self, command: dict[str, Any]) -> None:
        if command.get("grace_ms") is None:
            self._grace_ms.pop(command["session_id"], None)
        else:
            self._grace_ms[command["session_id"]] = command["grace_ms"]

    def _expired(self, record: dict[str, Any], at_ns: int) -> None:
        self.expired += 1
        session = record["input"]["session_id"]
        grace_ms = self._grace_ms.get(session)
        if grace_ms is None:
            self._differ(DifferenceKind.CANCELLED_WITHOUT_LEASE, f"session {session} has no lease")
            return
        since_ns = max(self._seen_ns.get(session, 0), self._started_ns)
        if at_ns - since_ns < grace_ms * _NS_PER_MS:
            away_ms = (at_ns - since_ns) / _NS_PER_MS
            self._differ(DifferenceKind.LEASE_EXPIRED_EARLY, f"session {session}: {away_ms:.1f} of {grace_ms} ms")
        for event in record["events"]:
            if event["event"] == "Closed" and self._session_of.get(_entry_of(event["order_id"])) != session:
                self._differ(DifferenceKind.CANCELLED_WITHOUT_LEASE, f"{event['order_id']} is not of session {session}")

    def _differ(self, kind: DifferenceKind, what: str) -> None:
        self.differences.append(Difference(kind, "journal", what))


def _entry_of(order_id: str) -> str:
    """A leg belongs to its entry's session."""
    return order_id.partition("·")[0]
