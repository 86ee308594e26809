"""The plan of one call by itself, with virtual time: what is sent where and when, and how calls end."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.plan import CallPlan, Conclude, Ending, PlanPolicy, Send, Wait
from transport.contract.codes import ReasonCode
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


def ms(value: float) -> int:
    return int(value * NS_PER_MS)


def make(policy: PlanPolicy = POLICY, *, in_doubt: bool = False) -> CallPlan:
    return CallPlan(policy, deadline_ns=ms(DEADLINE_MS), in_doubt=in_doubt)


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


@dataclass
class Driven:
    """A call driven to its end against scripted outcomes."""

    end: Conclude
    endings: list[Ending | None] = field(default_factory=list[Ending | None])
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
    plan, now_ns, script = make(), 0, iter(outcomes)
    pending: list[tuple[int, int, Ending, ReasonCode]] = []
    endings: list[Ending | None] = []
    for _ in range(10_000):
        alive = usable[min(now_ns // ms(150), len(usable) - 1)]
        for due in [entry for entry in pending if entry[0] <= now_ns]:
            pending.remove(due)
            plan.copy_ended(due[1], due[2], now_ns, due[3] if due[2] is Ending.REFUSED else ReasonCode.NONE)
            endings[due[1]] = due[2]
        step = plan.next_step(now_ns, alive)
        if isinstance(step, Conclude):
            return Driven(step, endings, bool(alive), now_ns)
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
@given(st.lists(OUTCOMES, max_size=12), st.lists(USABLE, min_size=1, max_size=14))
def test_no_outcome_is_guessed_whatever_the_copies_come_to(
    outcomes: list[tuple[Ending | None, int, ReasonCode]], usable: list[tuple[Path, ...]]
) -> None:
    driven = run(outcomes, usable)
    doubtful = any(ending in (None, Ending.UNKNOWN) for ending in driven.endings)
    if Ending.REPLIED in driven.endings:
        assert driven.end.ending is Ending.REPLIED
    elif doubtful:
        assert driven.end.ending is Ending.UNKNOWN
        assert driven.ended_ns >= ms(DEADLINE_MS), "in doubt, and gave up with time left"
    else:
        assert driven.end.ending in (Ending.REFUSED, Ending.NOT_SENT)
        assert (driven.end.ending is Ending.REFUSED) == (Ending.REFUSED in driven.endings)
