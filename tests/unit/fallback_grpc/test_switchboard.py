"""The switchboard by itself, with virtual time: which paths may carry orders, and what is reported and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_grpc.failover.breaker import NS_PER_MS, BreakerSettings
from fallback_grpc.failover.events import PathEventKind
from fallback_grpc.failover.switchboard import Switchboard, SwitchboardSettings
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Replied, Unknown
from transport.contract.errors import ClientClosedError
from transport.contract.path import PathConnected, PathEvent, PathGoingAway, PathLost, PathRefused
from transport.contract.replies import Path

PATHS: list[Path] = ["zmq", "grpc"]
SETTINGS = SwitchboardSettings(
    breaker=BreakerSettings(failure_threshold=3, pause_ms=100, successes_to_close=2), probe_interval_ms=250.0
)


def connected(journal_id: str = "journal-a", connection: int = 1) -> PathConnected:
    return PathConnected(journal_id=journal_id, epoch=1, connection=connection)


def board(
    zmq: PathEvent | None = None, grpc: PathEvent | None = None, settings: SwitchboardSettings = SETTINGS
) -> Switchboard:
    made = Switchboard(PATHS, settings)
    events: dict[Path, PathEvent] = {"grpc": grpc or connected(), "zmq": zmq or connected()}
    for path, event in events.items():
        made.path_event(path, event, 0)
    made.settle(0)
    return made


def good_probe(made: Switchboard, path: Path, now_ns: int) -> None:
    made.probe_started(path, now_ns)
    made.probe_ended(path, True, 1.0, now_ns)


def test_nothing_is_usable_before_all_first_attempts_have_ended() -> None:
    made = Switchboard(("zmq", "grpc"), SETTINGS)
    made.path_event("grpc", connected(), 0)
    assert made.usable == ()
    made.settle(1)
    assert made.usable == ("grpc",)


def test_the_preferred_path_says_which_journal_counts_whoever_came_first() -> None:
    made = board(zmq=connected("journal-a"), grpc=connected("journal-b"))
    assert (made.journal_id, made.usable) == ("journal-a", ("zmq",))


def test_an_engine_of_the_right_journal_lifts_the_mismatch() -> None:
    made = board(grpc=connected("journal-b"))
    made.path_event("grpc", connected("journal-a", 2), 1)
    assert made.usable == ("zmq", "grpc")


def test_a_path_that_was_lost_returns_after_good_probes_only() -> None:
    made = board()
    made.path_event("zmq", PathLost(reason="reset", in_flight=0), 0)
    made.path_event("zmq", connected(connection=2), 5)
    assert made.usable == ("grpc",)
    assert made.next_probe_ns("zmq") == 5
    good_probe(made, "zmq", 5)
    assert made.usable == ("grpc",)
    good_probe(made, "zmq", 6)
    assert made.usable == ("zmq", "grpc")


def test_a_request_without_an_answer_asks_for_a_probe_at_once() -> None:
    made = board()
    good_probe(made, "zmq", 10)
    assert made.next_probe_ns("zmq") == 10 + 250 * NS_PER_MS
    woken = who_rests(made, now_ns=15)
    made.copy_ended("zmq", Unknown("no answer"), True, 20)
    assert made.next_probe_ns("zmq") == 20
    assert woken == ["zmq"]
    assert made.usable == ("zmq", "grpc")


def who_rests(made: Switchboard, now_ns: int) -> list[Path]:
    """Both probers rest from now on; the list gets those that are woken."""
    woken: list[Path] = []
    made.on_probe_due(woken.append)
    for path in PATHS:
        made.rest_ns(path, now_ns)
    return woken


def test_a_path_that_fails_wakes_no_prober_for_it_looks_by_itself_before_the_pause_is_over() -> None:
    made = board()
    for path in PATHS:
        good_probe(made, path, 0)
    rests_until_ns = made.rest_ns("zmq", 10)
    woken = who_rests(made, now_ns=10)
    made.path_event("zmq", PathLost(reason="reset", in_flight=1), 20)
    made.copy_ended("zmq", Unknown("reset"), False, 30)
    assert woken == []
    assert rests_until_ns <= made.next_probe_ns("zmq")


def test_a_pause_shorter_than_the_prober_rests_wakes_it() -> None:
    settings = SwitchboardSettings(breaker=BreakerSettings(pause_ms=1), probe_interval_ms=250.0)
    made = board(settings=settings)
    good_probe(made, "zmq", 0)
    woken = who_rests(made, now_ns=10)
    made.path_event("zmq", PathLost(reason="reset", in_flight=1), 20)
    assert woken == ["zmq"]


def test_a_connection_wakes_the_prober_of_its_path() -> None:
    made = board()
    made.path_event("zmq", PathLost(reason="reset", in_flight=0), 0)
    good_probe(made, "grpc", 0)
    woken = who_rests(made, now_ns=10)
    made.path_event("zmq", connected(connection=2), 20)
    assert woken == ["zmq"]


def test_the_end_wakes_all_probers() -> None:
    made = board()
    for path in PATHS:
        good_probe(made, path, 0)
    woken = who_rests(made, now_ns=10)
    made.stop(ClientClosedError("closed"), 20)
    assert woken == ["zmq", "grpc"]


def test_a_farewell_is_reported_and_the_path_stays_usable_until_it_fails() -> None:
    made = board()
    heard: list[Any] = []
    made.add_listener(heard.append)
    made.path_event("zmq", PathGoingAway(message="bye", drain_ms=5), 1)
    assert [(event.path, event.kind, event.reason) for event in heard] == [("zmq", PathEventKind.GOING_AWAY, "bye")]
    assert made.usable == ("zmq", "grpc")


def test_a_failover_is_measured_from_the_fault_to_the_next_completed_order() -> None:
    made = board()
    made.path_event("zmq", PathLost(reason="reset", in_flight=1), 10 * NS_PER_MS)
    made.call_ended("grpc", orders=0, attempts=1, in_doubt=False, now_ns=12 * NS_PER_MS)
    assert made.statistics().last_failover_ms is None
    made.call_ended("grpc", orders=1, attempts=2, in_doubt=True, now_ns=17 * NS_PER_MS)
    statistics = made.statistics()
    assert (statistics.last_failover_ms, statistics.failovers) == (7.0, 1)
    assert (statistics.resent, statistics.resolved, statistics.orders_by_path) == (1, 1, {"zmq": 0, "grpc": 1})


def test_what_threads_notice_at_once_is_told_in_the_order_in_which_it_happened() -> None:
    made = board()
    heard: list[PathEventKind] = []
    telling, go_on = threading.Event(), threading.Event()

    def slow_listener(event: Any) -> None:
        telling.set()
        go_on.wait(10)
        heard.append(event.kind)

    made.add_listener(slow_listener)
    lost = threading.Thread(target=lambda: made.path_event("zmq", PathLost(reason="reset", in_flight=0), 0))
    lost.start()
    assert telling.wait(10)
    made.path_event("zmq", connected(connection=2), 5)
    for now_ns in (6, 7):
        good_probe(made, "zmq", now_ns)
    go_on.set()
    lost.join(10)
    of_loss = [PathEventKind.DISCONNECTED, PathEventKind.BREAKER_OPEN, PathEventKind.DOWN]
    of_return = [PathEventKind.BREAKER_HALF_OPEN, PathEventKind.BREAKER_CLOSED, PathEventKind.UP]
    assert heard == [*of_loss, PathEventKind.CONNECTED, *of_return]


def test_a_listener_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    made = board()
    heard: list[Any] = []

    def fails(_: Any) -> None:
        raise RuntimeError("the listener's own fault")

    made.add_listener(fails)
    made.add_listener(heard.append)
    made.path_event("zmq", PathLost(reason="reset", in_flight=0), 0)
    assert [event.kind for event in heard] == [
        PathEventKind.DISCONNECTED, PathEventKind.BREAKER_OPEN, PathEventKind.DOWN
    ]  # fmt: skip
    assert "a path listener failed" in caplog.text


HAPPENINGS: dict[str, Callable[[Switchboard, Path, int], None]] = {
    "connected": lambda made, path, now_ns: made.path_event(path, connected(), now_ns),
    "lost": lambda made, path, now_ns: made.path_event(path, PathLost(reason="reset", in_flight=1), now_ns),
    "refused": lambda made, path, now_ns: made.path_event(path, PathRefused(reason="nobody there"), now_ns),
    "an answer": lambda made, path, now_ns: made.copy_ended(path, Replied(None), True, now_ns),
    "no answer": lambda made, path, now_ns: made.copy_ended(path, Unknown("no answer"), True, now_ns),
    "not sent": lambda made, path, now_ns: made.copy_ended(path, NotSent("no connection"), False, now_ns),
    "busy": lambda made, path, now_ns: made.copy_ended(path, Refused(ReasonCode.BUSY), True, now_ns),
    "a probe": lambda made, path, now_ns: made.probe_started(path, now_ns),
    "a good probe": lambda made, path, now_ns: made.probe_ended(path, True, 1.0, now_ns),
    "a slow probe": lambda made, path, now_ns: made.probe_ended(path, True, 5_000.0, now_ns),
    "a bad probe": lambda made, path, now_ns: made.probe_ended(path, False, 500.0, now_ns),
    "preferred": lambda made, path, now_ns: made.prefer(path, now_ns),
}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.sampled_from(PATHS), st.integers(0, 300)), max_size=60)
)
def test_no_order_is_the_first_on_a_path_whose_breaker_is_not_closed(happened: list[tuple[str, Path, int]]) -> None:
    """Orders take paths of `usable` only; and whatever becomes of breaker and path is told, each change once."""
    made, now_ns = board(), 0
    told: list[Any] = []
    made.add_listener(told.append)
    states = {path: made.describe(path)["breaker"] for path in PATHS}
    up = set(made.usable)
    for what, path, pause_ms in happened:
        now_ns += pause_ms * NS_PER_MS
        before = len(told)
        HAPPENINGS[what](made, path, now_ns)
        for usable in made.usable:
            assert made.describe(usable)["breaker"] == "closed"
        news = told[before:]
        for each in PATHS:
            state = made.describe(each)["breaker"]
            kinds = [event.kind for event in news if event.path == each]
            assert kinds.count(PathEventKind(f"breaker_{state}")) == int(state != states[each])
            assert kinds.count(PathEventKind.UP) == int(each in made.usable and each not in up)
            assert kinds.count(PathEventKind.DOWN) == int(each not in made.usable and each in up)
            states[each] = state
        up = set(made.usable)
