"""What a seed makes besides orders and faults: snapshots, leases, limits; each kind of chance of its own."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from tests.simulation.schedule import Action, CutPath, KillClient, SetLease, SetLimits, Settings, TakeSnapshot
from transport.contract.replies import Path

SNAPSHOT_SHARE: Final = 0.35
"""So many seeds have snapshots."""
LEASE_SHARE: Final = 0.3
LIMITS_SHARE: Final = 0.3
RECONCILED_SHARE: Final = 0.25


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


def with_leases(settings: Settings, lasts_ms: float) -> tuple[Settings, list[Action]]:
    """Leases, paths that flap one after the other, and clients that stay away."""
    chance = random.Random(f"leases {settings.seed}")
    if chance.random() >= LEASE_SHARE:
        return settings, []
    grace_ms = chance.choice((10, 60, 250))
    if chance.random() < 0.6:
        settings = msgspec.structs.replace(settings, lease_ms=grace_ms)
    actions: list[Action] = [
        SetLease(
            at_ms=round(5 + 0.5 * lasts_ms * chance.random(), 3),
            grace_ms=None if chance.random() < 0.15 else chance.choice((10, 60, 250)),
            client=chance.randrange(settings.clients),
        )
        for _ in range(chance.randrange(1, 4))
    ]
    for _ in range(chance.randrange(0, 3)):
        actions += _flapping(chance, lasts_ms, grace_ms)
    if chance.random() < 0.5:
        at_ms = round(lasts_ms * (0.3 + 0.6 * chance.random()), 3)
        actions.append(KillClient(at_ms=at_ms, client=chance.randrange(settings.clients), down_ms=3.0 * grace_ms))
    return settings, actions


def _flapping(chance: random.Random, lasts_ms: float, grace_ms: int) -> list[Action]:
    """Each path is away for longer than the grace, and one of them is always there."""
    at_ms = lasts_ms * (0.2 + 0.6 * chance.random())
    paths: list[Path] = ["zmq", "grpc"]
    chance.shuffle(paths)
    away_ms = round(1.5 * grace_ms, 3)
    return [
        CutPath(at_ms=round(at_ms + number * (away_ms + 200.0), 3), path=paths[number % 2], refused_ms=away_ms)
        for number in range(chance.randrange(1, 4))
    ]


def with_reconciliation(settings: Settings) -> Settings:
    """Clients that reconcile; half of them follow no updates."""
    chance = random.Random(f"reconciliation {settings.seed}")
    if chance.random() >= RECONCILED_SHARE:
        return settings
    return msgspec.structs.replace(settings, reconciles=True, subscribes=chance.random() < 0.5)


def limits(settings: Settings, lasts_ms: float) -> list[Action]:
    """Limits that come and go while the orders come."""
    chance = random.Random(f"limits {settings.seed}")
    if chance.random() >= LIMITS_SHARE:
        return []
    return [_limits(chance, settings, lasts_ms) for _ in range(chance.randrange(2, 7))]


def _limits(chance: random.Random, settings: Settings, lasts_ms: float) -> Action:
    def given(*values: str) -> str | None:
        return chance.choice(values) if chance.random() < 0.4 else None

    symbol = chance.choice(("", "", "NASDAQ", "SP500"))
    rate = None if symbol or chance.random() < 0.5 else chance.choice((15, 60))
    return SetLimits(
        at_ms=round(5 + lasts_ms * chance.random(), 3),
        client=chance.randrange(settings.clients),
        symbol=symbol,
        max_order_quantity=given("0.8", "2", "3.2"),
        max_order_notional=given("9000", "40000"),
        price_collar=given("0.004", "0.02"),
        max_open_orders=chance.choice((1, 4, 15)) if chance.random() < 0.4 else None,
        max_position=given("0", "6", "25"),
        orders_per_second=rate,
        order_burst=chance.choice((None, 3)) if rate is not None else None,
    )
