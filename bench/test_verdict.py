"""What makes a run worthless: rows that were not treated alike, a slow gRPC, a slow floor. Runs last (by its name)."""

from __future__ import annotations

import pytest

from bench.defects import of_sections, slow_references, unequal_rows
from bench.run import Run


@pytest.mark.timeout(0)
def test_rows_of_a_group_were_treated_alike(run: Run) -> None:
    """Warm-up, rounds, payload and durability are the same for all rows that are compared."""
    assert unequal_rows(run) == []


@pytest.mark.timeout(0)
def test_what_others_are_compared_with_is_as_fast_as_it_can_be(run: Run) -> None:
    """gRPC within 1.3 x of bare tonic; the floor's client not slower than plain Python."""
    assert slow_references(run) == []


@pytest.mark.timeout(0)
def test_no_section_found_its_own_comparison_unfair(run: Run) -> None:
    """What sections say of themselves."""
    assert of_sections(run) == []
