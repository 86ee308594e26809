"""The recovery section by itself: what its figures are made of, and that the targets name them."""

from __future__ import annotations

import time
from random import Random

from bench.recovery.proxy import ProxyProcess
from bench.recovery.rounds import Recovered, Saboteur
from bench.recovery.section import _figures, _markdown  # pyright: ignore[reportPrivateUsage]
from bench.targets import TARGETS

FOUND = {
    ("reset", "blocking"): Recovered([1.0, 2.0, 3.0], resent=3),
    ("reset", "asyncio"): Recovered([2.0, 2.5, 9.0], resent=2),
    ("blackhole", "blocking"): Recovered([101.0, 110.0, 119.0], resent=3),
    ("blackhole", "asyncio"): Recovered([100.0, 105.0, 112.0], resent=3),
}
ALONE = {"blocking": [0.5, 1.5, 2.5], "asyncio": [0.75, 1.75, 2.75]}


def test_the_figure_of_a_fault_is_that_of_the_slower_client() -> None:
    figures = _figures(FOUND, ALONE)
    assert (figures["recovery.reset.blocking.p99_ms"], figures["recovery.reset.p99_ms"]) == (3.0, 9.0)
    assert (figures["recovery.blackhole.p50_ms"], figures["recovery.blackhole.p99_ms"]) == (110.0, 119.0)


def test_the_targets_name_figures_that_the_section_has() -> None:
    named = {term for target in TARGETS for term in target.over if term.startswith("recovery.")}
    assert named == {"recovery.reset.p99_ms", "recovery.blackhole.p99_ms"}
    assert named <= set(_figures(FOUND, ALONE))


def test_every_client_and_fault_has_its_row() -> None:
    rows = [line for line in _markdown(FOUND, ALONE, 3).splitlines() if line.startswith(("| reset", "| blackhole"))]
    assert len(rows) == 4 and "| 119.00 |" in rows[2]


def test_what_grpc_takes_by_itself_stands_beside_it() -> None:
    assert _figures(FOUND, ALONE)["recovery.grpc_alone.asyncio.p50_ms"] == 1.75
    assert "| none: gRPC alone | blocking | 1.50 | 2.50 | 2.50 | |" in _markdown(FOUND, ALONE, 3).splitlines()


def test_an_order_on_the_fast_path_is_none_after_the_fault() -> None:
    with ProxyProcess("127.0.0.1:1") as proxy:
        saboteur = Saboteur(proxy, "reset", Random(1))
        before_ns = time.monotonic_ns()
        saboteur.strike_soon()
        assert saboteur.took_ms("zmq", before_ns + 1) is None
        assert saboteur.took_ms("grpc", before_ns) is None  # nothing was broken yet
        after_ns = time.monotonic_ns()
        assert saboteur.took_ms("zmq", after_ns) is None
        took_ms = saboteur.took_ms("grpc", after_ns)
        assert took_ms is not None and 0 < took_ms <= (after_ns - before_ns) / 1e6


def test_each_fault_has_an_instant_of_its_own_and_nobody_has_to_ask_for_the_last() -> None:
    with ProxyProcess("127.0.0.1:1") as proxy:
        instants: list[int] = []
        for fault in ("reset", "blackhole"):
            proxy.strike(fault, 0.0)
            instants.append(proxy.struck_at_ns())
            proxy.heal()
        assert 0 < instants[0] < instants[1] <= time.monotonic_ns()
        proxy.strike("reset", 0.0)  # nobody asks: the process ends all the same
