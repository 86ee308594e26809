"""A start with many orders: from the snapshots that the engine has made, and from the journal alone."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.engines import BenchEngine
from bench.growth.process import process_cpu_ns
from transport import BlockingFastPathClient, BridgeConfig

START_DEADLINE_S = 300.0
SNAPSHOT_DEADLINE_S = 120.0
QUIET_S = 2.5
"""The engine looks once a second whether a snapshot is due; with none in this time, none is."""
LOOK_S = 0.1


@dataclass(frozen=True)
class Start:
    """One start, from the process to its ready line."""

    seconds: float
    cpu_s: float
    """Of all threads."""
    records: int
    """In the journal."""
    snapshot_seq: int
    """The record from which it went on; 0: from the first one."""
    bytes_read: int
    """Of that snapshot, and of segments behind it."""


@dataclass(frozen=True)
class Starts:
    """Both, of one engine."""

    orders: int
    from_snapshot: Start
    from_journal: Start

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def starts(engine: BenchEngine, orders: int) -> Starts:
    """Kills the engine, as a crash would, and starts it again; then once more with its snapshots taken away and its
    archive put back in front of the journal."""
    wait_for_snapshots(engine)
    engine.process.kill()
    from_snapshot = _start(engine)
    engine.process.kill()
    directory = engine.process.data_dir
    for snapshot in directory.glob("*.snapshot"):
        snapshot.unlink()
    for segment in (directory / "archive").glob("*.seg"):
        segment.rename(directory / segment.name)
    return Starts(orders, from_snapshot, _start(engine))


def _start(engine: BenchEngine) -> Start:
    process = engine.process
    process.ready_deadline_s = START_DEADLINE_S
    began = time.monotonic()
    process.start()
    seconds = time.monotonic() - began
    cpu_s = process_cpu_ns(process.pid) / 1e9
    with _asking(engine) as client:
        health = client.health_check()
        seq, size = health.counters["snapshot_seq"], health.counters["snapshot_bytes"]
    behind = sum(each.stat().st_size for each in process.data_dir.glob("*.seg") if int(each.stem) > seq)
    return Start(seconds, cpu_s, health.journal_seq, seq, size + behind)


def wait_for_snapshots(engine: BenchEngine) -> None:
    """Until the engine is content with those it has."""
    with _asking(engine) as client:
        ends = time.monotonic() + SNAPSHOT_DEADLINE_S
        made, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_S:
            if time.monotonic() > ends:
                raise TimeoutError(f"snapshots are still being made after {SNAPSHOT_DEADLINE_S} s")
            counters = client.health_check().counters
            if counters["snapshot_running"] or counters["snapshots"] != made:
                made, since = counters["snapshots"], time.monotonic()
            threading.Event().wait(LOOK_S)


def _asking(engine: BenchEngine) -> BlockingFastPathClient:
    return BlockingFastPathClient(BridgeConfig(zmq_endpoint=engine.tcp, carrier="pyzmq"))
