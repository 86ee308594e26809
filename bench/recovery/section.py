"""Recovery of the default settings: every client, every fault, and what the failover came to."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

from bench.recovery.proxy import FAULTS, ProxyProcess
from bench.recovery.rounds import CLIENTS, GRPC_ALONE, Recovered, Saboteur
from bench.samples import percentile
from bench.sections import Section, SectionResult
from transport import BridgeConfig

if TYPE_CHECKING:
    from bench.context import Context

SHORT_ROUNDS, FULL_ROUNDS = 30, 200
SEED = 5
Found = Mapping[tuple[str, str], Recovered]
"""By fault and client."""
Alone = Mapping[str, list[float]]
"""Milliseconds of gRPC by itself, by client."""


def run(context: Context) -> SectionResult:
    """Measures every client under every fault; each has an engine's path and a proxy of its own."""
    rounds = FULL_ROUNDS if context.is_full else SHORT_ROUNDS
    engine, random = context.engine("os", spin_us=0), Random(SEED)
    found: dict[tuple[str, str], Recovered] = {}
    for fault in FAULTS:
        for name, measure in CLIENTS.items():
            context.say(f"recovery: {name} client, {fault}, {rounds} times")
            with ProxyProcess(engine.tcp) as proxy:
                # Nothing but the endpoints is set: these are the defaults that a user has.
                config = BridgeConfig(
                    zmq_endpoint=f"tcp://{proxy.endpoint}", pub_endpoint=engine.process.pub, grpc_endpoint=engine.grpc
                )
                found[fault, name] = measure(config, Saboteur(proxy, fault, random), rounds)
    alone: dict[str, list[float]] = {}
    for name, measure_alone in GRPC_ALONE.items():
        context.say(f"recovery: {name} client, gRPC alone, {rounds} times")
        alone[name] = measure_alone(BridgeConfig(grpc_endpoint=engine.grpc), random, rounds)
    data: dict[str, object] = {
        f"{fault}.{name}": {"ms": one.milliseconds, "resent": one.resent} for (fault, name), one in found.items()
    }
    data |= {f"grpc_alone.{name}": {"ms": milliseconds} for name, milliseconds in alone.items()}
    return SectionResult(data=data, markdown=_markdown(found, alone, rounds), figures=_figures(found, alone))


def _figures(found: Found, alone: Alone) -> dict[str, float]:
    """Each client's percentiles, and under the fault's name alone the worse of the two clients."""
    figures: dict[str, float] = {}
    for percent in (50, 99):
        for (fault, name), one in found.items():
            value = percentile(sorted(one.milliseconds), percent)
            figures[f"recovery.{fault}.{name}.p{percent}_ms"] = value
            worst = f"recovery.{fault}.p{percent}_ms"
            figures[worst] = max(value, figures.get(worst, 0.0))
        for name, milliseconds in alone.items():
            figures[f"recovery.grpc_alone.{name}.p{percent}_ms"] = percentile(sorted(milliseconds), percent)
    return figures


def _markdown(found: Found, alone: Alone, rounds: int) -> str:
    config = BridgeConfig()
    lines = [
        f"From the fault to the next completed order, {rounds} faults each, one order at a time, "
        f"with default settings (a PING every {config.heartbeat_interval_ms} ms, silent after "
        f"{config.heartbeat_timeout_ms} ms). The fast path goes through a proxy in a process of its own, gRPC "
        "directly. Milliseconds; with so few faults p99 is the largest. The last rows are gRPC by itself: one order "
        "after a pause like those between the faults, with nothing else in the process. Every failover contains it.",
        "",
        "| fault | client | p50 | p90 | p99 | orders sent again |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (fault, name), one in found.items():
        lines.append(f"| {fault} | {name} | {_cells(one.milliseconds)} | {one.resent} |")
    lines += [f"| none: gRPC alone | {name} | {_cells(milliseconds)} | |" for name, milliseconds in alone.items()]
    return "\n".join(lines) + "\n"


def _cells(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    return " | ".join(f"{percentile(ordered, percent):.2f}" for percent in (50, 90, 99))


SECTION = Section(name="recovery", title="Recovery", run=run)
