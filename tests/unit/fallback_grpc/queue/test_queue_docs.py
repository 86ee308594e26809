"""docs/queue.md and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from fallback_grpc.queue.entries import TRANSITIONS
from fallback_grpc.queue.settings import QueueSettings

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "queue.md").read_text()


def test_the_table_of_transitions_is_the_code_s() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| ([A-Z, ]*?) ?\|$", PAGE, re.MULTILINE)
    documented = {name: set(filter(None, to.split(", "))) for name, to in rows}
    assert documented == {stage.name: {to.name for to in targets} for stage, targets in TRANSITIONS.items()}


def test_the_picture_shows_no_transition_that_there_is_not() -> None:
    drawn = re.findall(r"^    ([A-Z]+) --> ([A-Z]+)", PAGE, re.MULTILINE)
    assert drawn
    allowed = {(stage.name, to.name) for stage, targets in TRANSITIONS.items() for to in targets}
    assert set(drawn) <= allowed


def test_the_defaults_that_the_page_names_are_the_code_s() -> None:
    settings = QueueSettings()
    assert f"`receipt_after_ms` ({settings.receipt_after_ms:.0f})" in PAGE
    assert f"`urgent_streak` ({settings.urgent_streak})" in PAGE
    assert f"waits {settings.retry_min_ms:.0f} ms to {settings.retry_max_ms / 1_000:.0f} s" in PAGE
