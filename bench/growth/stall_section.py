"""Longest round trips, and starts, at a million orders: an engine that makes no snapshots, and one with defaults."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from bench.connected import connected
from bench.context import Context
from bench.engines import SPIN_US, BenchEngine
from bench.growth.filling import PATIENT, remember_and_rest
from bench.growth.process import waits_of
from bench.growth.stalls import Ends, Grown, as_json, grow
from bench.growth.starts import Starts, starts
from bench.growth.sweep import engine_of
from bench.report import plots
from bench.rows.floors import native
from bench.samples import Samples
from transport import BlockingFastPathClient

NO_SNAPSHOTS = ("--snapshot-every-bytes", "0")


@dataclass(frozen=True)
class Extent:
    """How far engines grow."""

    in_batches: int
    """Orders that are there before the first clock."""
    until: int


SHORT = Extent(in_batches=700_000, until=1_000_000)
"""The last stretch: what doubles does it at its largest here (a table of 2^20 places, at 917,504 orders)."""
FULL = Extent(in_batches=0, until=1_000_000)


@dataclass(frozen=True)
class Stalls:
    """What was found."""

    extent: Extent
    alone: Grown
    """Of the engine that makes no snapshots."""
    with_snapshots: Grown
    starts: Starts
    """Of the other one, half of its orders open."""

    @property
    def figures(self) -> dict[str, float]:
        """What targets refer to."""
        found = {
            "growth.stall.growing_ms": self.alone.orders(snapshot=False),
            "growth.stall.snapshot_ms": self.with_snapshots.orders(snapshot=True),
        }
        longest = {name: samples.us(100) / 1e3 for name, samples in found.items() if samples}
        return {**longest, "growth.stall.start_s": self.starts.from_snapshot.seconds}

    @property
    def defects(self) -> list[str]:
        """Why it says nothing of snapshots; none: it does."""
        found: list[str] = []
        if self.with_snapshots.orders(snapshot=True) is None:
            found.append("growth: no snapshot was made while orders were timed")
        if self.starts.from_snapshot.snapshot_seq == 0 or self.starts.from_journal.snapshot_seq != 0:
            found.append("growth: the start from a snapshot had none, or the one without it had one")
        return found

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "in_batches": self.extent.in_batches,
            "until": self.extent.until,
            "alone": as_json(self.alone),
            "with_snapshots": as_json(self.with_snapshots),
            "starts": self.starts.as_json(),
        }


def stalls(context: Context) -> Stalls:
    """Grows both engines, one after the other, and starts the second one again."""
    extent = FULL if context.is_full else SHORT
    with _filled(context, "growth-stall-alone", extent, NO_SNAPSHOTS) as engine:
        alone = _grow(context, engine, extent)
    with _filled(context, "growth-stall-snapshots", extent) as engine:
        with_snapshots = _grow(context, engine, extent)
        context.say(f"growth: starts with {extent.until:,} orders, half of them open")
        return Stalls(extent, alone, with_snapshots, starts(engine, extent.until))


@contextmanager
def _filled(context: Context, name: str, extent: Extent, arguments: tuple[str, ...] = ()) -> Generator[BenchEngine]:
    context.say(f"growth: the longest order up to {extent.until:,} ({name})")
    with engine_of(context, name, arguments) as engine:
        remember_and_rest(engine, extent.in_batches)
        yield engine


def _grow(context: Context, engine: BenchEngine, extent: Extent) -> Grown:
    client = BlockingFastPathClient(engine.config("tcp", carrier="native", spin_us=SPIN_US, **PATIENT))
    # The engine's reactor is the first thread of its process.
    threads = (threading.get_native_id(), engine.process.pid)
    with native("tcp", spin=True)(context) as echo, connected(client), waits_of(threads) as waited_ns:

        def counters() -> Mapping[str, int]:
            return client.health_check().counters

        ends = Ends(client.execute_order, counters, waited_ns, echo.timed)
        return grow(ends, extent.in_batches, extent.until)


def markdown(found: Stalls) -> str:
    """Both tables, and how to read them."""
    extent, alone, other = found.extent, found.alone, found.with_snapshots
    begun = f"from {extent.in_batches:,} " if extent.in_batches else ""
    rows = [
        ("no snapshots are made", alone, False),
        ("snapshots are made: between them", other, False),
        ("snapshots are made: during one", other, True),
    ]
    lines = [
        f"The longest round trip while an engine grows {begun}to {extent.until:,} orders, in turn one that is filled "
        "and one that rests: every order of one closed loop is timed; turns of it alternate with turns of as many "
        "messages to a bare echo, both ends of which spin as well. What the echo shows in the same turns is the "
        "machine's; a snapshot's thread takes a core, so that on two cores both share. `with a core`: without the time "
        "in which the client or the engine's reactor was ready to run and another had the core. Microseconds.",
        "",
        "| while | orders | p50 | p99.99 | longest | over 1 ms | longest with a core | echo p99.99 | echo longest |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [_row(*row) for row in rows]
    lines += [
        "",
        f"Snapshots made meanwhile: {other.snapshots}.",
        "",
        *start_table([("half of them open", found.starts)]),
    ]
    return "\n".join(lines)


def _row(name: str, grown: Grown, snapshot: bool) -> str:
    orders, echo = grown.orders(snapshot=snapshot), grown.echoes(snapshot=snapshot)
    alone = grown.with_a_core(snapshot=snapshot)
    if orders is None or echo is None or alone is None:
        return f"| {name} | 0 | | | | | | | |"
    slow = sum(ns > 1_000_000 for ns in orders.ordered_ns)
    cells = [f"{len(orders.ordered_ns):,}", f"{orders.us(50):,.1f}", _tail(orders), f"{orders.us(100):,.0f}"]
    cells += [f"{slow:,}", f"{alone.us(100):,.0f}", _tail(echo), f"{echo.us(100):,.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


def _tail(samples: Samples) -> str:
    return f"{samples.us(99.99):,.0f}" if samples.can_say(99.99) else ""


def start_table(found: list[tuple[str, Starts]]) -> list[str]:
    """Starts after a kill, of several engines."""
    lines = ["| start after a kill | seconds | CPU seconds | records behind the snapshot | MB read |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for what, one in found:
        for name, start in (("from a snapshot", one.from_snapshot), ("from the journal alone", one.from_journal)):
            behind = start.records - start.snapshot_seq
            cells = [f"{start.seconds:.2f}", f"{start.cpu_s:.2f}", f"{behind:,}", f"{start.bytes_read / 1e6:,.0f}"]
            lines.append(f"| {one.orders:,} orders, {what}, {name} | {' | '.join(cells)} |")
    return lines


def plot(found: Stalls) -> str:
    """The longest order of each turn, by how many stood."""
    figure = Figure(figsize=(8, 3.2))
    axes: Any = figure.subplots()
    series = [
        ("echo (the machine)", plots.GREY, _longest(found.alone, None, echo=True)),
        ("no snapshots", plots.BLUE, _longest(found.alone, None)),
        ("between snapshots", plots.GREEN, _longest(found.with_snapshots, False)),
        ("during a snapshot", plots.ORANGE, _longest(found.with_snapshots, True)),
    ]
    for name, colour, points in series:
        standing, longest_us = zip(*points, strict=True) if points else ((), ())
        axes.plot(standing, longest_us, linestyle="", marker=".", markersize=4, color=colour, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("orders that stand")
    axes.set_ylabel("longest of a turn, microseconds")
    axes.set_title("The longest order while tables grow", loc="left", fontsize=10)
    axes.legend(fontsize=7)
    return plots.svg_of(figure)


def _longest(grown: Grown, snapshot: bool | None, *, echo: bool = False) -> list[tuple[int, float]]:
    turns = [turn for turn in grown.turns if snapshot is None or turn.snapshot == snapshot]
    return [(turn.standing, max(turn.echo_ns if echo else turn.orders_ns) / 1e3) for turn in turns]
