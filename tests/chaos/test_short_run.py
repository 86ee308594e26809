"""A short run of the chaos: every kind of fault once, and nothing is lost, doubled or left unknown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.plan import FaultKind
from tests.chaos.run import RunSettings, run
from tests.chaos.world import SHORT_CAST

SPAN_MS = 14_000
LEAST_ORDERS = 300
"""On a machine that is ten times slower than the one that this was written on."""

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("seed", "durability"), [(0, "always"), (12, "os")])
def test_nothing_is_lost_doubled_or_unknown_whatever_breaks(seed: int, durability: str, tmp_path: Path) -> None:
    settings = RunSettings(seed, SPAN_MS, durability, SHORT_CAST)
    assert {fault.kind for fault in settings.plan} == set(FaultKind), "this seed sees every kind of fault"
    result = run(settings, tmp_path)
    assert [str(difference) for difference in result.differences] == []
    assert [happened.fault for happened in result.happened] and len(result.happened) == len(settings.plan)
    assert result.books is not None and result.books.orders >= LEAST_ORDERS
    restarted = {name for name, book in result.books.clients.items() if book.lives > 1}
    killed = {one.fault.target for one in result.happened if one.fault.kind is FaultKind.CLIENT_KILL}
    assert restarted == killed != set()
    assert result.full_disks + result.restarts_after_full_disk >= 1, "the disk was full, and the engine noticed"
    assert processes_of(tmp_path) == [], "a run leaves no process behind"


def processes_of(folder: Path) -> list[str]:
    """Command lines of engines and clients that work in this folder: it is among their arguments."""
    lines: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            lines.append((process / "cmdline").read_text(errors="replace"))
    return [line for line in lines if str(folder) in line]
