"""`python -m examples.demo`: trades market data over the bridge, cuts the fast path twice, and compares the books."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import Progress

from examples.audit import Findings, audit
from examples.cuts import Cut, CutKind, Saboteur
from examples.ledger import Ledger
from examples.market import read_days
from examples.orchestrator import Orchestrator, keep_ledger
from examples.report import last_line, print_tables
from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import ExecutionBridgeClient, GrpcClient
from transport import BridgeConfig

DAYS = 2500
CUTS: tuple[tuple[int, CutKind], ...] = ((80, "reset"), (160, "blackhole"))
"""At which basket of small orders the fast path is cut, and how."""
HEALED_AFTER_DAYS = 60
SETTLE_DEADLINE_S = 10.0
REPORT_COLUMNS = 120


async def trade(engine: EngineProcess, proxy: FaultProxy, console: Console) -> tuple[Ledger, Sequence[Cut]]:
    """The whole run against one engine; the fast path goes through the proxy."""
    config = BridgeConfig(zmq_endpoint=f"tcp://{proxy.endpoint}", pub_endpoint=engine.pub, grpc_endpoint=engine.grpc)
    ledger = Ledger()
    client, observer = ExecutionBridgeClient(config), GrpcClient(config)
    await client.connect()
    await observer.connect()
    keeper = asyncio.create_task(keep_ledger(client, ledger))
    try:
        saboteur = Saboteur(proxy, observer, CUTS)
        orchestrator = Orchestrator(client, ledger, ("NASDAQ", "SP500"))
        await _trade_days(orchestrator, saboteur, proxy, client, console)
        await _close_the_books(orchestrator, ledger, keeper)
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await client.close()
        await observer.close()
    return ledger, saboteur.cuts


async def _trade_days(
    orchestrator: Orchestrator,
    saboteur: Saboteur,
    proxy: FaultProxy,
    client: ExecutionBridgeClient,
    console: Console,
) -> None:
    days = read_days()[:DAYS]
    seen_cuts, heal_on_day = 0, -1
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("trading days", total=len(days))
        async for day in orchestrator.trade(days, saboteur.send_basket):
            progress.update(bar, completed=day + 1)
            if len(saboteur.cuts) > seen_cuts:
                seen_cuts, heal_on_day = len(saboteur.cuts), day + HEALED_AFTER_DAYS
            if day == heal_on_day:
                proxy.heal()
                await _until(lambda: client.usable_paths[:1] == ("zmq",))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SETTLE_DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def _close_the_books(orchestrator: Orchestrator, ledger: Ledger, keeper: asyncio.Task[None]) -> None:
    """Takes back what is open and waits for the update of one last order: all others came before it."""
    last_sequence = await orchestrator.close()
    await _until(lambda: keeper.done() or ledger.last_sequence >= last_sequence)
    if keeper.done():
        keeper.result()


def main() -> int:
    """Runs the demo; 0 only if nothing was lost, doubled or different, and failover took at most a second."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="execution-bridge-demo-") as folder:
        engine = EngineProcess(Path(folder) / "journal")
        with engine, FaultProxy(engine.zmq) as proxy:
            console.print(f"engine {engine.ready['journal_id']} (pid {engine.pid}); trading {DAYS} days of real bars")
            ledger, cuts = uvloop.run(trade(engine, proxy, console))
            exit_code = engine.stop()
        findings: Findings = audit(ledger, cuts, list(engine.dump()), engine.verify(), exit_code)
    print_tables(Console(width=REPORT_COLUMNS), ledger, cuts, findings)
    line = last_line(ledger, cuts, findings)
    print(line)
    return 0 if line.endswith(" ok") else 1


if __name__ == "__main__":
    sys.exit(main())
