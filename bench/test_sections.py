"""Every section (load, growth, stages), each a test: it must come to a result."""

from __future__ import annotations

import pytest

from bench.registry import sections
from bench.run import Run
from bench.sections import Section


@pytest.mark.timeout(0)
@pytest.mark.parametrize("section", sections(), ids=lambda section: section.name)
def test_section(section: Section, run: Run) -> None:
    """Runs the section; its tables, plots and figures go into the report."""
    if section.full_only and not run.context.is_full:
        pytest.skip("only in the long form: make bench-full")
    run.context.say(f"{section.name}: {section.title}")
    run.sections[section.name] = section.run(run.context)
