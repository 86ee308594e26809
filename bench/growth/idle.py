"""What an engine costs that nobody uses."""

from __future__ import annotations

from dataclasses import dataclass

from bench.context import Context
from bench.engines import SPIN_US
from bench.growth.idle_connections import idle_connections
from bench.growth.process import cpu_percent
from bench.growth.sweep import engine_of
from transport import BlockingFastPathClient, BridgeConfig


@dataclass(frozen=True)
class Idle:
    """One engine at idle."""

    spin_us: int
    client: str
    percent: float
    """Of one core."""


def idle(context: Context, seconds: float) -> list[Idle]:
    """Engines that spin not at all and by default, with no client that speaks, and with one that only sends PINGs."""
    found: list[Idle] = []
    for spin_us in (0, SPIN_US):
        context.say(f"growth: an idle engine, spin {spin_us} us")
        with engine_of(context, f"growth-idle-{spin_us}", spin_us=spin_us) as engine:
            pid = engine.process.pid
            with idle_connections(engine.tcp, 1):
                found.append(Idle(spin_us, "one connection, silent", cpu_percent(pid, seconds)))
            settings = BridgeConfig(zmq_endpoint=engine.tcp, carrier="pyzmq")
            with BlockingFastPathClient(settings):
                # libzmq's own threads send them, whether the client does something or not.
                pings = f"one connection, a PING every {settings.heartbeat_interval_ms} ms"
                found.append(Idle(spin_us, pings, cpu_percent(pid, seconds)))
    return found
