"""What durability costs on this disk, each part alone: write, fdatasync, and one hand-over to a thread and back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from bench.context import Context
from bench.engines import SPIN_US
from bench.peer_programs import run_peer
from bench.rows.groups import ONE_TCP_ALWAYS
from bench.rows.row import Facts, Group, Opened, Row

RECORD_BYTES = 512
"""About what the journal writes for an order of this benchmark."""


def part(name: str) -> Callable[[Context], AbstractContextManager[Opened]]:
    """One of the series that `bench-peers disk` measures; each turn runs the command anew, on the journal's disk."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        def timed(calls: int) -> list[int]:
            sizes = ("--record-bytes", str(RECORD_BYTES), "--rounds", str(calls), "--spin-us", str(SPIN_US))
            found = run_peer("disk", "--dir", str(context.folder), *sizes, "--samples")
            return found["samples_ns"][name]

        yield Opened(timed, Facts("none", "raw"), floor=True)

    return opening


GROUPS: list[Group] = []
ROWS = [
    Row("disk-write", ONE_TCP_ALWAYS.name, part("write"), note=f"{RECORD_BYTES} bytes into preallocated space"),
    Row("disk-fdatasync", ONE_TCP_ALWAYS.name, part("fdatasync"), note="after that write"),
    Row("disk-hand-over", ONE_TCP_ALWAYS.name, part("hand_over"), "both", note="to a thread and back"),
]
