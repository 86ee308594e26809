"""Rows of a group take turns, all as often, and a row that fails does not end the others."""

from __future__ import annotations

from pathlib import Path

from bench.context import Context
from bench.interleave import Measured, measure_group, order_of_turns
from bench.rows.row import Row
from tests.unit.bench.declared_rows import EFFORT, GROUP, opening

CONTEXT = Context(Path("/nowhere"))
Log = list[tuple[str, int]]


def measure(log: Log, names: str = "abc") -> list[Measured]:
    return measure_group(CONTEXT, GROUP, [Row(name, GROUP.name, opening(log, name)) for name in names])


def test_every_row_has_one_turn_in_every_round() -> None:
    turns = order_of_turns(["a", "b", "c"], 50)
    assert [sorted(names) for names in turns] == [["a", "b", "c"]] * 50


def test_no_row_always_follows_the_same_other_and_every_run_has_the_same_order() -> None:
    turns = order_of_turns(["a", "b", "c"], 50)
    assert {tuple(names) for names in turns} > {("a", "b", "c"), ("c", "b", "a")}
    assert turns == order_of_turns(["a", "b", "c"], 50)


def test_a_row_is_not_called_twice_before_the_others_had_their_turn() -> None:
    log: Log = []
    measure(log)
    turns = [name for name, calls in log if calls == EFFORT.calls + EFFORT.lead_in_calls]
    rounds = [turns[at : at + 3] for at in range(0, len(turns), 3)]
    assert len(rounds) == EFFORT.rounds
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)


def test_all_rows_are_open_and_warm_before_the_first_turn() -> None:
    log: Log = []
    measure(log)
    assert log[:3] == [(name, EFFORT.warm_up_calls) for name in "abc"]
    assert sorted(log[-3:]) == [(name, -1) for name in "abc"], "closed after the last turn"


def test_lead_in_calls_are_in_no_figure() -> None:
    (only,) = measure([], "a")
    first_counted = 1000 + EFFORT.lead_in_calls
    assert only.rounds_ns == [[first_counted, first_counted + 1, first_counted + 2]] * EFFORT.rounds


def test_a_row_that_fails_says_why_and_leaves_the_others_their_rounds() -> None:
    log: Log = []
    rows = [Row("a", GROUP.name, opening(log, "a", fails_after=2)), Row("b", GROUP.name, opening(log, "b"))]
    failed, whole = measure_group(CONTEXT, GROUP, rows)
    assert isinstance(failed.failure, ConnectionResetError)
    assert failed.rounds_ns == [], "half a row is no row"
    assert whole.failure is None
    assert len(whole.rounds_ns) == EFFORT.rounds


def test_a_row_that_fails_in_its_warm_up_has_no_turn_and_is_closed() -> None:
    log: Log = []
    rows = [Row("a", GROUP.name, opening(log, "a", fails_after=0)), Row("b", GROUP.name, opening(log, "b"))]
    failed, _ = measure_group(CONTEXT, GROUP, rows)
    assert isinstance(failed.failure, ConnectionResetError)
    assert [each for each in log if each[0] == "a"] == [("a", EFFORT.warm_up_calls), ("a", -1)]
