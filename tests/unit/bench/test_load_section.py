"""What a client under load came to: percentiles of a histogram, and whether it kept up."""

from __future__ import annotations

import pytest

pytest.importorskip("hdrh", reason="the bench's own packages are not installed: make bench")
pytest.importorskip("matplotlib")

from bench.load.section import LARGEST_NS, Measured, histogram_of

US = 1_000


def test_percentiles_are_those_of_the_latencies_to_three_digits() -> None:
    measured = Measured("client", 50, 100.0, 100.0, histogram_of([value * US for value in range(1, 1_001)]))
    assert measured.us(50) == pytest.approx(500, rel=0.002)
    assert measured.us(99.9) == pytest.approx(999, rel=0.002)
    assert measured.as_json()["orders"] == 1_000


def test_a_latency_beyond_all_bounds_counts_as_the_largest() -> None:
    assert histogram_of([10 * LARGEST_NS]).get_max_value() == pytest.approx(LARGEST_NS, rel=0.002)


@pytest.mark.parametrize(("per_s", "expected"), [(99.0, True), (80.0, False)])
def test_a_client_that_completes_less_than_was_asked_for_did_not_keep_up(per_s: float, expected: bool) -> None:
    assert Measured("client", 80, 100.0, per_s, histogram_of([1])).kept_up is expected
