"""The circuit breaker by itself, with virtual time: every row of its table, and nothing that is not in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback_grpc.failover import breaker as breaker_module
from fallback_grpc.failover.breaker import (
    NS_PER_MS,
    TRANSITIONS,
    BreakerSettings,
    BreakerState,
    CircuitBreaker,
    Signal,
)

SETTINGS = BreakerSettings(
    failure_threshold=3,
    window_ms=1_000,
    slow_threshold=0.5,
    slow_minimum=4,
    pause_ms=100,
    max_pause_ms=400,
    successes_to_close=2,
)


def open_breaker(now_ns: int = 0) -> CircuitBreaker:
    breaker = CircuitBreaker(SETTINGS)
    breaker.record(Signal.TRIP, now_ns)
    return breaker


def half_open_breaker() -> tuple[CircuitBreaker, int]:
    breaker = open_breaker()
    now_ns = 100 * NS_PER_MS
    assert breaker.record(Signal.PROBE_STARTED, now_ns) is BreakerState.HALF_OPEN
    return breaker, now_ns


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) +\| ([A-Z_, ]+?) +\| ([A-Z_]+) +\|", breaker_module.__doc__ or "", re.MULTILINE)
    documented = {
        (BreakerState[state], Signal[signal]): BreakerState[target]
        for state, signals, target in rows
        for signal in signals.split(", ")
        if state != target
    }
    assert documented == TRANSITIONS


def test_failures_below_the_threshold_leave_it_closed() -> None:
    breaker = CircuitBreaker(SETTINGS)
    breaker.record(Signal.FAILURE, 0)
    assert breaker.record(Signal.FAILURE, 1) is BreakerState.CLOSED
    assert breaker.permits_orders


def test_the_threshold_of_failures_within_the_window_opens_it() -> None:
    breaker = CircuitBreaker(SETTINGS)
    for at_ms in (0, 400, 800):
        state = breaker.record(Signal.FAILURE, at_ms * NS_PER_MS)
    assert state is BreakerState.OPEN
    assert not breaker.permits_orders


def test_failures_spread_wider_than_the_window_do_not_open_it() -> None:
    breaker = CircuitBreaker(SETTINGS)
    for at_ms in (0, 600, 1_200, 1_800, 2_400):
        assert breaker.record(Signal.FAILURE, at_ms * NS_PER_MS) is BreakerState.CLOSED


def test_one_trip_opens_it_at_once() -> None:
    assert open_breaker().state is BreakerState.OPEN


def test_slow_beats_open_it_only_when_enough_were_seen() -> None:
    breaker = CircuitBreaker(SETTINGS)
    states = [breaker.record(Signal.SLOW, at) for at in range(4)]
    assert states == [BreakerState.CLOSED] * 3 + [BreakerState.OPEN]


def test_a_minority_of_slow_beats_leaves_it_closed() -> None:
    breaker = CircuitBreaker(SETTINGS)
    for at in range(30):
        breaker.record(Signal.SLOW if at % 3 == 0 and at else Signal.SUCCESS, at)
    assert breaker.state is BreakerState.CLOSED


def test_a_late_answer_from_before_the_fault_does_not_close_it() -> None:
    breaker = open_breaker()
    assert breaker.record(Signal.SUCCESS, 1) is BreakerState.OPEN


def test_no_probe_before_the_pause_is_over() -> None:
    breaker = open_breaker()
    assert not breaker.probe_due(99 * NS_PER_MS)
    assert breaker.record(Signal.PROBE_STARTED, 99 * NS_PER_MS) is BreakerState.OPEN
    assert breaker.probe_due(100 * NS_PER_MS)


def test_good_probes_close_it_and_one_is_not_enough() -> None:
    breaker, now_ns = half_open_breaker()
    assert breaker.record(Signal.SUCCESS, now_ns) is BreakerState.HALF_OPEN
    assert not breaker.permits_orders
    assert breaker.record(Signal.SUCCESS, now_ns) is BreakerState.CLOSED


@pytest.mark.parametrize("signal", [Signal.FAILURE, Signal.SLOW, Signal.TRIP])
def test_a_bad_probe_opens_it_again_for_twice_as_long(signal: Signal) -> None:
    breaker, now_ns = half_open_breaker()
    breaker.record(signal, now_ns)
    assert breaker.state is BreakerState.OPEN
    assert breaker.probe_at_ns == now_ns + 200 * NS_PER_MS


def test_the_pause_stops_growing_at_its_maximum_and_starts_anew_after_a_recovery() -> None:
    breaker, now_ns = half_open_breaker()
    for _ in range(5):
        breaker.record(Signal.FAILURE, now_ns)
        assert breaker.probe_at_ns is not None
        pause_ns, now_ns = breaker.probe_at_ns - now_ns, breaker.probe_at_ns
        breaker.record(Signal.PROBE_STARTED, now_ns)
    assert pause_ns == 400 * NS_PER_MS
    breaker.record(Signal.SUCCESS, now_ns)
    breaker.record(Signal.SUCCESS, now_ns)
    breaker.record(Signal.TRIP, now_ns)
    assert breaker.probe_at_ns == now_ns + 100 * NS_PER_MS


@given(st.lists(st.tuples(st.sampled_from(Signal), st.integers(min_value=0, max_value=300))))
def test_only_changes_of_the_table_ever_happen(events: list[tuple[Signal, int]]) -> None:
    breaker, now_ns = CircuitBreaker(SETTINGS), 0
    for signal, step_ms in events:
        now_ns += step_ms * NS_PER_MS
        before = breaker.state
        after = breaker.record(signal, now_ns)
        assert after is before or TRANSITIONS[before, signal] is after
        assert (breaker.probe_at_ns is None) == (after is not BreakerState.OPEN)
