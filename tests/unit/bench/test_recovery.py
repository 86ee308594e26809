"""The recovery section by itself: what its figures are made of, and that the targets name them."""

from __future__ import annotations

from random import Random

from bench.recovery.rounds import FAULTS, Recovered, Saboteur, TimedProxy
from bench.recovery.section import _figures, _markdown  # pyright: ignore[reportPrivateUsage]
from bench.targets import TARGETS

FOUND = {
    ("reset", "blocking"): Recovered([1.0, 2.0, 3.0], resent=3),
    ("reset", "asyncio"): Recovered([2.0, 2.5, 9.0], resent=2),
    ("blackhole", "blocking"): Recovered([101.0, 110.0, 119.0], resent=3),
    ("blackhole", "asyncio"): Recovered([100.0, 105.0, 112.0], resent=3),
}


def test_the_figure_of_a_fault_is_that_of_the_slower_client() -> None:
    figures = _figures(FOUND)
    assert (figures["recovery.reset.blocking.p99_ms"], figures["recovery.reset.p99_ms"]) == (3.0, 9.0)
    assert (figures["recovery.blackhole.p50_ms"], figures["recovery.blackhole.p99_ms"]) == (110.0, 119.0)


def test_the_targets_name_figures_that_the_section_has() -> None:
    named = {term for target in TARGETS for term in target.over if term.startswith("recovery.")}
    assert named == {"recovery.reset.p99_ms", "recovery.blackhole.p99_ms"}
    assert named <= set(_figures(FOUND))


def test_every_client_and_fault_has_its_row() -> None:
    rows = [line for line in _markdown(FOUND, 3).splitlines() if line.startswith(("| reset", "| blackhole"))]
    assert len(rows) == 4 and "| 119.00 |" in rows[2]


def test_an_order_on_the_fast_path_is_none_after_the_fault() -> None:
    proxy = TimedProxy("127.0.0.1:1")
    with proxy:
        saboteur = Saboteur(proxy, FAULTS["reset"], Random(1))
        proxy.struck_at_ns = 0
        assert not saboteur.has_hit("grpc", 5)
        proxy.reset_connections()
        at_ns = proxy.struck_at_ns
        assert at_ns > 0
        assert not saboteur.has_hit("grpc", at_ns - 1) and not saboteur.has_hit("zmq", at_ns + 1)
        assert saboteur.has_hit("grpc", at_ns + 1)
        saboteur.end()
