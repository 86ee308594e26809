"""Rules of the whole repository that no linter knows (the tidy test of the style page)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = {".py", ".rs"}
LONGEST_FILE_LINES = 450
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "base", "misc"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def written_by_hand() -> list[Path]:
    return [path for path in tracked() if path.suffix in CODE and "generated" not in path.parts]


def test_there_are_files_to_check() -> None:
    assert len(written_by_hand()) > 50


def test_no_file_is_longer_than_a_person_reads() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in written_by_hand()}
    assert {name: count for name, count in lengths.items() if count > LONGEST_FILE_LINES} == {}


def test_every_file_says_in_its_first_line_what_it_is() -> None:
    def speaks(path: Path) -> bool:
        first = next(iter(path.read_text().splitlines()), "")
        return first.startswith(('"""', "#!", "//!", "//", "#"))

    assert [str(path.relative_to(ROOT)) for path in written_by_hand() if not speaks(path)] == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in tracked() if FORBIDDEN_NAMES & {path.stem, path.parent.name}] == []


def test_no_file_names_a_path_of_one_machine_or_a_registry() -> None:
    pattern = re.compile(
        "|".join(["/" + "work/", "/" + "root/", "pypi" + r"\.org", "crates" + r"\.io/", "registry" + r"\.npmjs"])
    )
    texts = [path for path in tracked() if path.suffix in CODE | {".md", ".toml", ".yml", ".sh", ""} and path.is_file()]
    assert [str(path.relative_to(ROOT)) for path in texts if pattern.search(path.read_text(errors="replace"))] == []


@pytest.mark.parametrize("suppressed", ["except Exception: " + "pass", "except: " + "pass", "time." + "sleep("])
def test_nothing_is_swallowed_and_no_test_sleeps(suppressed: str) -> None:
    assert [str(path) for path in written_by_hand() if path.suffix == ".py" and suppressed in path.read_text()] == []
