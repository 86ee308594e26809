"""Each check fails on a history that was doctored for it, and none on the honest one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec
import pytest

from fallback_grpc.queue import Receipt
from fallback_grpc.reconciliation import MissingAtEngine, Reconciliation
from tests.simulation import schedule as plan
from tests.simulation.checker import CHECKS, check
from tests.simulation.facts import Ended, StateSet
from tests.simulation.history import Fill, History, Recovery
from tests.simulation.ledger import CommandBelief, Ending, OrderBelief
from tests.simulation.schedule import OrderPlan, Schedule, Settings
from tests.simulation.world import run
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.errors import NotSentError, OutcomeUnknownError
from transport.contract.replies import GetOrderReply, OrderUpdate, UpdateGap
from transport.contract.requests import RiskLimits

FILLED, RESTING, CANCELLED, QUEUED, EXPIRED, LEFT = range(1, 7)


def _order(
    number: int, order_type: str = "MARKET", price: str | None = None, expires_ms: float | None = None
) -> OrderPlan:
    return OrderPlan(
        number=number, symbol="SP500", order_type=order_type, side="BUY", quantity="1.5", price=price,
        expires_in_ms=expires_ms,
    )  # fmt: skip


SCHEDULE: Final = Schedule(
    settings=Settings(seed=1),
    actions=(
        plan.SetLimits(at_ms=4, symbol="SP500", max_order_quantity="3"),
        plan.Place(at_ms=5, order=_order(FILLED)),
        plan.Place(at_ms=6, order=_order(RESTING, "LIMIT", "100.00")),
        plan.Place(at_ms=7, order=_order(CANCELLED, "LIMIT", "101.00")),
        plan.Enqueue(at_ms=8, order=_order(QUEUED)),
        plan.Place(at_ms=9, order=_order(EXPIRED, expires_ms=0.001)),
        plan.Cancel(at_ms=20, number=CANCELLED),
        plan.Alter(at_ms=21, number=FILLED, quantity="2.5"),
        plan.Query(at_ms=22, number=RESTING, fence=True),
        plan.KillEngine(at_ms=30, down_ms=20),
        plan.Resend(at_ms=100, number=FILLED),
        plan.SetLease(at_ms=110, grace_ms=50),
        plan.Place(at_ms=120, order=_order(LEFT, "LIMIT", "102.00")),
        plan.KillClient(at_ms=150, client=0, down_ms=100),
    ),
)


@pytest.fixture(scope="module")
def honest() -> History:
    return run(SCHEDULE).history


def _command(history: History, what: str) -> CommandBelief:
    return next(command for command in history.ledger.commands if command.call.what == what)


def _belief(history: History, number: int) -> OrderBelief:
    return history.ledger.by_number[number]


def _id(history: History, number: int) -> str:
    return _belief(history, number).order.order_id


# ---- what is done to a history; each under the name of the check that must see it ----


def nothing_impossible_happened(history: History) -> None:
    history.problems.append("the engine does not start")


def acknowledged_orders_are_in_the_journal(history: History) -> None:
    del history.journal.admitted[_id(history, FILLED)]


def orders_execute_once(history: History) -> None:
    fills = history.exchange[_id(history, FILLED)]
    fills.append(fills[0])


def no_order_is_overfilled(history: History) -> None:
    fills = history.exchange[_id(history, FILLED)]
    fills.append(Fill(99_999, Decimal("0.001"), fills[0].price))


def orders_come_from_the_clients(history: History) -> None:
    history.exchange["nobody's"] = [Fill(1, Decimal(1), Decimal(1))]


def replies_say_what_the_journal_says(history: History) -> None:
    history.journal.replies[_id(history, FILLED)]["executed_quantity"] = "0.5"


def altered_orders_are_rejected(history: History) -> None:
    altered = _belief(history, FILLED).altered
    altered[0] = msgspec.structs.replace(altered[0], status=ExecutionStatus.FILLED, code=ReasonCode.NONE)


def nothing_denied_was_executed(history: History) -> None:
    for call in _belief(history, FILLED).calls:
        call.fail(call.ended_ns, NotSentError("never left"))


def fenced_orders_never_execute(history: History) -> None:
    history.journal.fences[_id(history, FILLED)] = 3


def cancelled_orders_do_not_fill_afterwards(history: History) -> None:
    order_id = _id(history, CANCELLED)
    history.journal.last_fill_record[order_id] = history.journal.ended[order_id][0] + 1


def expired_orders_do_not_execute(history: History) -> None:
    belief = _belief(history, FILLED)
    admitted_ns = history.journal.admitted[belief.order.order_id][0].time_ns
    belief.order = msgspec.structs.replace(belief.order, expires_at_ns=admitted_ns)


def the_account_was_told_what_the_exchange_did(history: History) -> None:
    history.journal.fills[_id(history, FILLED)].clear()


def updates_come_once_and_in_order(history: History) -> None:
    items = history.ledger.updates[0].items
    items.insert(2, items[1])


def updates_arrive(history: History) -> None:
    history.ledger.updates[0].reached -= 1


def gaps_are_followed_by_a_snapshot(history: History) -> None:
    heard = history.ledger.updates[0]
    last = next(i for i, each in enumerate(heard.items) if isinstance(each, OrderUpdate) and each.sequence == 3)
    heard.items[: last + 1] = [UpdateGap(1, 3)]


def doubts_are_resolved(history: History) -> None:
    belief = _belief(history, RESTING)
    belief.resolved = None
    for call in belief.calls:
        call.fail(call.ended_ns, OutcomeUnknownError("no answer"))


def the_queue_tells_each_order_once(history: History) -> None:
    told = _belief(history, QUEUED).told
    told.append(Receipt(number=told[0].number, order_id=told[0].order_id))
    told.append(msgspec.structs.replace(told[-2]))


def calls_end_in_time(history: History) -> None:
    _belief(history, FILLED).calls[0].ending = Ending.OPEN


def commands_apply_once(history: History) -> None:
    records = history.journal.commands[history.ledger.commands[0].command_id]
    records.append(records[0])


def the_engine_says_at_the_end_what_the_journal_says(history: History) -> None:
    history.ledger.final[_id(history, FILLED)] = GetOrderReply(found=False)


def verify_agrees(history: History) -> None:
    history.verified = "record 7: the events differ"


def forgetting_is_loud(history: History) -> None:
    history.forgot, history.engine_last_sequence = True, 1


def a_start_from_a_snapshot_stands_where_replay_does(history: History) -> None:
    history.recoveries.append(Recovery(40, 1, "one state", "another", ""))


def no_order_is_taken_beyond_a_limit(history: History) -> None:
    limits = _command(history, "limits")
    limits.limits = RiskLimits(max_order_quantity=Decimal("0.1"))


def a_halted_account_takes_no_orders(history: History) -> None:
    history.journal.control.insert(0, StateSet(1, "HALTED", False))


def leases_expire_for_who_is_gone(history: History) -> None:
    (record,) = history.lease_looks
    history.lease_looks[record] = history.lease_looks[record]._replace(connected=frozenset({"session-0-1"}))


def nothing_stays_open_of_who_is_gone(history: History) -> None:
    left = _id(history, LEFT)
    history.journal.control = [
        fact for fact in history.journal.control if not (isinstance(fact, Ended) and fact.order_id == left)
    ]


def reconciliations_tell_what_the_journal_says(history: History) -> None:
    reply = _belief(history, RESTING).replies[0]
    missing = MissingAtEngine(reply.order_id, reply)
    report = Reconciliation(began_sequence=0, ended_sequence=1, differences=(missing,))
    history.ledger.reconciled[0].reports.append(report)


def who_reconciles_misses_nothing(history: History) -> None:
    history.settings = msgspec.structs.replace(history.settings, reconciles=True, subscribes=False)
    nothing = Reconciliation(began_sequence=0, ended_sequence=history.engine_last_sequence)
    history.ledger.reconciled[0].reports = [nothing]
    history.ledger.final.clear()  # they tell of the end of each order


DOCTORS: Final[dict[str, Callable[[History], None]]] = {
    doctor.__name__: doctor
    for doctor in (
        nothing_impossible_happened, acknowledged_orders_are_in_the_journal, orders_execute_once,
        no_order_is_overfilled, orders_come_from_the_clients, replies_say_what_the_journal_says,
        altered_orders_are_rejected, nothing_denied_was_executed, fenced_orders_never_execute,
        cancelled_orders_do_not_fill_afterwards, expired_orders_do_not_execute,
        the_account_was_told_what_the_exchange_did, updates_come_once_and_in_order, updates_arrive,
        gaps_are_followed_by_a_snapshot, doubts_are_resolved, the_queue_tells_each_order_once, calls_end_in_time,
        commands_apply_once, the_engine_says_at_the_end_what_the_journal_says, verify_agrees, forgetting_is_loud,
        a_start_from_a_snapshot_stands_where_replay_does, no_order_is_taken_beyond_a_limit,
        a_halted_account_takes_no_orders, leases_expire_for_who_is_gone, nothing_stays_open_of_who_is_gone,
        reconciliations_tell_what_the_journal_says, who_reconciles_misses_nothing,
    )
}  # fmt: skip


def test_an_honest_history_passes_and_has_everything_in_it(honest: History) -> None:
    assert check(honest) == []
    assert honest.exchange[_id(honest, FILLED)] and _belief(honest, FILLED).altered and _belief(honest, QUEUED).told
    assert _belief(honest, EXPIRED).replies[0].code == ReasonCode.EXPIRED
    assert len(_belief(honest, FILLED).calls) == 2 and honest.ledger.final


def test_every_check_has_its_doctor() -> None:
    assert sorted(DOCTORS) == sorted(CHECKS)


@pytest.mark.parametrize("name", sorted(DOCTORS))
def test_a_doctored_history_fails_its_check(name: str, honest: History) -> None:
    history = copy.deepcopy(honest)
    DOCTORS[name](history)
    assert name in {violation.check for violation in check(history)}
