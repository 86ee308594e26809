"""A client's process: the true bridge client on simulated paths, and the strategy that uses it and writes down all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.queue import MemoryOutbox, OrderQueue
from tests.simulation.fast_carrier import SimulatedFastPath
from tests.simulation.grpc_channel import SimulatedGrpcClient
from tests.simulation.ledger import Ending, Ledger
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.schedule import Settings
from tests.simulation.strategy import RESOLUTION_MS, Strategy
from tests.simulation.trace import Trace
from transport.contract.client import AsyncPath
from transport.contract.config import BridgeConfig
from transport.contract.errors import (
    ExecutionBridgeError,
    StateRegressedError,
)
from transport.contract.replies import Path
from transport.wire.choice import choose_codec


@dataclass
class Kit:
    """What the clients of a run are made of; planted bugs put other classes in."""

    bridge: type[ExecutionBridgeClient] = ExecutionBridgeClient
    fast_path: type[SimulatedFastPath] = SimulatedFastPath
    grpc_client: type[SimulatedGrpcClient] = SimulatedGrpcClient
    outbox: type[MemoryOutbox] = MemoryOutbox
    patched: Callable[[], AbstractContextManager[Any]] = nullcontext
    """What holds while the run lasts."""


class ClientHost(Strategy):
    """One user's program: killed and started anew, it knows the ids that it wrote down."""

    def __init__(
        self,
        loop: VirtualLoop,
        trace: Trace,
        network: Network,
        settings: Settings,
        ledger: Ledger,
        number: int,
        kit: Kit,
    ) -> None:
        super().__init__(loop, trace, settings, ledger, number, kit.outbox)
        self.process: Process | None = None
        self._network = network
        self._kit = kit
        self._ready: asyncio.Event = asyncio.Event()
        self._incarnation = 0

    # ---- life ----

    def start(self) -> None:
        """The program starts; anew, it first finds out what became of the orders that it had under way."""
        if self.process is not None:
            return
        self._incarnation += 1
        self._ready = asyncio.Event()
        self.client = None
        self.process = Process(f"client-{self.number}.{self._incarnation}")
        self.trace.note("client_started", self.process.name)
        self.loop.spawn(self.process, self._run(), "strategy")

    def kill(self) -> None:
        """SIGKILL."""
        process, self.process = self.process, None
        if process is None:
            return
        self.trace.note("client_killed", process.name)
        self.loop.kill(process)
        for connection in self._network.all_connections():
            if connection.process is process:
                connection.close()
        for call in self._calls:
            if call.ending is Ending.OPEN and call not in self._durable:
                self.trace.count("call_died")
                call.died(self._now_ns())
        self._calls = [call for call in self._calls if call.ending is Ending.OPEN]
        self.queue = None

    def do(self, act: Callable[[], Awaitable[None]], name: str) -> None:
        """The strategy decides something; without effect while the program is down."""
        if self.process is not None:
            self.loop.spawn(self.process, self._when_ready(act), name)

    async def _when_ready(self, act: Callable[[], Awaitable[None]]) -> None:
        await self._ready.wait()
        await act()

    async def _run(self) -> None:
        assert self.process is not None
        config = BridgeConfig(
            session_id=f"session-{self.number}-{self._incarnation}",
            call_timeout_ms=self._settings.call_timeout_ms,
            connect_timeout_ms=200.0,
            codec="native",
            prefer=self._settings.prefer,
            hedge_after_us=self._settings.hedge_after_us,
            hedge_share=0.5,
            unknown_resolution_ms=RESOLUTION_MS,
            cancel_on_disconnect_ms=self._settings.lease_ms,
        )
        while True:
            client = self._make_client(config, self.process)
            try:
                await client.connect()
            except StateRegressedError as problem:
                self._stop(str(problem))
                return
            except ExecutionBridgeError as problem:
                self.trace.note("client_not_connected", type(problem).__name__)
                await asyncio.sleep(0.05)
                continue
            break
        self.client = client
        self.queue = await OrderQueue(client, outbox=self._outbox, capacity=200, receipt_after_ms=50.0).start()
        if self._settings.reconciles:
            since = self.heard.position if self._settings.subscribes else self.reconciled.position
            client.on_reconciled(self._compare, since=since)
        self._ready.set()
        if self._settings.subscribes:
            self.loop.spawn(self.process, self._listen(client), "listener")
        self.loop.spawn(self.process, self._hear(self.queue), "queue")
        for belief in list(self.ledger.orders.values()):
            if belief.is_in_doubt and belief.number % 2 == self.number % 2:
                await self.resolve(belief)

    def _make_client(self, config: BridgeConfig, process: Process) -> ExecutionBridgeClient:
        codec = choose_codec("native")
        fast: AsyncPath = self._kit.fast_path(config, self._network, self.loop, process)
        slow: AsyncPath = self._kit.grpc_client(config, self._network, self.loop, process, codec)
        paths: dict[Path, AsyncPath] = {"zmq": fast, "grpc": slow}
        client = self._kit.bridge(config, paths=paths)
        client.on_path_event(lambda event: self.trace.note(f"path_{event.kind.value}", f"{event.path} {event.reason}"))
        return client
