"""Percentiles and ratios of the benchmark."""

from __future__ import annotations

import pytest

from bench.samples import Samples, paired_ratio_spread, percentile


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (100, 99, 99), (100, 99.9, 100), (1000, 99.9, 999), (1000, 100, 1000)],
)
def test_a_percentile_is_the_value_of_its_nearest_rank(count: int, percent: float, expected: int) -> None:
    assert percentile(range(1, count + 1), percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], -1), ([1], 100.1)])
def test_what_has_no_percentile_is_refused(values: list[int], percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        percentile(values, percent)


def test_a_tail_is_read_from_the_calls_and_not_from_the_means_of_rounds() -> None:
    samples = Samples([[1_000] * 99 + [900_000], [1_000] * 99 + [800_000]])
    assert samples.us(50) == 1
    assert samples.us(99) == 1
    assert samples.us(99.9) == 900


def test_times_of_a_batch_are_given_per_order() -> None:
    samples = Samples([[2_000_000, 4_000_000, 3_000_000]], orders_per_call=1000)
    assert samples.us(50) == 3
    assert samples.orders_per_s == pytest.approx(333_333.3, abs=0.1)
    assert samples.as_json()["us_per_order"]["p100"] == 4


@pytest.mark.parametrize(
    ("calls", "percent", "can"),
    [(1, 50, False), (2, 50, True), (99, 99, False), (100, 99, True), (999, 99.9, False), (1000, 99.9, True)],
)
def test_a_percentile_that_would_only_be_the_largest_call_is_not_said(calls: int, percent: float, can: bool) -> None:
    samples = Samples([[1_000] * calls])
    assert samples.can_say(percent) == can
    assert (f"p{percent:g}" in samples.as_json()["us_per_order"]) == can


def test_the_spread_of_a_ratio_pairs_the_rounds_that_had_the_same_weather() -> None:
    fast = Samples([[100], [200], [400], [800]])
    slow = Samples([[200], [400], [800], [1600]])
    assert paired_ratio_spread(slow, fast) == (2, 2)


def test_rows_of_unequal_rounds_have_no_paired_ratio() -> None:
    with pytest.raises(ValueError, match=r"longer|shorter"):
        paired_ratio_spread(Samples([[1], [1]]), Samples([[1]]))
