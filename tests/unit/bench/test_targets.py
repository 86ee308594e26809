"""The table "Where to land": how a figure is judged."""

from __future__ import annotations

import math

import pytest

from bench.samples import CURVE
from bench.targets import TARGETS, Target, Verdict, evaluate
from tests.unit.bench.declared_rows import GROUP, measured, run_of

TERMS = {"slow": 90.0, "fast": 10.0, "part": 5.0}


def term(name: str) -> float:
    return TERMS.get(name, math.nan)


@pytest.mark.parametrize(
    ("at_least", "stretch", "verdict"),
    [(9.1, None, "MISS"), (9, None, "PASS"), (8, 9, "STRETCH"), (8, 9.1, "PASS"), (10, 12, "MISS")],
)
def test_a_ratio_that_must_be_large(at_least: float, stretch: float | None, verdict: str) -> None:
    outcome = evaluate(Target("faster", ("slow",), ("fast",), at_least=at_least, stretch=stretch), term)
    assert (outcome.value, outcome.verdict) == (9, verdict)


@pytest.mark.parametrize(
    ("at_most", "stretch", "verdict"),
    [(8.9, None, "MISS"), (9, None, "PASS"), (10, 9, "STRETCH"), (10, 8.9, "PASS"), (8, 7, "MISS")],
)
def test_a_ratio_that_must_be_small(at_most: float, stretch: float | None, verdict: str) -> None:
    outcome = evaluate(Target("within", ("slow",), ("fast",), at_most=at_most, stretch=stretch), term)
    assert (outcome.value, outcome.verdict) == (9, verdict)


def test_parts_are_added_before_they_are_compared() -> None:
    assert evaluate(Target("sum", ("slow",), ("fast", "part"), at_most=6), term).value == 6


def test_a_figure_without_a_second_one_is_compared_as_it_is() -> None:
    assert evaluate(Target("share", ("part",), at_most=4.9), term).verdict == Verdict.MISS


@pytest.mark.parametrize(("over", "under"), [(("not there",), ("fast",)), (("slow",), ("fast", "not there"))])
def test_what_was_not_measured_is_neither_met_nor_missed(over: tuple[str, ...], under: tuple[str, ...]) -> None:
    assert evaluate(Target("?", over, under, at_least=1), term).verdict == Verdict.NOT_MEASURED


@pytest.mark.parametrize("bounds", [{}, {"at_least": 1.0, "at_most": 2.0}])
def test_a_target_has_one_bound(bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="one bound"):
        Target("?", ("slow",), **bounds)


def test_a_term_names_a_row_and_a_percentile_and_may_ask_for_the_best_of_several() -> None:
    run = run_of([measured("a", rounds_ns=[[3000, 4000, 9000]]), measured("b", rounds_ns=[[5000, 5000, 5000]])])
    assert run.term(f"{GROUP.name}/a@p50") == 4
    assert run.term(f"{GROUP.name}/a@p99") == 9
    assert run.term(f"{GROUP.name}/b|a@p50") == 4
    assert math.isnan(run.term(f"{GROUP.name}/nobody@p50"))
    assert math.isnan(run.term("growth.nothing"))


def test_the_table_asks_what_the_issues_ask() -> None:
    asked = [target for target in TARGETS if target.asked]
    assert len(asked) == 15 + 2 + 1  # what was asked of speed, of recovery, and of a start
    assert {target.at_least for target in asked} == {None, 9, 8, 4, 10, 1.5, 0.5, 15, 30}
    assert {target.at_most for target in asked} == {None, 2.5, 1.25, 1.0, 1.2, 1.3, 0.5, 5, 150}
    assert {target.stretch for target in asked} == {None, 2.0, 12, 30, 60}


def test_percentiles_that_targets_name_are_written_down() -> None:
    named = {float(name.partition("@p")[2]) for each in TARGETS for name in each.over + each.under if "@p" in name}
    assert named <= set(map(float, CURVE))
