"""The plan of one call by itself, with virtual time: what is sent where and when, and how calls end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.hedging import HedgeBudget
from fallback_grpc.failover.plan import CallPlan, Conclude, Ending, PlanPolicy, Send, Wait
from fallback_grpc.outcome import Subject, error_of
from fallback_grpc.reconciliation.telling import is_final
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Refused
from transport.contract.errors import AuthenticationError, ExecutionBridgeError, NetworkError
from transport.contract.replies import Path
from transport.contract.retries import NO_RETRIES, RetryRule, RetryTable

BOTH: tuple[Path, ...] = ("zmq", "grpc")
POLICY = PlanPolicy(
    retries=RetryTable(
        network=RetryRule(max_retries=3, backoff="exponential", first_delay_ms=20),
        execution=RetryRule(max_retries=1, backoff="linear", first_delay_ms=50),
    ),
    doubt_pause_ms=10,
    doubt_max_pause_ms=100,
    patience_ms=500,
)
DEADLINE_MS = 2_000
RESOLVING = replace(POLICY, resolution_ms=1_000)
RESOLVED_BY_MS = DEADLINE_MS + 1_000
HEDGING = replace(RESOLVING, hedge_after_us=5_000)


def ms(value: float) -> int:
    return int(value * NS_PER_MS)


def make(policy: PlanPolicy = POLICY, *, in_doubt: bool = False, budget: HedgeBudget | None = None) -> CallPlan:
    return CallPlan(policy, deadline_ns=ms(DEADLINE_MS), in_doubt=in_doubt, budget=budget)


def saved(hedges: float = 1) -> HedgeBudget:
    """A budget that allows so many hedges."""
    budget = HedgeBudget(hedges)
    budget.earn()
    return budget


def sent(plan: CallPlan, now_ms: float = 0, usable: tuple[Path, ...] = BOTH) -> Send:
    step = plan.next_step(ms(now_ms), usable)
    assert isinstance(step, Send), step
    return step


def test_the_first_copy_goes_at_once_on_the_preferred_path() -> None:
    assert sent(make()).path == "zmq"


def test_a_reply_ends_the_call() -> None:
    plan = make()
    copy = sent(plan).copy
    plan.copy_ended(copy, Ending.REPLIED, ms(1))
    assert plan.next_step(ms(1), BOTH) == Conclude(Ending.REPLIED, copy)


def test_a_copy_in_flight_when_another_replies_may_yet_be_executed() -> None:
    plan = make()
    first = sent(plan).copy
    assert plan.may_have_executed
    second = sent(plan, 600).copy
    plan.copy_ended(second, Ending.REPLIED, ms(601))
    assert plan.may_have_executed and not plan.in_doubt
    plan.copy_ended(first, Ending.NOT_SENT, ms(602))
    assert not plan.may_have_executed, "the copy that replied does not count"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ReasonCode.JOURNAL_ID_MISMATCH, NetworkError),
        (ReasonCode.UNAUTHENTICATED, NetworkError),
        (ReasonCode.PERMISSION_DENIED, AuthenticationError),
    ],
)
def test_a_query_with_a_silent_copy_does_not_end_in_what_the_other_path_alone_refuses(
    code: ReasonCode, error: type[ExecutionBridgeError]
) -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.UNKNOWN, ms(1))
    plan.copy_ended(sent(plan, 1).copy, Ending.REFUSED, ms(2), code)
    end = plan.next_step(ms(DEADLINE_MS), BOTH)
    assert end == Conclude(Ending.UNKNOWN, 1)
    problem = error_of(plan, Ending.UNKNOWN, Refused(code), Subject(is_query=True), path_alive=True)
    assert type(problem) is error and not is_final(problem), "a reconciliation asks again"
    assert code.name in str(problem)


def test_an_unanswered_copy_is_followed_at_once_by_one_on_the_other_path() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.UNKNOWN, ms(3))
    assert sent(plan, 3).path == "grpc"


def test_a_copy_that_was_not_sent_moves_to_the_other_path_without_pause() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.NOT_SENT, ms(3))
    assert sent(plan, 3).path == "grpc"


def test_a_refusal_does_not_end_a_call_that_is_in_doubt() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.UNKNOWN, ms(1))
    plan.copy_ended(sent(plan, 1).copy, Ending.REFUSED, ms(2), ReasonCode.BUSY)
    step = plan.next_step(ms(2), BOTH)
    assert isinstance(step, Wait)
    again = sent(plan, step.until_ns / NS_PER_MS)
    plan.copy_ended(again.copy, Ending.REPLIED, ms(50))
    assert plan.next_step(ms(50), BOTH) == Conclude(Ending.REPLIED, again.copy)


def test_a_refusal_for_good_ends_a_call_without_doubt_at_once() -> None:
    plan = make()
    copy = sent(plan).copy
    plan.copy_ended(copy, Ending.REFUSED, ms(1), ReasonCode.PERMISSION_DENIED)
    assert plan.next_step(ms(1), BOTH) == Conclude(Ending.REFUSED, copy)


def test_busy_is_tried_once_more_after_a_pause_and_then_reported() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.REFUSED, ms(1), ReasonCode.BUSY)
    assert plan.next_step(ms(1), BOTH) == Wait(ms(51), for_path=False)
    copy = sent(plan, 51).copy
    plan.copy_ended(copy, Ending.REFUSED, ms(52), ReasonCode.BUSY)
    assert plan.next_step(ms(52), BOTH) == Conclude(Ending.REFUSED, copy)


def test_a_wrong_journal_on_one_path_is_tried_on_the_other() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.REFUSED, ms(1), ReasonCode.JOURNAL_ID_MISMATCH)
    assert sent(plan, 1, ("grpc",)).path == "grpc"


def test_without_retries_a_copy_that_was_not_sent_ends_the_call() -> None:
    plan = make(PlanPolicy(retries=NO_RETRIES))
    copy = sent(plan).copy
    plan.copy_ended(copy, Ending.NOT_SENT, ms(1))
    assert plan.next_step(ms(1), BOTH) == Conclude(Ending.NOT_SENT, copy)


def test_with_every_path_dead_an_unsent_call_fails_fast_as_not_sent() -> None:
    plan, now_ns = make(), 0
    while isinstance(step := plan.next_step(now_ns, ()), Wait):
        now_ns = step.until_ns
    assert step == Conclude(Ending.NOT_SENT, None)
    assert now_ns == ms(20 + 40 + 80)


def test_with_every_path_dead_a_call_in_doubt_waits_for_a_path_until_its_deadline() -> None:
    plan = make()
    plan.copy_ended(sent(plan).copy, Ending.UNKNOWN, ms(1))
    step = plan.next_step(ms(11), ())
    assert step == Wait(ms(DEADLINE_MS), for_path=True)
    assert isinstance(plan.next_step(ms(DEADLINE_MS), ()), Conclude)
    assert plan.next_step(ms(DEADLINE_MS), ()) == Conclude(Ending.UNKNOWN, 0)


def test_a_path_that_comes_back_is_used_by_a_call_in_doubt() -> None:
    plan = make()
    plan.copy_ended(sent(plan, usable=("zmq",)).copy, Ending.UNKNOWN, ms(1))
    assert isinstance(plan.next_step(ms(20), ()), Wait)
    assert sent(plan, 900, ("zmq",)).path == "zmq"


def test_a_copy_without_an_answer_gets_company_when_patience_ends() -> None:
    plan = make()
    first = sent(plan)
    assert first.patience_until_ns == ms(500)
    assert plan.next_step(ms(499), BOTH) == Wait(ms(500), for_path=True)
    assert sent(plan, 500).path == "grpc"
    plan.copy_ended(first.copy, Ending.REPLIED, ms(501))
    assert plan.next_step(ms(501), BOTH) == Conclude(Ending.REPLIED, first.copy)


def test_without_another_path_patience_lasts_to_the_deadline() -> None:
    plan = make()
    assert sent(plan, usable=("grpc",)).patience_until_ns == ms(DEADLINE_MS)


def test_a_copy_still_in_flight_at_the_deadline_is_unknown_even_if_another_was_refused() -> None:
    plan = make()
    sent(plan)
    plan.copy_ended(sent(plan, 500).copy, Ending.REFUSED, ms(501), ReasonCode.BUSY)
    step = plan.next_step(ms(DEADLINE_MS), BOTH)
    assert isinstance(step, Conclude) and step.ending is Ending.UNKNOWN


def test_a_call_that_begins_in_doubt_is_never_concluded_by_a_refusal() -> None:
    plan = make(in_doubt=True)
    plan.copy_ended(sent(plan).copy, Ending.REFUSED, ms(1), ReasonCode.PERMISSION_DENIED)
    assert not isinstance(plan.next_step(ms(1), BOTH), Conclude)


def test_a_late_reply_to_a_copy_given_up_ends_the_call() -> None:
    plan = make()
    first = sent(plan).copy
    plan.copy_ended(first, Ending.UNKNOWN, ms(1))
    sent(plan, 1)
    plan.copy_ended(first, Ending.REPLIED, ms(2))
    assert plan.next_step(ms(2), BOTH) == Conclude(Ending.REPLIED, first)


# ---- in doubt at the deadline ----


def test_a_call_in_doubt_at_its_deadline_goes_on_while_a_path_is_alive() -> None:
    plan = make(RESOLVING)
    plan.copy_ended(sent(plan, usable=("zmq",)).copy, Ending.UNKNOWN, ms(DEADLINE_MS))
    again = sent(plan, DEADLINE_MS + 10, usable=("zmq",))
    assert again.until_ns == ms(RESOLVED_BY_MS)
    plan.copy_ended(again.copy, Ending.REPLIED, ms(DEADLINE_MS + 11))
    assert plan.next_step(ms(DEADLINE_MS + 11), ("zmq",)) == Conclude(Ending.REPLIED, again.copy)


def test_with_every_path_dead_at_the_deadline_the_call_is_unknown_at_once() -> None:
    plan = make(RESOLVING)
    copy = sent(plan, usable=("zmq",)).copy
    plan.copy_ended(copy, Ending.UNKNOWN, ms(1))
    assert plan.next_step(ms(DEADLINE_MS), ()) == Conclude(Ending.UNKNOWN, copy)


def test_the_last_path_that_dies_while_it_resolves_ends_the_call_as_unknown() -> None:
    plan = make(RESOLVING)
    plan.copy_ended(sent(plan, usable=("zmq",)).copy, Ending.UNKNOWN, ms(DEADLINE_MS))
    copy = sent(plan, DEADLINE_MS + 10, usable=("zmq",)).copy
    assert isinstance(plan.next_step(ms(DEADLINE_MS + 11), ("zmq",)), Wait)
    step = plan.next_step(ms(DEADLINE_MS + 12), ())
    assert isinstance(step, Conclude) and step.ending is Ending.UNKNOWN
    assert copy == 1


def test_resolving_has_its_bound() -> None:
    plan = make(RESOLVING)
    sent(plan, usable=("zmq",))
    assert isinstance(plan.next_step(ms(RESOLVED_BY_MS - 1), ("zmq",)), Wait)
    step = plan.next_step(ms(RESOLVED_BY_MS), ("zmq",))
    assert isinstance(step, Conclude) and step.ending is Ending.UNKNOWN


def test_a_call_without_doubt_ends_at_its_deadline_whatever_is_alive() -> None:
    plan = make(RESOLVING)
    copy = sent(plan).copy
    plan.copy_ended(copy, Ending.REFUSED, ms(DEADLINE_MS - 1), ReasonCode.BUSY)
    assert plan.next_step(ms(DEADLINE_MS), BOTH) == Conclude(Ending.REFUSED, copy)


def test_refused_for_good_on_every_path_in_doubt_it_ends_early_as_unknown_for_a_fence_to_settle() -> None:
    plan = make(in_doubt=True)
    plan.copy_ended(sent(plan).copy, Ending.REFUSED, ms(1), ReasonCode.PERMISSION_DENIED)
    second = sent(plan, 1)
    assert second.path == "grpc"
    plan.copy_ended(second.copy, Ending.REFUSED, ms(2), ReasonCode.PERMISSION_DENIED)
    assert plan.next_step(ms(2), BOTH) == Conclude(Ending.UNKNOWN, second.copy)


@pytest.mark.parametrize("code", [ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN, ReasonCode.JOURNAL_FAILED])
def test_refused_for_now_in_doubt_it_goes_on(code: ReasonCode) -> None:
    plan = make(in_doubt=True)
    plan.copy_ended(sent(plan, usable=("zmq",)).copy, Ending.REFUSED, ms(1), code)
    assert isinstance(plan.next_step(ms(1), ("zmq",)), Wait)


# ---- hedging ----


def test_an_order_without_a_reply_is_also_sent_on_the_other_path_after_the_delay() -> None:
    plan = make(HEDGING, budget=saved())
    first = sent(plan)
    assert plan.next_step(ms(4), BOTH) == Wait(ms(5), for_path=True)
    hedge = sent(plan, 5)
    assert (hedge.path, plan.is_hedged) == ("grpc", True)
    plan.copy_ended(first.copy, Ending.REPLIED, ms(6))
    assert plan.next_step(ms(6), BOTH) == Conclude(Ending.REPLIED, first.copy)
    assert not plan.is_won_by_hedge


def test_without_budget_or_another_path_there_is_no_hedge() -> None:
    poor = make(HEDGING, budget=HedgeBudget(0.05))
    sent(poor)
    assert poor.next_step(ms(5), BOTH) == Wait(ms(500), for_path=True)
    alone = make(HEDGING, budget=saved())
    sent(alone, usable=("zmq",))
    assert alone.next_step(ms(5), ("zmq",)) == Wait(ms(DEADLINE_MS), for_path=True)
    assert not poor.is_hedged and not alone.is_hedged


def test_of_many_orders_no_more_than_the_share_are_hedged() -> None:
    budget, hedged = HedgeBudget(0.05), 0
    for number in range(1, 2_001):
        budget.earn()
        hedged += budget.take()
        assert hedged <= 0.05 * number + 1e-6
    assert hedged == 100


def test_what_was_saved_in_quiet_times_is_bounded() -> None:
    budget = HedgeBudget(0.05)
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.take() for _ in range(1_000)) == 10


ENDINGS = [
    (Ending.REPLIED, ReasonCode.NONE),
    (Ending.REFUSED, ReasonCode.BUSY),
    (Ending.REFUSED, ReasonCode.PERMISSION_DENIED),
    (Ending.NOT_SENT, ReasonCode.NONE),
    (Ending.UNKNOWN, ReasonCode.NONE),
    (None, ReasonCode.NONE),
]


@pytest.mark.parametrize("hedge_first", [False, True])
@pytest.mark.parametrize(("first", "second"), list(itertools.product(ENDINGS, ENDINGS)))
def test_whatever_two_copies_in_flight_come_to_and_in_which_order_none_reads_as_the_other(
    first: tuple[Ending | None, ReasonCode], second: tuple[Ending | None, ReasonCode], hedge_first: bool
) -> None:
    plan = make(HEDGING, budget=saved())
    copies = [sent(plan).copy, sent(plan, 5).copy]
    ended: set[int] = set()
    for at, (copy, (ending, code)) in enumerate(sorted(zip(copies, (first, second), strict=True), reverse=hedge_first)):
        if ending is None:
            continue
        plan.copy_ended(copy, ending, ms(6 + at), code)
        ended.add(copy)
        step = plan.next_step(ms(6 + at), BOTH)
        if ending is Ending.REPLIED:
            assert step == Conclude(Ending.REPLIED, copy)
            assert plan.is_won_by_hedge == (copy == copies[1])
            return
        if len(ended) < 2:
            assert not isinstance(step, Conclude), "the other copy may yet be executed"
        if isinstance(step, Send):  # which copies follow is not what is asked here
            plan.copy_ended(step.copy, Ending.NOT_SENT, ms(6 + at))
    in_doubt = {first[0], second[0]} & {None, Ending.UNKNOWN}
    end = plan.next_step(ms(RESOLVED_BY_MS), BOTH)
    assert isinstance(end, Conclude)
    refused = Ending.REFUSED in (first[0], second[0])
    assert end.ending is (Ending.UNKNOWN if in_doubt else Ending.REFUSED if refused else Ending.NOT_SENT)


def test_a_copy_whose_path_is_no_longer_usable_gets_company_at_once() -> None:
    plan = make()
    sent(plan)
    assert sent(plan, 10, usable=("grpc",)).path == "grpc"


@dataclass
class Driven:
    """A call driven to its end against scripted outcomes."""

    end: Conclude
    endings: list[Ending | None] = field(default_factory=list[Ending | None])
    refused_for_good: bool = False
    path_was_alive_at_the_end: bool = False
    ended_ns: int = 0


OUTCOMES = st.tuples(
    st.sampled_from([Ending.REPLIED, Ending.REFUSED, Ending.NOT_SENT, Ending.UNKNOWN, None]),
    st.integers(min_value=0, max_value=700),
    st.sampled_from(
        [ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN, ReasonCode.PERMISSION_DENIED, ReasonCode.HELLO_REQUIRED]
    ),
)
USABLE = st.sampled_from([(), ("zmq",), ("grpc",), BOTH])


def run(outcomes: list[tuple[Ending | None, int, ReasonCode]], usable: list[tuple[Path, ...]]) -> Driven:
    """Several copies may be in flight; None in the script: no answer, ever. Paths change every 150 ms."""
    plan, now_ns, script = make(HEDGING, budget=saved()), 0, iter(outcomes)
    refused: dict[Path, bool] = {}
    pending: list[tuple[int, int, Ending, ReasonCode]] = []
    endings: list[Ending | None] = []
    for _ in range(10_000):
        alive = usable[min(now_ns // ms(150), len(usable) - 1)]
        for due in [entry for entry in pending if entry[0] <= now_ns]:
            pending.remove(due)
            plan.copy_ended(due[1], due[2], now_ns, due[3] if due[2] is Ending.REFUSED else ReasonCode.NONE)
            endings[due[1]] = due[2]
            lasting = due[2] is Ending.REFUSED and due[3] == ReasonCode.PERMISSION_DENIED
            refused[plan.path_of(due[1])] = lasting or refused.get(plan.path_of(due[1]), False)
        step = plan.next_step(now_ns, alive)
        if isinstance(step, Conclude):
            for_good = all(refused.get(path, False) for path in plan.paths)
            return Driven(step, endings, for_good, any(not refused.get(path, False) for path in alive), now_ns)
        if isinstance(step, Send):
            assert step.path in alive
            endings.append(None)
            ending, after_ms, code = next(script, (None, 0, ReasonCode.NONE))
            if ending is not None:
                pending.append((now_ns + ms(after_ms), step.copy, ending, code))
            continue
        next_change_ns = (now_ns // ms(150) + 1) * ms(150)
        candidates = [step.until_ns, next_change_ns, *(entry[0] for entry in pending)]
        later_ns = min(candidate for candidate in candidates if candidate > now_ns)
        assert step.until_ns > now_ns, "a wait that does not wait would spin"
        now_ns = later_ns
    raise AssertionError("the call never ended")


@settings(max_examples=400, deadline=None)
@given(st.lists(OUTCOMES, max_size=12), st.lists(USABLE, min_size=1, max_size=22))
def test_no_outcome_is_guessed_whatever_the_copies_come_to(
    outcomes: list[tuple[Ending | None, int, ReasonCode]], usable: list[tuple[Path, ...]]
) -> None:
    driven = run(outcomes, usable)
    doubtful = any(ending in (None, Ending.UNKNOWN) for ending in driven.endings)
    if Ending.REPLIED in driven.endings:
        assert driven.end.ending is Ending.REPLIED
    elif doubtful:
        assert driven.end.ending is Ending.UNKNOWN
        if not driven.refused_for_good:
            assert driven.ended_ns >= ms(DEADLINE_MS), "in doubt, and gave up with time left"
            if driven.path_was_alive_at_the_end:
                assert driven.ended_ns >= ms(RESOLVED_BY_MS), "in doubt with a path alive, and gave up"
    else:
        assert driven.end.ending in (Ending.REFUSED, Ending.NOT_SENT)
        assert (driven.end.ending is Ending.REFUSED) == (Ending.REFUSED in driven.endings)
        assert driven.ended_ns <= ms(RESOLVED_BY_MS)  # past its deadline where a copy was in flight then
