"""Ledgers and a journal that agree, for tests to doctor."""

from __future__ import annotations

from typing import Any

from tests.chaos.actors.books import ClientBook
from tests.chaos.checker import Books, DifferenceKind, check
from tests.chaos.checker.books import JournalBook


class Doctored:
    """Two clients' ledgers and a journal that agree: an order filled, one without an end, fenced; a cancel; updates."""

    def __init__(self) -> None:
        self.first: list[Any] = [
            {"e": "started", "t": 1, "life": 1}, {"e": "subscribed", "t": 2, "after": 0},
            intent(1, order("o1")), reply(1, stored("o1", sequence=2)), end(1),
            intent(2, order("o2"), call="order"), end(2, "OutcomeUnknownError", ids=["o2"]),
            query(3, "o2"), answer(3, {"found": False, "fenced": True, "order": None, "reply": None}), end(3),
            command(4, "c1", "o3"), answer(4, cancelled("c1")), end(4),
            intent(5, order("o4")), end(5, "NotSentError"),
            update(1, "ACCEPTED", "o1", "PENDING", "0"), update(2, "FILL", "o1", "FILLED", "5", fill=True),
        ]  # fmt: skip
        self.second: list[Any] = [
            {"e": "started", "t": 1, "life": 1}, {"e": "subscribed", "t": 2, "after": 0},
            intent(1, order("o3", quantity="7")), reply(1, stored("o3", "REJECTED")), end(1),
            intent(2, order("o1")), reply(2, stored("o1", sequence=2)), end(2),
            intent(3, order("q1"), call="put"), end(3),
            queued("Receipt", "q1"), queued("Result", "q1", reply=stored("q1", "REJECTED")),
            command(4, "c2", "q1", call="queue cancel"), end(4),
            queued("CancelResult", "q1", command_id="c2", reply=cancelled("c2")),
            intent(5, order("q2"), call="put"), end(5), queued("Withdrawn", "q2"),
            update(1, "ACCEPTED", "o1", "PENDING", "0"), update(2, "FILL", "o1", "FILLED", "5", fill=True),
        ]  # fmt: skip
        self.records: list[dict[str, Any]] = [
            taken("o1", fills=[1]),
            {"kind": "Fence", "time_ns": 50, "events": [{"event": "Fenced", "order_id": "o2"}], "venue_events": []},
            rejected("o3", quantity="7"),
            cancel("c1"),
            rejected("q1"),
            cancel("c2"),
        ]  # fmt: skip
        self.last_sequence = 2
        self.verified: dict[str, Any] = {"records": 4}

    def found(self) -> set[DifferenceKind]:
        """What the checker says of these books."""
        clients = {name: ClientBook.read(name, entries) for name, entries in (("a", self.first), ("b", self.second))}
        books = Books(clients, JournalBook.read(self.records), self.last_sequence, self.verified)
        return {difference.kind for difference in check(books)}


def order(order_id: str, quantity: str = "5", **more: Any) -> dict[str, Any]:
    return {
        "order_id": order_id, "symbol": "NASDAQ", "order_type": "MARKET", "side": "BUY", "quantity": quantity,
        "time_in_force": "GTC",
    } | more  # fmt: skip


def stored(order_id: str, status: str = "FILLED", **more: Any) -> dict[str, Any]:
    executed = "5" if status == "FILLED" else "0"
    return {"order_id": order_id, "status": status, "code": "NONE", "executed_quantity": executed, "sequence": 2} | more


def cancelled(command_id: str, **more: Any) -> dict[str, Any]:
    return {"command_id": command_id, "code": "NONE", "duplicate": False, "order": stored("o3", "REJECTED")} | more


def intent(number: int, *orders: dict[str, Any], call: str = "order") -> dict[str, Any]:
    return {"e": "intent", "t": number * 10, "n": number, "call": call, "orders": list(orders)}


def query(number: int, order_id: str) -> dict[str, Any]:
    return {"e": "intent", "t": number * 10, "n": number, "call": "fence", "command": {"order_id": order_id}}


def queued(what: str, order_id: str, command_id: str = "", *, recovered: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "e": "queued",
        "t": 9,
        "what": what,
        "id": order_id,
        "command_id": command_id,
        "recovered": recovered,
    } | more


def rejected(order_id: str, **content: Any) -> dict[str, Any]:
    return {
        "kind": "ExecuteOrder", "time_ns": 60, "input": order(order_id, **content), "venue_events": [],
        "events": [{"event": "OrderRejected", "order_id": order_id}], "reply": stored(order_id, "REJECTED"),
    }  # fmt: skip


def cancel(command_id: str) -> dict[str, Any]:
    return {
        "kind": "CancelOrder", "time_ns": 70, "venue_events": [], "reply": cancelled(command_id),
        "events": [{"event": "CommandRecorded", "command_id": command_id}],
    }  # fmt: skip


def command(number: int, command_id: str, order_id: str, call: str = "cancel_order") -> dict[str, Any]:
    words = {"command_id": command_id, "order_id": order_id}
    return {"e": "intent", "t": number * 10, "n": number, "call": call, "command": words}


def reply(number: int, words: dict[str, Any]) -> dict[str, Any]:
    return {"e": "reply", "t": number * 10 + 1, "n": number, "reply": words}


def answer(number: int, words: dict[str, Any]) -> dict[str, Any]:
    return {"e": "answer", "t": number * 10 + 1, "n": number, "answer": words}


def end(number: int, how: str = "done", **more: Any) -> dict[str, Any]:
    return {"e": "end", "t": number * 10 + 2, "n": number, "how": how} | more


def update(sequence: int, kind: str, order_id: str, status: str, executed: str, *, fill: bool = False) -> list[Any]:
    quantity, price = ("5", "100") if fill else (None, None)
    return ["u", 99, sequence, kind, order_id, 1 if fill else 0, quantity, price, status, executed]


def taken(order_id: str, fills: list[int], **more: Any) -> dict[str, Any]:
    executions = [{"order_id": order_id, "execution_id": fill, "quantity": "5", "price": "100"} for fill in fills]
    return {
        "kind": "ExecuteOrder",
        "time_ns": 40,
        "input": order(order_id, **more),
        "events": [
            {"event": "OrderOpened", "order_id": order_id, "quantity": "5"},
            *({"event": "Filled"} | one for one in executions),
        ],
        "venue_events": [
            {"venue_event": "Opened", "order_id": order_id},
            *({"venue_event": "Trade", "fills": [one]} for one in executions),
        ],
        "reply": stored(order_id),
    }
