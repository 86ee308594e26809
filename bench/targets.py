"""The table "Where to land" as data: what is asked of the ratios of one run, and how far the run is from it.

A miss is printed loudly and fails nothing: figures move with the machine, and what is missed is a place to look at,
not a broken build. What fails a run is in `bench.defects`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of one line."""

    STRETCH = "STRETCH"
    """Met, and the stretch goal too."""
    PASS = "PASS"
    MISS = "MISS"
    NOT_MEASURED = "NOT MEASURED"
    """A row or section that it names was not in this run, or failed."""


@dataclass(frozen=True)
class Target:
    """One figure: `sum(over) / sum(under)`, compared with a bound. Terms are those of `bench.run.Run.term`."""

    figure: str
    over: tuple[str, ...]
    under: tuple[str, ...] = ()
    """Empty: `over` is compared as it is."""
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None
    unit: str = "x"
    asked: bool = True
    """False: not a line of the table, printed for who wants to know."""

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"{self.figure}: one bound, either at least or at most")


@dataclass(frozen=True)
class Outcome:
    """A target and what the run says to it."""

    target: Target
    value: float
    verdict: Verdict

    @property
    def bound(self) -> str:
        """What was asked, for a person."""
        target = self.target
        found = f">= {target.at_least:g}" if target.at_least is not None else f"<= {target.at_most:g}"
        stretch = f" (stretch {target.stretch:g})" if target.stretch is not None else ""
        return f"{found} {target.unit}{stretch}"

    @property
    def found(self) -> str:
        """The value, for a person."""
        return "-" if math.isnan(self.value) else f"{self.value:.3g} {self.target.unit}"

    def as_json(self) -> dict[str, Any]:
        """As it is written down."""
        value = None if math.isnan(self.value) else round(self.value, 4)
        target = self.target
        return {
            "figure": target.figure,
            "asked": target.asked,
            "bound": self.bound,
            "value": value,
            "verdict": str(self.verdict),
            "over": target.over,
            "under": target.under,
        }


def evaluate(target: Target, term: Callable[[str], float]) -> Outcome:
    """The target against the run whose numbers `term` gives (NaN for what is not there)."""
    over = sum(map(term, target.over))
    under = sum(map(term, target.under)) if target.under else 1.0
    value = over / under if under else math.nan
    return Outcome(target, value, _verdict(target, value))


def _verdict(target: Target, value: float) -> Verdict:
    if math.isnan(value):
        return Verdict.NOT_MEASURED
    bound = target.at_least if target.at_least is not None else target.at_most
    assert bound is not None
    # At least a is the same as at most -a of the negated value.
    sign = -1 if target.at_least is not None else 1
    if sign * value > sign * bound:
        return Verdict.MISS
    if target.stretch is not None and sign * value <= sign * target.stretch:
        return Verdict.STRETCH
    return Verdict.PASS


def evaluate_all(term: Callable[[str], float]) -> Sequence[Outcome]:
    """Every line of the table, and those that were not asked for."""
    return [evaluate(target, term) for target in TARGETS]


_TCP, _IPC, _SYNCED, _MANY = "one-tcp-os/", "one-ipc-os/", "one-tcp-always/", "throughput/"
_BEST_STREAM = _MANY + "grpc-stream-aio|grpc-stream-sync|grpc-stream-client@p50"
_BEST_BATCH = _MANY + "native-batch|native-batch-uvloop|native-batches-uvloop@p50"
_PROTOBUF = "protobuf|protobuf-client|protobuf-doubles@p50"
_SYNC_PARTS = (
    _SYNCED + "floor-tcp-spin@p50",
    _SYNCED + "disk-write@p50",
    _SYNCED + "disk-fdatasync@p50",
    _SYNCED + "disk-hand-over@p50",
)

