"""Everything that a run consists of: one engine, a pair of proxies per lane, the clients; and the end of all of it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from tests.chaos.actors.spec import ActorSpec
from tests.chaos.client_process import ClientProcess
from tests.chaos.observer import Observer
from transport import BridgeConfig

LANES = ("A", "B")
PATHS = ("zmq", "grpc")
SEGMENT_BYTES = 1_048_576
"""Small, so that a disk that fills is noticed soon, and a run crosses many segments; large enough for what the engine
reserves for a batch while some hundreds of orders rest."""
ENGINE_CONFIG = f"""
drain_ms = 1000
[journal]
segment_bytes = {SEGMENT_BYTES}
[orders]
update_history = 1000000
"""
"""The history is long enough for whoever was away for the longest fault: a gap is a finding."""
# Below the ports that the system gives to outgoing connections: a port of the engine must still be free after a kill.
_PORTS = range(12_000, 30_000)


@dataclass(frozen=True, slots=True)
class Cast:
    """One client of the run: its name, its kind, its lane."""

    name: str
    kind: str
    lane: str
    is_feed: bool = False
    carrier: str = "auto"
    is_queue: bool = False


SHORT_CAST = (
    Cast("feed", "bridge", "B", is_feed=True),
    Cast("bridge", "bridge", "A"),
    Cast("bridge-blocking", "bridge-blocking", "B"),
    Cast("zmq", "zmq", "A"),
    Cast("grpc", "grpc", "B"),
    Cast("queue", "bridge", "A", is_queue=True),
)
FULL_CAST = (
    *SHORT_CAST,
    Cast("zmq-blocking", "zmq-blocking", "B", carrier="pyzmq"),
    Cast("grpc-blocking", "grpc-blocking", "A"),
)


@dataclass
class World:
    """A context manager: on leaving it, no process and no thread of it is left."""

    folder: Path
    seed: int
    durability: str
    cast: tuple[Cast, ...]
    pause_ms: tuple[float, float] = (5.0, 60.0)
    engine: EngineProcess = field(init=False)
    observer: Observer = field(init=False)
    proxies: dict[str, FaultProxy] = field(init=False, default_factory=dict[str, FaultProxy])
    """By lane and path: `A.zmq`."""
    clients: dict[str, ClientProcess] = field(init=False, default_factory=dict[str, ClientProcess])
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            config_file = self.folder / "engine.toml"
            config_file.write_text(ENGINE_CONFIG)
            ports = free_ports(3)
            self.engine = EngineProcess(
                self.folder / "journal",
                durability=self.durability,
                arguments=("--config", str(config_file)),
                zmq=f"tcp://127.0.0.1:{ports[0]}",
                pub=f"tcp://127.0.0.1:{ports[1]}",
                grpc=f"127.0.0.1:{ports[2]}",
                ready_deadline_s=60,
            )
            stack.enter_context(self.engine)
            self.observer = Observer(self.direct_config, self.folder)
            for lane in LANES:
                for path in PATHS:
                    upstream = self.engine.zmq if path == "zmq" else self.engine.grpc
                    self.proxies[f"{lane}.{path}"] = stack.enter_context(FaultProxy(upstream, seed=self.seed))
            for cast in self.cast:
                client = self.clients[cast.name] = ClientProcess(self._spec(cast))
                stack.callback(client.kill)
                client.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def direct_config(self) -> BridgeConfig:
        """For a client past all proxies."""
        return BridgeConfig(
            zmq_endpoint=self.engine.zmq, pub_endpoint=self.engine.pub, grpc_endpoint=self.engine.grpc,
            connect_timeout_ms=20_000,
        )  # fmt: skip

    @property
    def ledgers(self) -> dict[str, Path]:
        """The clients' ledgers, by name."""
        clients = {name: Path(client.spec.ledger) for name, client in self.clients.items()}
        return clients | {"observer": self.observer.ledger_path}

    def heal(self) -> None:
        """Nothing between clients and engine is broken any more."""
        for proxy in self.proxies.values():
            proxy.heal()

    def _spec(self, cast: Cast) -> ActorSpec:
        return ActorSpec(
            name=cast.name,
            kind=cast.kind,
            lane=cast.lane,
            ledger=str(self.folder / f"{cast.name}.jsonl"),
            config=self._config_of(cast),
            seed=self.seed,
            hands=1 if cast.is_feed else 3,
            pause_ms=self.pause_ms,
            is_feed=cast.is_feed,
            is_queue=cast.is_queue,
            subscribes=not cast.is_feed,
            lease_ms=random.Random(f"{self.seed}/{cast.name}/lease").choice((None, 300, 1500)),
        )

    def _config_of(self, cast: Cast) -> dict[str, Any]:
        """What users may well set otherwise, the seed sets otherwise."""
        draw = random.Random(f"{self.seed}/{cast.name}/config")
        return {
            "zmq_endpoint": f"tcp://{self.proxies[f'{cast.lane}.zmq'].endpoint}",
            "pub_endpoint": self.engine.pub,
            "grpc_endpoint": self.proxies[f"{cast.lane}.grpc"].endpoint,
            "client_name": f"chaos-{cast.name}",
            "call_timeout_ms": float(draw.choice((300, 800, 2000))),
            "batch_window": draw.choice((4, 64, 512)),
            "carrier": cast.carrier,
            "prefer": draw.choice(("zmq", "grpc")),
            "hedge_after_us": draw.choice((0, 2_000, 20_000)),
            "hedge_share": draw.choice((0.05, 0.5)),
            "unknown_resolution_ms": draw.choice((0.0, 300.0, 2000.0)),
        }


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, and that no outgoing connection will be given."""
    return [port for port, _ in zip(_free_ports(), range(count), strict=False)]


def _free_ports() -> Iterator[int]:
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
