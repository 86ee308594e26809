"""The page "What happens when…" names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "what-happens-when.md"
NAMED = re.compile(r"`((?:tests|engine)/[\w/.]+\.(?:py|rs))(?:::(\w+))?`")


def rows() -> list[str]:
    lines = PAGE.read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith(("| when", "| ---"))]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip()[:60])
def test_every_row_names_a_test_that_exists(row: str) -> None:
    named = NAMED.findall(row)
    assert named, "no test shows it"
    for path, test in named:
        text = (ROOT / path).read_text()
        assert not test or re.search(rf"\bfn {test}\b|\bdef {test}\b", text), f"{path} has no {test}"


def test_the_page_goes_through_many_faults() -> None:
    assert len(rows()) > 30
