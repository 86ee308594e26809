"""The three sweeps: orders remembered, connections, open orders; with what memory and a restart cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.context import Context
from bench.engines import BenchEngine
from bench.growth.filling import remember, rest
from bench.growth.idle_connections import idle_connections
from bench.growth.process import own_memory_bytes
from bench.growth.starts import Starts, starts, wait_for_snapshots
from bench.growth.sweep import Swept, engine_of, one_order_on_each

CONFIGURATION = """
[limits]
max_connections = 2000
"""


def remembered(context: Context, counts: Sequence[int]) -> tuple[Swept, Starts]:
    """Orders that are over and remembered; then starts of the engine that has the most."""
    with ExitStack() as held:
        engines, swept = _filled(context, held, "remembered", counts, remember)
        return swept, starts(engines[counts[-1]], counts[-1])


def open_orders(context: Context, counts: Sequence[int]) -> Swept:
    """Orders that rest in the book of the symbol that is traded."""
    with ExitStack() as held:
        return _filled(context, held, "open-orders", counts, rest)[1]


def connections(context: Context, counts: Sequence[int]) -> Swept:
    """Connections that are welcomed and idle, the one that trades among the number."""
    configuration = context.folder / "growth-connections.toml"
    configuration.write_text(CONFIGURATION)
    with ExitStack() as held:
        engines: dict[int, BenchEngine] = {}
        per_connection_bytes = 0.0
        for count in counts:
            context.say(f"growth: an engine with {count:,} connections")
            name = f"growth-connections-{count}"
            engine = held.enter_context(engine_of(context, name, ("--config", str(configuration))))
            before = own_memory_bytes(engine.process.pid)
            held.enter_context(idle_connections(engine.tcp, count - 1))
            if count > 1:
                per_connection_bytes = (own_memory_bytes(engine.process.pid) - before) / (count - 1)
            engines[count] = engine
        samples = one_order_on_each(context, "growth-connections", engines)
    return Swept(samples, {"bytes_per_connection": per_connection_bytes})


def _filled(
    context: Context, held: ExitStack, name: str, counts: Sequence[int], fill: Callable[[BenchEngine, int], None]
) -> tuple[dict[int, BenchEngine], Swept]:
    engines: dict[int, BenchEngine] = {}
    per_order_bytes = 0.0
    for count in counts:
        context.say(f"growth: an engine with {count:,} orders ({name})")
        engine = engines[count] = held.enter_context(engine_of(context, f"growth-{name}-{count}"))
        before = own_memory_bytes(engine.process.pid)
        fill(engine, count)
        # A snapshot's thread beside two ends that spin is one more than this machine has cores: measured by itself.
        wait_for_snapshots(engine)
        per_order_bytes = (own_memory_bytes(engine.process.pid) - before) / count
    return engines, Swept(one_order_on_each(context, f"growth-{name}", engines), {"bytes_per_order": per_order_bytes})
