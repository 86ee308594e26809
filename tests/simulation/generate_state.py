"""What a seed makes besides orders and faults: snapshots, each of chance of its own."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from tests.simulation.schedule import Action, Settings, TakeSnapshot

SNAPSHOT_SHARE: Final = 0.35
"""So many seeds have snapshots."""


def with_snapshots(settings: Settings, lasts_ms: float) -> tuple[Settings, list[Action]]:
    """Snapshots while the orders come, and segments so small that there is something to put in."""
    chance = random.Random(f"snapshots {settings.seed}")
    if chance.random() >= SNAPSHOT_SHARE:
        return settings, []
    settings = msgspec.structs.replace(settings, segment_bytes=chance.choice((4_096, 8_192, 16_384)))
    return settings, [_snapshot(chance, lasts_ms) for _ in range(chance.randrange(3, 9))]


def _snapshot(chance: random.Random, lasts_ms: float) -> Action:
    dies = chance.random() < 0.55
    return TakeSnapshot(
        at_ms=round(lasts_ms * (0.15 + 0.85 * chance.random()), 3),
        operation_ms=chance.choice((0.01, 0.2, 5.0)),
        dies_in=chance.randrange(16) if dies else None,
        machine=dies and chance.random() < 0.5,
        down_ms=round(5 + 95 * chance.random(), 3) if dies else 50.0,
    )
