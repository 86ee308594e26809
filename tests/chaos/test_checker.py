"""The checker bites: each difference is found in books that were doctored to have it, and good books have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.actors.books import ClientBook
from tests.chaos.checker import Books, DifferenceKind, check
from tests.chaos.checker.books import JournalBook

Kind = DifferenceKind


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


def test_books_that_agree_have_no_difference() -> None:
    assert Doctored().found() == set()


def _without_events(entries: list[Any], number: int, *events: str) -> None:
    unwanted = [(number, event) for event in events]
    entries[:] = [one for one in entries if isinstance(one, list) or (one.get("n"), one["e"]) not in unwanted]


def _lost_in_the_journal(books: Doctored) -> None:
    del books.records[0]


def _command_lost(books: Doctored) -> None:
    del books.records[3]


def _update_skipped(books: Doctored) -> None:
    del books.first[-2]


def _last_update_missing(books: Doctored) -> None:
    books.last_sequence = 3


def _gap_told(books: Doctored) -> None:
    books.first.append({"e": "gap", "t": 1, "first": 1, "last": 2})


def _taken_again(books: Doctored) -> None:
    books.records.append(taken("o1", fills=[]) | {"venue_events": []})


def _opened_again(books: Doctored) -> None:
    books.records[0]["venue_events"].append({"venue_event": "Opened", "order_id": "o1"})


def _same_execution_again(books: Doctored) -> None:
    books.records[0]["venue_events"].append(books.records[0]["venue_events"][1])


def _filled_once_more(books: Doctored) -> None:
    more = {"order_id": "o1", "execution_id": 9, "quantity": "1", "price": "100"}
    books.records[0]["venue_events"].append({"venue_event": "Trade", "fills": [more]})


def _command_again(books: Doctored) -> None:
    books.records.append(books.records[3])


def _update_delivered_again(books: Doctored) -> None:
    books.first.append(update(1, "ACCEPTED", "o1", "PENDING", "0"))


def _killed_before_the_end(books: Doctored) -> None:
    books.first.append(intent(6, order("o6")))


def _never_resolved(books: Doctored) -> None:
    _without_events(books.first, 3, "intent", "answer", "end")


def _command_never_answered(books: Doctored) -> None:
    _without_events(books.first, 4, "answer")


def _told_another_reply(books: Doctored) -> None:
    books.second[6]["reply"] = stored("o1", sequence=3)


def _told_another_answer(books: Doctored) -> None:
    books.first[11]["answer"] = cancelled("c1", code="ORDER_CLOSED")


def _query_tells_another(books: Doctored) -> None:
    found = {"found": True, "fenced": False, "order": None, "reply": stored("o1", "CANCELLED")}
    books.first += [query(7, "o1"), answer(7, found), end(7)]


def _executed_though_not_sent(books: Doctored) -> None:
    books.records.append(taken("o4", fills=[]))


def _executed_though_refused(books: Doctored) -> None:
    books.first += [intent(7, order("o7")), end(7, "ExecutionError", code="BUSY"), *()]
    books.records.append(taken("o7", fills=[]))


def _executed_though_failed_in_a_batch(books: Doctored) -> None:
    refused = stored("o7", "FAILED", code="BUSY")
    books.first += [intent(7, order("o7"), call="batch"), reply(7, refused), end(7)]
    books.records.append(taken("o7", fills=[]))


def _executed_though_not_among_the_doubtful(books: Doctored) -> None:
    books.first += [intent(7, order("o7"), call="stream"), end(7, "OutcomeUnknownError", ids=["o8"])]
    books.records.append(taken("o7", fills=[]))


def _executed_though_fenced(books: Doctored) -> None:
    books.records.append(taken("o2", fills=[]))


def _fence_forgotten(books: Doctored) -> None:
    del books.records[1]


def _rejected_as_fenced_without_a_fence(books: Doctored) -> None:
    books.first += [intent(7, order("o7")), reply(7, stored("o7", "REJECTED", code="FENCED")), end(7)]


def _rejected_as_another_though_it_is_the_same(books: Doctored) -> None:
    rejected = stored("o1", "REJECTED", code="DUPLICATE_ORDER_ID")
    books.first += [intent(7, order("o1")), reply(7, rejected), end(7)]


def _taken_too_late(books: Doctored) -> None:
    books.first += [intent(7, order("o7", expires_at_ns=39)), reply(7, stored("o7")), end(7)]
    books.records.append(taken("o7", fills=[], expires_at_ns=39))


def _taken_with_another_content(books: Doctored) -> None:
    books.records[0]["input"] = order("o1", quantity="6")


def _order_from_nowhere(books: Doctored) -> None:
    books.records.append(taken("o9", fills=[]))


def _command_from_nowhere(books: Doctored) -> None:
    books.records.append({"kind": "CancelOrder", "venue_events": [], "events": [
        {"event": "CommandRecorded", "command_id": "c9"},
    ]})  # fmt: skip


def _told_of_another_price(books: Doctored) -> None:
    books.records[0]["events"][1] = books.records[0]["events"][1] | {"price": "101"}


def _heard_of_another_price(books: Doctored) -> None:
    books.first[-1] = [*books.first[-1][:7], "101", *books.first[-1][8:]]


def _told_another_state(books: Doctored) -> None:
    books.first[-1] = [*books.first[-1][:9], "4"]


def _subscription_broke(books: Doctored) -> None:
    books.first.append({"e": "updates ended", "t": 1, "problem": "EngineSystemError: DATA_LOSS", "came": 0})


def _subscription_broke_off(books: Doctored) -> None:
    books.first.append({"e": "updates ended", "t": 1, "problem": "NotSentError: gone", "came": 1})


def _surprised(books: Doctored) -> None:
    books.first.append({"e": "surprise", "t": 1, "n": 1, "what": "KeyError: 1"})


def _ended_strangely(books: Doctored) -> None:
    books.first += [intent(7, order("o4")), end(7, "WireDecodeError"), query(8, "o4")]


def _state_regressed(books: Doctored) -> None:
    books.first += [intent(7, order("o4")), end(7, "StateRegressedError")]


def _queue_told_no_end(books: Doctored) -> None:
    books.second[:] = [one for one in books.second if isinstance(one, list) or one.get("what") != "Result"]


def _queue_cancel_told_no_end(books: Doctored) -> None:
    books.second[:] = [one for one in books.second if isinstance(one, list) or one.get("what") != "CancelResult"]


def _queue_sent_what_it_never_told_of(books: Doctored) -> None:
    books.second.append(intent(7, order("q7"), call="put"))
    books.records.append(rejected("q7"))


def _queue_told_the_end_again(books: Doctored) -> None:
    books.second.append(queued("Result", "q1", reply=stored("q1", "REJECTED")))


def _queue_told_another_end(books: Doctored) -> None:
    books.second.append(queued("Refused", "q1", recovered=True))


def _queue_told_another_reply(books: Doctored) -> None:
    books.second.append(queued("Result", "q1", reply=stored("q1", "FILLED"), recovered=True))


def _queue_told_another_answer(books: Doctored) -> None:
    books.second.append(queued("CancelResult", "q1", "c2", reply=cancelled("c2", code="FENCED"), recovered=True))


def _queue_told_of_a_receipt_that_is_none(books: Doctored) -> None:
    books.second += [intent(7, order("q7"), call="put"), queued("Receipt", "q7")]


def _queue_withdrew_what_executed(books: Doctored) -> None:
    books.records.append(rejected("q2"))


def _queue_told_of_an_order_from_nowhere(books: Doctored) -> None:
    books.second.append(queued("Result", "q9", reply=stored("q9")))


def _queue_cancel_lost(books: Doctored) -> None:
    del books.records[-1]


def _verify_found_nothing(books: Doctored) -> None:
    books.verified = {}


DOCTORS = [
    (_lost_in_the_journal, Kind.ACKNOWLEDGED_LOST),
    (_command_lost, Kind.COMMAND_LOST),
    (_update_skipped, Kind.UPDATE_HOLE),
    (_last_update_missing, Kind.UPDATES_MISSING),
    (_gap_told, Kind.UPDATE_GAP),
    (_taken_again, Kind.EXECUTED_TWICE),
    (_opened_again, Kind.OPENED_TWICE),
    (_same_execution_again, Kind.FILLED_TWICE),
    (_filled_once_more, Kind.OVERFILLED),
    (_command_again, Kind.COMMAND_TWICE),
    (_update_delivered_again, Kind.UPDATE_REPEATED),
    (_killed_before_the_end, Kind.UNRESOLVED),
    (_never_resolved, Kind.UNRESOLVED),
    (_command_never_answered, Kind.COMMAND_UNRESOLVED),
    (_told_another_reply, Kind.REPLY_DIFFERS),
    (_told_another_answer, Kind.COMMAND_REPLY_DIFFERS),
    (_query_tells_another, Kind.QUERY_DIFFERS),
    (_executed_though_not_sent, Kind.EXECUTED_UNSENT),
    (_executed_though_refused, Kind.EXECUTED_UNSENT),
    (_executed_though_failed_in_a_batch, Kind.EXECUTED_UNSENT),
    (_executed_though_not_among_the_doubtful, Kind.EXECUTED_UNSENT),
    (_executed_though_fenced, Kind.EXECUTED_FENCED),
    (_fence_forgotten, Kind.FENCE_UNRECORDED),
    (_rejected_as_fenced_without_a_fence, Kind.REJECTED_AS_FENCED),
    (_rejected_as_another_though_it_is_the_same, Kind.REJECTED_AS_OTHER),
    (_taken_too_late, Kind.EXECUTED_EXPIRED),
    (_taken_with_another_content, Kind.CONTENT_DIFFERS),
    (_order_from_nowhere, Kind.FROM_NOWHERE),
    (_command_from_nowhere, Kind.FROM_NOWHERE),
    (_told_of_another_price, Kind.FILLS_DIFFER),
    (_heard_of_another_price, Kind.FILLS_HEARD_DIFFER),
    (_heard_of_another_price, Kind.UPDATES_DISAGREE),
    (_told_another_state, Kind.STATE_DIFFERS),
    (_subscription_broke, Kind.SUBSCRIPTION_ENDED),
    (_subscription_broke_off, Kind.SUBSCRIPTION_ENDED),
    (_surprised, Kind.SURPRISE),
    (_ended_strangely, Kind.UNEXPECTED_END),
    (_state_regressed, Kind.UNEXPECTED_END),
    (_queue_told_no_end, Kind.UNRESOLVED),
    (_queue_cancel_told_no_end, Kind.UNRESOLVED),
    (_queue_sent_what_it_never_told_of, Kind.UNRESOLVED),
    (_queue_told_the_end_again, Kind.TOLD_AFTER_THE_END),
    (_queue_told_another_end, Kind.TOLD_TWO_ENDS),
    (_queue_told_another_reply, Kind.REPLY_DIFFERS),
    (_queue_told_another_answer, Kind.COMMAND_REPLY_DIFFERS),
    (_queue_told_of_a_receipt_that_is_none, Kind.ACKNOWLEDGED_LOST),
    (_queue_withdrew_what_executed, Kind.EXECUTED_UNSENT),
    (_queue_told_of_an_order_from_nowhere, Kind.FROM_NOWHERE),
    (_queue_cancel_lost, Kind.COMMAND_LOST),
    (_verify_found_nothing, Kind.VERIFY_FAILED),
]


@pytest.mark.parametrize(("doctor", "kind"), DOCTORS)
def test_each_difference_is_found_in_books_that_were_doctored_to_have_it(
    doctor: Callable[[Doctored], None], kind: DifferenceKind
) -> None:
    books = Doctored()
    doctor(books)
    assert kind in books.found()


def test_a_subscription_that_could_not_be_sent_and_is_made_again_is_no_difference() -> None:
    books = Doctored()
    books.first.append({"e": "updates ended", "t": 1, "problem": "NotSentError: no path", "came": 0})
    assert books.found() == set()


def test_every_name_of_a_difference_has_a_test_but_for_those_of_processes() -> None:
    assert set(Kind) - {kind for _, kind in DOCTORS} == {Kind.CLIENT_FAILED, Kind.ENGINE_FAILED}
