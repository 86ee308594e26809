"""Defects: what makes a run's comparison unfair, whatever its figures are. `make bench` fails on each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench import registry
from bench.interleave import Measured
from bench.rows.row import Group
from bench.run import Run

GRPC_AT_MOST = 1.3
"""Times a bare tonic echo of the same messages: above it, our gRPC path is slow, and would flatter the other."""
FLOOR_AT_MOST = 1.05
"""Times a plain Python socket loop: not slower, but for the noise between two medians of one thing in one run."""

GRPC_PAIRS = [
    ("one-tcp-os/grpc-sync@p50", "one-tcp-os/tonic-echo-sync@p50"),
    ("one-tcp-os/grpc-aio@p50", "one-tcp-os/tonic-echo-aio@p50"),
]
FLOOR_PAIRS = [
    ("one-tcp-os/floor-tcp-spin@p50", "one-tcp-os/socket-tcp-spin@p50"),
    ("one-tcp-os/floor-tcp-block@p50", "one-tcp-os/socket-tcp-block@p50"),
    ("one-ipc-os/floor-unix-spin@p50", "one-ipc-os/socket-unix-spin@p50"),
    ("one-ipc-os/floor-unix-block@p50", "one-ipc-os/socket-unix-block@p50"),
]


def all_defects(run: Run) -> list[str]:
    """Everything that makes this run's comparison unfair."""
    return [*unequal_rows(run), *slow_references(run), *of_sections(run)]


def of_sections(run: Run) -> list[str]:
    """What sections say of themselves."""
    return [f"{name}: {defect}" for name, result in run.sections.items() for defect in result.defects]


def slow_references(run: Run) -> list[str]:
    """Rows that others are compared with and that are slower than they could be; pairs not measured say nothing."""
    return [
        *_slower(run, GRPC_PAIRS, GRPC_AT_MOST, "gRPC is slower than it should be"),
        *_slower(run, FLOOR_PAIRS, FLOOR_AT_MOST, "the floor is not the floor"),
    ]


def _slower(run: Run, pairs: Iterable[tuple[str, str]], at_most: float, what: str) -> list[str]:
    ratios = [(over, under, run.term(over) / run.term(under)) for over, under in pairs]
    return [
        f"{what}: {over} is {ratio:.2f} x {under}, allowed is {at_most} x"
        for over, under, ratio in ratios
        if not math.isnan(ratio) and ratio > at_most
    ]


def unequal_rows(run: Run) -> list[str]:
    """Differences between rows of one group that were not declared as what the group compares."""
    found: list[str] = []
    names = {one.row.group for one in run.measured.values()}
    for group in (registry.groups()[name] for name in sorted(names)):
        rows = [one for one in run.measured.values() if one.row.group == group.name and one.failure is None]
        found += unequal_in_group(group, rows)
    return found


def unequal_in_group(group: Group, rows: list[Measured]) -> list[str]:
    """The same, of one group's rows that were measured."""
    with_engine = [one for one in rows if one.facts is not None and one.facts.durability != "none"]
    carrying = [one for one in rows if not one.floor]
    seen = {
        "warm-up calls": {one.row.name: one.warm_up_calls for one in rows},
        "lead-in calls": {one.row.name: one.lead_in_calls for one in rows},
        "rounds": {one.row.name: len(one.rounds_ns) for one in rows},
        "calls in a round": {one.row.name: sorted({len(each) for each in one.rounds_ns}) for one in rows},
        # What is no engine has no durability: floors and echoes, whose names say so.
        "durability": {one.row.name: one.facts.durability for one in with_engine if one.facts},
        "payload": {one.row.name: one.facts.payload for one in carrying if one.facts},
        "request_bytes": {name: sizes[0] for name, sizes in _sizes(rows).items()},
        "reply_bytes": {name: sizes[1] for name, sizes in _sizes(rows).items()},
    }
    return [
        f"{group.name}: rows differ in {what}: {values}"
        for what, values in seen.items()
        if what not in group.varies and len({str(value) for value in values.values()}) > 1
    ]


def _sizes(rows: list[Measured]) -> dict[str, tuple[int, int]]:
    """Of floors, and of the rows whose messages they stand for (those of the fast path have both sizes)."""
    facts = {one.row.name: one.facts for one in rows if one.facts is not None}
    return {name: (each.request_bytes, each.reply_bytes) for name, each in facts.items() if each.reply_bytes}
