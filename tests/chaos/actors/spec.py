"""What one client process is told when it starts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec


class ActorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what the client does; the rest is the faults'."""

    name: str
    kind: str
    """A key of `faces.CLIENTS`."""
    lane: str
    """Whose proxies it uses."""
    ledger: str
    config: dict[str, Any]
    seed: int
    hands: int = 3
    """Tasks that send at the same time."""
    pause_ms: tuple[float, float] = (5.0, 60.0)
    """Between two deeds of one hand."""
    subscribes: bool = True
    is_feed: bool = False
    is_queue: bool = False
    lease_ms: int | None = None
    """Grace after which the engine cancels what this session left open; None: never."""

    def pauses(self, life: int, hand: int) -> Iterator[float]:
        """Seconds between the deeds of this hand in this life."""
        draw = random.Random(f"{self.seed}/{self.name}/{life}/{hand}/pauses")
        least, most = self.pause_ms
        while True:
            yield draw.uniform(least, most) / 1000
