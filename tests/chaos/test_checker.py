"""The checker bites: each difference is found in books that were doctored to have it, and good books have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import DifferenceKind
from tests.chaos.doctored import (
    Doctored,
    answer,
    cancelled,
    end,
    intent,
    order,
    query,
    queued,
    rejected,
    reply,
    stored,
    taken,
    update,
)

Kind = DifferenceKind


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


def _resolution_rejected_as_another(books: Doctored) -> None:
    found = {"found": True, "fenced": False, "reply": stored("o1", "REJECTED", code="DUPLICATE_ORDER_ID")}
    books.first += [query(7, "o1"), answer(7, found), end(7)]


def _resolution_rejected_as_fenced(books: Doctored) -> None:
    found = {"found": True, "fenced": False, "reply": stored("o1", "REJECTED", code="FENCED")}
    books.first += [query(7, "o1"), answer(7, found), end(7)]


def test_the_resolution_of_another_order_under_a_known_id_is_that_it_was_another() -> None:
    books = Doctored()
    books.first += [intent(6, order("o1", quantity="6")), end(6, "OutcomeUnknownError", ids=["o1"])]
    _resolution_rejected_as_another(books)
    assert books.found() == set()


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


def _lease(session: str = "s", gone_ms: int = 300) -> list[dict[str, Any]]:
    """Session `s` has a lease of 300 ms; that of `session` expires so long after the last of it."""
    start_ns, closed = 1_000_000_000, {"event": "Closed", "order_id": "o1·SL", "code": "CANCELLED_ON_DISCONNECT"}
    return [
        {"kind": "Started", "time_ns": 1, "events": [], "venue_events": []},
        taken("o1", fills=[1]) | {"session_id": "s"},
        {
            "kind": "SetCancelOnDisconnect", "time_ns": start_ns, "session_id": "s", "events": [], "venue_events": [],
            "input": {"session_id": "s", "grace_ms": 300},
        },
        {
            "kind": "LeaseExpired", "time_ns": start_ns + gone_ms * 1_000_000, "venue_events": [],
            "input": {"session_id": session},
            "events": [{"event": "CommandRecorded", "command_id": "cancel-on-disconnect·1"}, closed],
        },
    ]  # fmt: skip


def test_a_lease_that_expired_in_its_time_is_no_difference() -> None:
    books = Doctored()
    books.records[:1] = _lease()
    assert books.found() == set()


def _lease_expired_early(books: Doctored) -> None:
    books.records[:1] = _lease(gone_ms=299)


def _lease_expired_right_after_a_start(books: Doctored) -> None:
    books.records[:1] = _lease(gone_ms=2_000)
    books.records.insert(3, {"kind": "Started", "time_ns": 2_900_000_000, "events": [], "venue_events": []})


def _lease_that_nobody_has(books: Doctored) -> None:
    books.records[:1] = _lease(session="other")


def _lease_took_the_order_of_another(books: Doctored) -> None:
    books.records[:1] = _lease()
    books.records[1]["session_id"] = "other"


def _cancelled_on_disconnect_without_a_lease(books: Doctored) -> None:
    closed = {"event": "Closed", "order_id": "o1", "code": "CANCELLED_ON_DISCONNECT"}
    books.records[3]["events"].append(closed)


def _reconciled(fills: list[list[Any]], missing: list[str], gap: str = "") -> dict[str, Any]:
    return {"e": "reconciled", "t": 1, "fills": fills, "missing": missing, "gap": gap}


def test_a_reconciliation_that_tells_of_a_fill_that_was_is_no_difference() -> None:
    books = Doctored()
    books.first.append(_reconciled([["o1", 1]], []))
    assert books.found() == set()


def _said_to_be_forgotten(books: Doctored) -> None:
    books.first.append(_reconciled([], ["o1"]))


def _reconciled_with_a_fill_that_never_was(books: Doctored) -> None:
    books.first.append(_reconciled([["o1", 2]], []))


def _reconciled_over_a_gap(books: Doctored) -> None:
    books.first.append(_reconciled([], [], gap="1 to 2"))


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
    (_resolution_rejected_as_another, Kind.REJECTED_AS_OTHER),
    (_resolution_rejected_as_fenced, Kind.REJECTED_AS_FENCED),
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
    (_lease_expired_early, Kind.LEASE_EXPIRED_EARLY),
    (_lease_expired_right_after_a_start, Kind.LEASE_EXPIRED_EARLY),
    (_lease_that_nobody_has, Kind.CANCELLED_WITHOUT_LEASE),
    (_lease_took_the_order_of_another, Kind.CANCELLED_WITHOUT_LEASE),
    (_cancelled_on_disconnect_without_a_lease, Kind.CANCELLED_WITHOUT_LEASE),
    (_said_to_be_forgotten, Kind.SAID_TO_BE_FORGOTTEN),
    (_reconciled_with_a_fill_that_never_was, Kind.RECONCILED_UNTRUE),
    (_reconciled_over_a_gap, Kind.UPDATE_GAP),
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
    assert set(Kind) - {kind for _, kind in DOCTORS} == {
        Kind.CLIENT_FAILED,
        Kind.ENGINE_FAILED,
        Kind.OPEN_AFTER_CANCEL_ALL,
    }
