"""What only Debian ships: fetched once, and where it cannot be, that is said in one line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pynng", reason="the bench's own packages are not installed: make bench")

from bench.peers import debian
from bench.rows.row import UnavailableError


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    monkeypatch.setattr(
        debian.shutil, "which", lambda name: f"/usr/bin/{name}" if name in ("apt-get", "dpkg") else None
    )
    return tmp_path


def test_without_apt_a_program_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match=r"nats-server is not installed, and there is no apt"):
        debian.program("nats-server", "nats-server")


def test_a_download_that_fails_says_why_in_one_line_and_leaves_nothing_that_looks_whole(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(100, command, stderr="W: something\nE: Unable to locate package\n")

    monkeypatch.setattr(debian.subprocess, "run", fail)
    with pytest.raises(UnavailableError) as refused:
        debian.program("nats-server", "nats-server")
    assert str(refused.value) == "nats-server cannot be fetched from Debian: E: Unable to locate package"
    assert not (cache / "nats-server").exists()


def test_what_was_fetched_before_is_used_again(cache: Path) -> None:
    kept = cache / "nats-server" / "usr" / "sbin" / "nats-server"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert debian.program("nats-server", "nats-server") == kept
