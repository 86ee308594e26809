"""Whether the machine was left alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bench import machine
from bench.machine import BusyMachineError, CpuTimes, filesystem_of, look_at_machine, parse_cpu_times


def test_times_of_all_cores_are_read_from_proc_stat() -> None:
    times = parse_cpu_times("cpu  10 1 5 100 4 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    assert times == CpuTimes(busy=21, steal=7, total=132)


def test_shares_are_of_the_time_between_two_looks() -> None:
    earlier, later = CpuTimes(100, 10, 1000), CpuTimes(150, 20, 1200)
    assert later.since(earlier) == (0.25, 0.05)


def _looks(monkeypatch: pytest.MonkeyPatch, busy: int) -> None:
    looks = itertools.cycle([CpuTimes(0, 0, 0), CpuTimes(busy, 0, 100)])
    monkeypatch.setattr(machine, "cpu_times", lambda: next(looks))


def test_a_busy_machine_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    _looks(monkeypatch, busy=11)
    seen = look_at_machine(Path("/"), must_be_quiet=False, wait=lambda _: None)
    assert seen.busy_share == 0.11
    assert any("others take 11%" in warning for warning in seen.warnings)


def test_a_busy_machine_is_refused_where_the_run_must_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    _looks(monkeypatch, busy=11)
    with pytest.raises(BusyMachineError, match="others take 11%"):
        look_at_machine(Path("/"), must_be_quiet=True, wait=lambda _: None)


def test_a_quiet_machine_is_not_warned_of_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    _looks(monkeypatch, busy=9)
    seen = look_at_machine(Path("/"), must_be_quiet=True, wait=lambda _: None)
    assert not any("others take" in warning for warning in seen.warnings)


@pytest.mark.parametrize(("folder", "kind"), [("/tmp/bench-1", "tmpfs"), ("/tmpest", "ext4"), ("/home", "ext4")])
def test_the_filesystem_is_that_of_the_longest_mount_point(folder: str, kind: str) -> None:
    mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    assert filesystem_of(Path(folder), mounts) == kind


def test_journals_in_memory_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    _looks(monkeypatch, busy=0)
    monkeypatch.setattr(machine, "filesystem_of", lambda *_: "tmpfs")
    seen = look_at_machine(Path("/"), must_be_quiet=True, wait=lambda _: None)
    assert any("set TMPDIR" in warning for warning in seen.warnings)
