"""Recovery of the default settings: every client, every fault, and what the failover came to."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

from bench.recovery.rounds import CLIENTS, FAULTS, Recovered, Saboteur, TimedProxy
from bench.samples import percentile
from bench.sections import Section, SectionResult
from transport import BridgeConfig

if TYPE_CHECKING:
    from bench.context import Context

SHORT_ROUNDS, FULL_ROUNDS = 30, 200
SEED = 5
Found = Mapping[tuple[str, str], Recovered]
"""By fault and client."""


def run(context: Context) -> SectionResult:
    """Measures every client under every fault; each has an engine's path and a proxy of its own."""
    rounds = FULL_ROUNDS if context.is_full else SHORT_ROUNDS
    engine, random = context.engine("os", spin_us=0), Random(SEED)
    found: dict[tuple[str, str], Recovered] = {}
    for fault, strike in FAULTS.items():
        for name, measure in CLIENTS.items():
            context.say(f"recovery: {name} client, {fault}, {rounds} times")
            proxy = TimedProxy(engine.tcp)
            with proxy:
                # Nothing but the endpoints is set: these are the defaults that a user has.
                config = BridgeConfig(
                    zmq_endpoint=f"tcp://{proxy.endpoint}", pub_endpoint=engine.process.pub, grpc_endpoint=engine.grpc
                )
                saboteur = Saboteur(proxy, strike, random)
                try:
                    found[fault, name] = measure(config, saboteur, rounds)
                finally:
                    saboteur.end()
    return SectionResult(
        data={
            f"{fault}.{name}": {"ms": one.milliseconds, "resent": one.resent} for (fault, name), one in found.items()
        },
        markdown=_markdown(found, rounds),
        figures=_figures(found),
    )


def _figures(found: Found) -> dict[str, float]:
    """Each client's percentiles, and under the fault's name alone the worse of the two clients."""
    figures: dict[str, float] = {}
    for percent in (50, 99):
        for (fault, name), one in found.items():
            value = percentile(sorted(one.milliseconds), percent)
            figures[f"recovery.{fault}.{name}.p{percent}_ms"] = value
            worst = f"recovery.{fault}.p{percent}_ms"
            figures[worst] = max(value, figures.get(worst, 0.0))
    return figures


def _markdown(found: Found, rounds: int) -> str:
    config = BridgeConfig()
    lines = [
        f"From the fault to the next completed order, {rounds} faults each, one order at a time, "
        f"with default settings (a PING every {config.heartbeat_interval_ms} ms, silent after "
        f"{config.heartbeat_timeout_ms} ms). The fast path goes through a proxy in the client's own process, "
        "gRPC directly. Milliseconds; with so few faults p99 is the largest.",
        "",
        "| fault | client | p50 | p90 | p99 | orders sent again |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (fault, name), one in found.items():
        ordered = sorted(one.milliseconds)
        cells = " | ".join(f"{percentile(ordered, percent):.2f}" for percent in (50, 90, 99))
        lines.append(f"| {fault} | {name} | {cells} | {one.resent} |")
    return "\n".join(lines) + "\n"


SECTION = Section(name="recovery", title="Recovery", run=run)
