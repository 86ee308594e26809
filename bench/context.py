"""What rows and sections are given: engines, floors, a place for files, how long to take, and a line to say things."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.engines import BenchEngine, start_engine
from bench.peer_programs import Peer, start_peer
from bench.rows.row import Durability, Effort, Group

Profile = Literal["short", "full"]


@dataclass
class Context:
    """One run. Engines and peers are started when they are first asked for and ended with the run (`close`)."""

    folder: Path
    """For journals, sockets and the like; on the same disk for all."""
    profile: Profile = "short"
    say: Callable[[str], None] = print
    """Shows one line of progress to the person who waits."""
    started_s: float = field(default_factory=time.monotonic)
    _open: ExitStack = field(default_factory=ExitStack)
    _engines: dict[tuple[Durability, int], BenchEngine] = field(
        default_factory=dict[tuple[Durability, int], BenchEngine]
    )
    _peers: dict[tuple[str, ...], Peer] = field(default_factory=dict[tuple[str, ...], Peer])

    @property
    def is_full(self) -> bool:
        """Whether this is the long form."""
        return self.profile == "full"

    def effort(self, group: Group) -> Effort:
        """How much is measured of each row of the group in this run."""
        return group.full if self.is_full else group.short

    def engine(self, durability: Durability, *, spin_us: int) -> BenchEngine:
        """The run's engine of this kind: one process of the one binary, shared by all rows that ask for it.

        It listens on tcp, ipc and gRPC, and its book has quotes on both sides that no run can use up.
        """
        key = (durability, spin_us)
        if key not in self._engines:
            name = f"engine-{durability}-spin-{spin_us}"
            self._engines[key] = self._open.enter_context(start_engine(self.folder / name, durability, spin_us))
        return self._engines[key]

    def peer(self, *arguments: str) -> Peer:
        """The run's `bench-peers <arguments>` (a server): started once, killed with the run."""
        if arguments not in self._peers:
            self._peers[arguments] = self._open.enter_context(start_peer(arguments))
        return self._peers[arguments]

    def close(self) -> None:
        """Ends every process of the run."""
        self._open.close()
        self._engines.clear()
        self._peers.clear()
