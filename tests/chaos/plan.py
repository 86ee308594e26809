"""What breaks when: a pure function of the seed, so that a run can be made again.

Every target (the engine, each path of each lane, the clients) has a timeline of its own, on which faults follow one
another with pauses between; those of different targets overlap as they fall. Kinds are dealt like cards: each comes
once before one comes again, so that even a short run sees most of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

Range = tuple[int, int]


class FaultKind(StrEnum):
    """How something breaks."""

    LATENCY = "latency"
    DRIP = "slow drip"
    LOSS = "connection loss"
    RESET = "reset"
    REFUSE = "refuse"
    BLACKHOLE = "blackhole"
    REQUESTS_LOST = "requests lost"
    """Half open towards the engine: what clients send does not arrive."""
    REPLIES_LOST = "replies lost"
    """Half open towards the clients: what the engine sends does not arrive."""
    ENGINE_SIDE_GONE = "half open client"
    """The engine's side is reset, and the client's connection stands there without knowing."""
    CLIENT_SIDE_GONE = "half open engine"
    """The client's side is reset, and the engine's connection stands there without knowing."""
    ENGINE_KILL = "engine SIGKILL"
    ENGINE_PAUSE = "engine SIGSTOP"
    ENGINE_STOP = "engine SIGTERM"
    DISK_FULL = "disk full"
    DISK_FAILS = "disk fails"
    CLIENT_KILL = "client SIGKILL"
    CLIENT_PAUSE = "client SIGSTOP"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault: when it begins, what breaks, how, and for how long."""

    at_ms: int
    """From the beginning of the run."""
    target: str
    """`engine`, a lane's path such as `A.zmq`, or a client's name."""
    kind: FaultKind
    lasts_ms: int
    """Until it is healed; 0 for what is over at once."""
    strength: int = 0
    """Latency in milliseconds, or bytes per second of a drip."""


@dataclass(frozen=True, slots=True)
class _Card:
    kind: FaultKind
    lasts_ms: Range = (0, 0)
    strength: Range = (0, 0)


_ON_PATHS = (
    _Card(FaultKind.LATENCY, (300, 1500), (5, 80)),
    _Card(FaultKind.DRIP, (300, 1200), (2_000, 40_000)),
    _Card(FaultKind.LOSS),
    _Card(FaultKind.RESET),
    _Card(FaultKind.REFUSE, (100, 1500)),
    _Card(FaultKind.BLACKHOLE, (300, 2000)),
    _Card(FaultKind.REQUESTS_LOST, (200, 1500)),
    _Card(FaultKind.REPLIES_LOST, (200, 1500)),
    _Card(FaultKind.ENGINE_SIDE_GONE, (300, 2000)),
    _Card(FaultKind.CLIENT_SIDE_GONE, (300, 2000)),
)
_ON_ENGINE = (
    _Card(FaultKind.ENGINE_KILL, (0, 800)),
    _Card(FaultKind.ENGINE_PAUSE, (100, 2500)),
    _Card(FaultKind.ENGINE_STOP, (0, 500)),
    _Card(FaultKind.DISK_FULL, (600, 2000)),
    _Card(FaultKind.DISK_FAILS, (200, 800)),
)
_ON_CLIENTS = (
    _Card(FaultKind.CLIENT_KILL, (0, 800)),
    _Card(FaultKind.CLIENT_PAUSE, (200, 3000)),
)
_BETWEEN_ON_PATH_MS: Range = (400, 2500)
_BETWEEN_ON_ENGINE_MS: Range = (700, 3000)
_BETWEEN_ON_CLIENTS_MS: Range = (800, 3500)
ENGINE = "engine"


def fault_plan(seed: int, span_ms: int, lanes: Sequence[str], clients: Sequence[str]) -> tuple[Fault, ...]:
    """Every fault of a run of `span_ms`, in order; the last ones end within it.

    `lanes` are the paths that have a proxy (`A.zmq`, ...), `clients` those that may be killed and paused.
    """
    timelines = [
        _timeline(f"{seed}/{ENGINE}", span_ms, (ENGINE,), _ON_ENGINE, _BETWEEN_ON_ENGINE_MS),
        _timeline(f"{seed}/clients", span_ms, clients, _ON_CLIENTS, _BETWEEN_ON_CLIENTS_MS),
        *(_timeline(f"{seed}/{lane}", span_ms, (lane,), _ON_PATHS, _BETWEEN_ON_PATH_MS) for lane in lanes),
    ]
    return tuple(sorted(fault for timeline in timelines for fault in timeline))


def _timeline(
    seed: str, span_ms: int, targets: Sequence[str], cards: Sequence[_Card], between_ms: Range
) -> Iterator[Fault]:
    draw = random.Random(seed)
    deck: list[_Card] = []
    at_ms = draw.randint(*between_ms)
    while True:
        deck = deck or draw.sample(cards, len(cards))
        card = deck.pop()
        lasts_ms = draw.randint(*card.lasts_ms)
        if at_ms + lasts_ms > span_ms:
            return
        yield Fault(at_ms, draw.choice(targets), card.kind, lasts_ms, draw.randint(*card.strength))
        at_ms += lasts_ms + draw.randint(*between_ms)
