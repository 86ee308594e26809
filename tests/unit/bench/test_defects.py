"""Every defect that makes a comparison unfair is found, and a fair run has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.defects import FLOOR_PAIRS, GRPC_PAIRS, all_defects, slow_references, unequal_in_group
from bench.interleave import Measured
from bench.rows.row import Facts
from bench.sections import SectionResult
from tests.unit.bench.declared_rows import EFFORT, FACTS, GROUP, measured, run_of


def test_rows_that_were_treated_alike_have_no_defect() -> None:
    echo = measured("tonic-echo", facts=replace(FACTS, durability="none", request_bytes=150, reply_bytes=0))
    floor = measured("floor", facts=Facts("none", "raw", FACTS.request_bytes, FACTS.reply_bytes))
    floor.floor = True
    assert unequal_in_group(GROUP, [measured("a"), measured("b"), echo, floor]) == []


def _other(change: str) -> Measured:
    other = measured("other")
    assert other.facts is not None
    match change:
        case "warm-up calls":
            other.warm_up_calls += 1
        case "lead-in calls":
            other.lead_in_calls += 1
        case "rounds":
            other.rounds_ns = other.rounds_ns[1:]
        case "calls in a round":
            other.rounds_ns = [[1000] * (EFFORT.calls - 1), *other.rounds_ns[1:]]
        case "durability":
            other.facts = replace(other.facts, durability="always")
        case "payload":
            other.facts = replace(other.facts, payload="smaller")
        case "request_bytes":
            other.facts = replace(other.facts, request_bytes=64)
        case _:
            other.facts = replace(other.facts, reply_bytes=64)
    return other


@pytest.mark.parametrize(
    "change",
    [
        "warm-up calls",
        "lead-in calls",
        "rounds",
        "calls in a round",
        "durability",
        "payload",
        "request_bytes",
        "reply_bytes",
    ],
)
def test_a_row_that_was_treated_otherwise_is_a_defect(change: str) -> None:
    (found,) = unequal_in_group(GROUP, [measured("one"), _other(change)])
    assert f"differ in {change}" in found
    assert "other" in found


def test_what_a_group_compares_on_purpose_is_no_defect() -> None:
    group = replace(GROUP, varies=frozenset({"durability"}))
    assert unequal_in_group(group, [measured("one"), _other("durability")]) == []
    assert unequal_in_group(group, [measured("one"), _other("payload")]) != []


def test_a_floor_that_sends_smaller_messages_is_a_defect() -> None:
    floor = measured("floor", facts=Facts("none", "raw", 64, FACTS.reply_bytes))
    floor.floor = True
    assert len(unequal_in_group(GROUP, [measured("one"), floor])) == 1


def _pair(over: str, under: str, ratio: float) -> list[Measured]:
    def row(term: str, ns: int) -> Measured:
        group, _, name = term.partition("@")[0].partition("/")
        return measured(name, group=group, rounds_ns=[[ns] * EFFORT.calls] * EFFORT.rounds)

    return [row(over, round(ratio * 100_000)), row(under, 100_000)]


@pytest.mark.parametrize(("pair", "bad", "good"), [(pair, 1.31, 1.29) for pair in GRPC_PAIRS])
def test_grpc_that_is_slower_than_bare_tonic_allows_is_a_defect(pair: tuple[str, str], bad: float, good: float) -> None:
    (found,) = slow_references(run_of(_pair(*pair, bad)))
    assert "gRPC is slower" in found
    assert slow_references(run_of(_pair(*pair, good))) == []


@pytest.mark.parametrize(("pair", "bad", "good"), [(pair, 1.06, 1.0) for pair in FLOOR_PAIRS])
def test_a_floor_that_is_slower_than_plain_python_is_a_defect(pair: tuple[str, str], bad: float, good: float) -> None:
    (found,) = slow_references(run_of(_pair(*pair, bad)))
    assert "not the floor" in found
    assert slow_references(run_of(_pair(*pair, good))) == []


def test_what_a_section_says_of_itself_is_a_defect_of_the_run() -> None:
    run = run_of([])
    run.sections["load"] = SectionResult({}, "", defects=["the schedule was not kept"])
    assert all_defects(run) == ["load: the schedule was not kept"]
