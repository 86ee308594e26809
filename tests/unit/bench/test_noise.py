"""A run that was not quiet says so at its head."""

from __future__ import annotations

from bench.interleave import Measured
from bench.noise import noise_of
from tests.unit.bench.declared_rows import EFFORT, measured, run_of


def _floors(spinning_ns: int, again_ns: int, asleep_ns: int) -> list[Measured]:
    names = {"floor-tcp-spin": spinning_ns, "floor-tcp-spin-again": again_ns, "floor-tcp-block": asleep_ns}
    return [
        measured(name, group="one-tcp-os", rounds_ns=[[ns] * EFFORT.calls] * EFFORT.rounds)
        for name, ns in names.items()
    ]


def test_a_quiet_run_has_no_warning() -> None:
    assert noise_of(run_of(_floors(6_000, 6_500, 16_000))) == []


def test_one_thing_that_differs_from_itself_is_noise_whichever_is_the_slower() -> None:
    for first, second in ((6_000, 6_700), (6_700, 6_000)):
        (warning,) = noise_of(run_of(_floors(first, second, 16_000)))
        assert "differs 1.12-fold" in warning


def test_spinning_that_is_slower_than_sleeping_had_no_core_of_its_own() -> None:
    (warning,) = noise_of(run_of(_floors(215_000, 215_000, 16_000)))
    assert "share a core" in warning


def test_a_run_without_the_floors_says_nothing_of_noise() -> None:
    assert noise_of(run_of([])) == []
