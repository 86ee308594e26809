"""Every row, each a test: it must have been measured; how fast it must be is said in `bench.targets`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.interleave import Measured
from bench.rows.row import Row, UnavailableError
from bench.run import Run


@pytest.mark.timeout(0)
def test_row(row: Row, run: Run, replay: Callable[[Measured], None]) -> None:
    """Measures the row's group if that has not been done, and hands the row's rounds to pytest-benchmark."""
    measured = run.measure(row)
    if isinstance(measured.failure, UnavailableError):
        pytest.skip(f"{row.name}: {measured.failure}")
    if measured.failure is not None:
        raise measured.failure
    replay(measured)
