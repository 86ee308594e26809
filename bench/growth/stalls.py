"""The longest round trip while tables grow to a million orders, and while a snapshot is made.

One client sends one order after the other and every one of them is timed, so no stall falls between two samples. The
clocks cannot tell a stall of the engine from one of the machine. So turns of orders alternate with turns of as many
messages to a bare echo (both ends spin there too); and of each order it is known how long client and engine were ready
to run and had no core, by the scheduler's account.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from bench.growth.filling import mixed_orders
from bench.rows.row import Timed
from bench.samples import Samples
from bench.timing import time_each_and
from transport import Order, OrderReply

TURN_ORDERS = 2_000
"""Some 50 ms: begin and end of a snapshot are known as exactly as that. A turn that it touches counts as its own."""


@dataclass(frozen=True)
class Turn:
    """Orders that went out one by one, then as many messages to the echo."""

    standing: int
    """Orders that the engine had before."""
    snapshot: bool
    """One was being made at some time of the turn."""
    orders_ns: Sequence[int]
    waited_ns: Sequence[int]
    """How long, of each order, client and engine were ready to run and got no core; both together."""
    echo_ns: Sequence[int]

    @property
    def with_a_core_ns(self) -> list[int]:
        """Each order without that time."""
        return [max(taken - waited, 0) for taken, waited in zip(self.orders_ns, self.waited_ns, strict=True)]


@dataclass
class Grown:
    """All turns of one engine."""

    turns: list[Turn] = field(default_factory=list[Turn])
    snapshots: int = 0
    """That were made meanwhile."""

    def orders(self, *, snapshot: bool) -> Samples | None:
        """Orders of those turns; None: there was no such turn."""
        return _samples([turn.orders_ns for turn in self.turns if turn.snapshot == snapshot])

    def with_a_core(self, *, snapshot: bool) -> Samples | None:
        """The same orders, without the time in which client or engine had no core."""
        return _samples([turn.with_a_core_ns for turn in self.turns if turn.snapshot == snapshot])

    def echoes(self, *, snapshot: bool) -> Samples | None:
        """The echo's messages of those turns."""
        return _samples([turn.echo_ns for turn in self.turns if turn.snapshot == snapshot])


def _samples(rounds_ns: list[Sequence[int]]) -> Samples | None:
    return Samples(rounds_ns) if rounds_ns else None


@dataclass(frozen=True)
class Ends:
    """What a turn needs."""

    execute: Callable[[Order], OrderReply]
    counters: Callable[[], Mapping[str, int]]
    """Of the engine's health."""
    waited_ns: Callable[[], int]
    """How long client and engine were ready to run and had no core, so far."""
    echo: Timed


def grow(ends: Ends, standing: int, until: int, turn_orders: int = TURN_ORDERS) -> Grown:
    """Sends orders, half of which rest, until so many stand."""
    grown = Grown()
    first = before = ends.counters()
    with _collector_off():
        while standing < until:
            orders = mixed_orders(min(turn_orders, until - standing))
            gc.collect()
            orders_ns, waited = time_each_and(ends.execute, orders, ends.waited_ns)
            after = ends.counters()
            echo_ns = ends.echo(len(orders))
            grown.turns.append(Turn(standing, touched_by_snapshot(before, after), orders_ns, waited, echo_ns))
            standing += len(orders)
            before = ends.counters()
    grown.snapshots = before["snapshots"] - first["snapshots"]
    return grown


def touched_by_snapshot(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Whether one was being made between two looks at health (or was begun and finished between them)."""
    running = before["snapshot_running"] or after["snapshot_running"]
    return bool(running) or before["snapshots"] != after["snapshots"]


@contextmanager
def _collector_off() -> Generator[None]:
    """The client's garbage collector runs between turns alone: a pause of it is none of the engine's."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def as_json(grown: Grown) -> dict[str, Any]:
    """What is written down of one engine."""

    def of(samples: Samples | None) -> dict[str, Any] | None:
        if samples is None:
            return None
        calls = list(chain.from_iterable(samples.rounds_ns))
        slow = {f"over_{limit_ms}_ms": sum(ns > limit_ms * 1_000_000 for ns in calls) for limit_ms in (1, 10)}
        percentiles = {f"p{percent:g}_us": round(samples.us(percent), 1) for percent in (50, 99, 99.9, 99.99, 100)}
        return {"calls": len(calls), **percentiles, **slow}

    found: dict[str, Any] = {"snapshots": grown.snapshots}
    for name, snapshot in (("no_snapshot", False), ("snapshot", True)):
        found[name] = {
            "orders": of(grown.orders(snapshot=snapshot)),
            "orders_with_a_core": of(grown.with_a_core(snapshot=snapshot)),
            "echo": of(grown.echoes(snapshot=snapshot)),
        }
    return found
