"""The three sweeps: orders remembered, connections, open orders; with what memory and a restart cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.context import Context
from bench.engines import BenchEngine
from bench.growth.filling import remember, rest
from bench.growth.idle_connections import idle_connections
from bench.growth.process import own_memory_bytes
from bench.growth.sweep import Swept, engine_of, one_order_on_each

RESTART_DEADLINE_S = 300.0
CONFIGURATION = """
[limits]
max_connections = 2000
"""


def remembered(context: Context, counts: Sequence[int]) -> Swept:
    """Orders that are over and remembered; then a restart of the engine that has the most."""
    return _filled(context, "remembered", counts, remember, restart=True)


def open_orders(context: Context, counts: Sequence[int]) -> Swept:
    """Orders that rest in the book of the symbol that is traded."""
    return _filled(context, "open-orders", counts, rest, restart=False)


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
    context: Context,
    name: str,
    counts: Sequence[int],
    fill: Callable[[BenchEngine, int], None],
    *,
    restart: bool,
) -> Swept:
    with ExitStack() as held:
        engines: dict[int, BenchEngine] = {}
        per_order_bytes = 0.0
        for count in counts:
            context.say(f"growth: an engine with {count:,} orders ({name})")
            engine = engines[count] = held.enter_context(engine_of(context, f"growth-{name}-{count}"))
            before = own_memory_bytes(engine.process.pid)
            fill(engine, count)
            per_order_bytes = (own_memory_bytes(engine.process.pid) - before) / count
        swept = Swept(one_order_on_each(context, f"growth-{name}", engines), {"bytes_per_order": per_order_bytes})
        if restart:
            swept.more["restart_s"] = _restart_s(engines[counts[-1]])
    return swept


def _restart_s(engine: BenchEngine) -> float:
    """From the start of the process to its ready line, with all that the journal holds recovered."""
    engine.process.stop()
    engine.process.ready_deadline_s = RESTART_DEADLINE_S
    began = time.monotonic()
    engine.process.start()
    return time.monotonic() - began