TARGETS: tuple[Target, ...] = (
    Target(
        "one order, native, both ends spinning, tcp, os: p50 against the raw TCP spinning floor",
        (_TCP + "native-spin@p50",), (_TCP + "floor-tcp-spin@p50",), at_most=2.5, stretch=2.0,
    ),
    Target(
        "the same: p50, times faster than gRPC sync unary",
        (_TCP + "grpc-sync@p50",), (_TCP + "native-spin@p50",), at_least=9, stretch=12,
    ),
    Target(
        "the same: p99, times faster than gRPC sync unary",
        (_TCP + "grpc-sync@p99",), (_TCP + "native-spin@p99",), at_least=8,
    ),
    Target(
        "the same: p50, times faster than the generated gRPC classes alone",
        (_TCP + "grpc-sync-stub@p50",), (_TCP + "native-spin@p50",), at_least=9, asked=False,
    ),
    Target(
        "the same over ipc: p50 against the raw Unix spinning floor",
        (_IPC + "native-spin@p50",), (_IPC + "floor-unix-spin@p50",), at_most=2.5, stretch=2.0,
    ),
    Target(
        "native blocking, no spinning anywhere: times faster than gRPC sync unary",
        (_TCP + "grpc-sync@p50",), (_TCP + "native-block@p50",), at_least=4,
    ),
    Target(
        "asyncio + uvloop, native: times faster than grpc.aio unary",
        (_TCP + "grpc-aio@p50",), (_TCP + "native-uvloop@p50",), at_least=10,
    ),
    Target(
        "the same: times faster than the generated grpc.aio classes alone",
        (_TCP + "grpc-aio-stub@p50",), (_TCP + "native-uvloop@p50",), at_least=10, asked=False,
    ),
    Target(
        "pyzmq carrier, engine spinning: times faster than the same client against a canned libzmq ROUTER",
        (_TCP + "pyzmq-libzmq-echo@p50",), (_TCP + "pyzmq@p50",), at_least=1.5,
    ),
    Target(
        "durability always, one at a time: p50 against floor + write + fdatasync + one hand-over",
        (_SYNCED + "native-spin@p50",), _SYNC_PARTS, at_most=1.25,
    ),
    Target(
        "durability always, pipelined: share of the rate with os",
        (_MANY + "native-pipelined-uvloop@p50",), (_MANY + "native-pipelined-uvloop-always@p50",), at_least=0.5,
    ),
    Target(
        "native codec, build + read: against the fastest protobuf",
        ("codec-build/native@p50", "codec-read/native@p50"),
        ("codec-build/" + _PROTOBUF, "codec-read/" + _PROTOBUF), at_most=1.0,
    ),
    Target(
        "throughput, pipelined: times the orders per second of gRPC's best bidi stream",
        (_BEST_STREAM,), (_MANY + "native-pipelined|native-pipelined-uvloop@p50",), at_least=15, stretch=30,
    ),
    Target(
        "throughput, batches of 1,000: times the orders per second of gRPC's best bidi stream",
        (_BEST_STREAM,), (_BEST_BATCH,), at_least=30, stretch=60,
    ),
    Target("growth: p50 with 10^6 remembered orders against 10^3", ("growth.remembered.ratio",), at_most=1.2),
    Target(
        "growth: start with 10^6 remembered orders, from the process to its ready line",
        ("growth.remembered.restart_s",), at_most=1.0, unit="s",
    ),
    Target(
        "growth: the same after a kill with half of 10^6 orders open",
        ("growth.stall.start_s",), at_most=1.0, unit="s", asked=False,
    ),
    Target(
        "growth: the longest order while tables grow to 10^6 orders, no snapshots",
        ("growth.stall.growing_ms",), at_most=10, unit="ms", asked=False,
    ),
    Target(
        "growth: the longest order while a snapshot of up to 10^6 orders is made",
        ("growth.stall.snapshot_ms",), at_most=10, unit="ms", asked=False,
    ),
    Target("growth: p50 with 1,000 idle connections against one", ("growth.connections.ratio",), at_most=1.3),
    Target(
        "recovery: from a reset connection to the next completed order, p99",
        ("recovery.reset.p99_ms",), at_most=5, unit="ms",
    ),
    Target(
        "recovery: from a silent blackhole to the next completed order, p99",
        ("recovery.blackhole.p99_ms",), at_most=150, unit="ms",
    ),
    Target("idle engine, spin 0", ("growth.idle_spin_0.cpu_percent",), at_most=0.5, unit="% of a core"),
)  # fmt: skip
