"""Stages of one order from the stamps of both ends, and what is typical of many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from bench.samples import percentile
from bench.stages.seam_client import ClientStamps


class EngineStamps(NamedTuple):
    """Instants of one order at the engine, in ns of CLOCK_MONOTONIC, as `--stage-times` writes them."""

    readable: int
    read: int
    decoded: int
    applied: int
    journaled: int
    encoded: int
    sent: int


STAGES = (
    "client: encode",
    "client: send",
    "kernel, engine wakes",
    "engine: receive",
    "engine: decode",
    "engine: apply",
    "engine: journal",
    "engine: encode",
    "engine: send",
    "kernel, client wakes, receive",
    "client: decode, read",
)
CENTRAL_PERCENT = 10
"""Of the orders, those about the median total stand for all: their stages add up to it."""


def stages_of(client: ClientStamps, engine: EngineStamps) -> tuple[int, ...]:
    """What each of `STAGES` took, in ns; together exactly what the order took.

    The other end may see bytes before the call that sent them has returned: a send ends there at the latest. A reactor
    that is awake may have begun to look before the bytes were there: they are readable when they are sent, at the
    earliest.
    """
    engine = engine._replace(readable=min(max(engine.readable, client.encoded), engine.read))
    client_sent = max(client.encoded, min(client.sent, engine.readable))
    engine_sent = max(engine.encoded, min(engine.sent, client.received))
    instants = (client.began, client.encoded, client_sent, *engine[:-1], engine_sent, client.received, client.read)
    found = tuple(after - before for before, after in pairwise(instants))
    if min(found) < 0:
        raise ValueError(f"stamps are not in order: {client}, {engine}")
    return found


def read_engine_stamps(lines: Iterable[str]) -> dict[int, EngineStamps]:
    """Stamps by correlation number from the lines of the engine's file; an order that never came to its end (a stamp
    of 0) is left out."""
    found: dict[int, EngineStamps] = {}
    for line in lines:
        written: dict[str, int] = json.loads(line)
        stamps = EngineStamps(*(written[f"t_{name}"] for name in EngineStamps._fields))
        if all(stamps):
            found[written["correlation"]] = stamps
    return found


def typical(orders: Sequence[Sequence[int]]) -> list[float]:
    """Mean stages of the orders about the median total, in ns. Raises `ValueError` for no orders."""
    if not orders:
        raise ValueError("no order has stamps of both ends")
    by_total = sorted(orders, key=sum)
    half = max(len(by_total) * CENTRAL_PERCENT // 200, 1)
    middle = len(by_total) // 2
    central = by_total[max(middle - half, 0) : middle + half]
    return [fmean(values) for values in zip(*central, strict=True)]


def stage_percentiles(orders: Sequence[Sequence[int]], percent: float) -> list[float]:
    """A percentile of each stage by itself, in ns; these do not add up."""
    return [percentile(sorted(values), percent) for values in zip(*orders, strict=True)]
