"""The engines of a run: the one binary, on tcp, ipc and gRPC at once, with a market that no run can use up."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.rows.row import Durability
from examples.rig.engine_process import EngineProcess
from transport import BlockingFastPathClient, BridgeConfig, Quote

SPIN_US = 200
"""The spin budget of both ends, where a row spins: the engine's default."""
HEARTBEATS = {"heartbeat_interval_ms": 1_000, "heartbeat_timeout_ms": 5_000}
"""Of every fast-path client. Liveness is not what is measured: PINGs of the rows whose turn it is not would run into
the turns of others, and a machine that stalls for longer than the default allows would end a row."""
BOOK_SIZE = Decimal(1_000_000_000)
"""The feed's size: more than a run can trade, so that every order of it is filled at one price."""
BID, ASK = Decimal(100), Decimal("100.01")


@dataclass(frozen=True)
class BenchEngine:
    """One engine that serves."""

    process: EngineProcess
    durability: Durability
    """What it says of itself (`Health.durability`), not what it was asked to be."""
    spin_us: int
    ipc: str
    """Its ROUTER's other endpoint, `ipc://path`."""

    @property
    def tcp(self) -> str:
        """Its ROUTER, `tcp://host:port`."""
        return self.process.zmq

    @property
    def grpc(self) -> str:
        """`host:port`."""
        return self.process.grpc

    def config(self, transport: str = "tcp", **settings: object) -> BridgeConfig:
        """Settings of a client over `tcp` or `ipc`."""
        endpoint = self.tcp if transport == "tcp" else self.ipc
        return BridgeConfig.from_mapping(
            {
                "zmq_endpoint": endpoint,
                "pub_endpoint": self.process.pub,
                "grpc_endpoint": self.grpc,
                "codec": "native",
                **HEARTBEATS,
                **settings,
            }
        )


@contextmanager
def start_engine(
    data_dir: Path, durability: Durability, spin_us: int, arguments: tuple[str, ...] = ()
) -> Generator[BenchEngine]:
    """An engine with quotes in its book; stopped when the context ends."""
    # Paths of Unix sockets are short (108 bytes): beside the journal, not in it.
    socket = data_dir.with_name(f"{data_dir.name}.sock")
    ipc = f"ipc://{socket}"
    given = ("--spin-us", str(spin_us), "--zmq", ipc, *arguments)
    with EngineProcess(data_dir, durability=durability, arguments=given) as process:
        engine = BenchEngine(process, _stated_durability(process, durability), spin_us, ipc)
        yield engine
        process.stop()


def _stated_durability(process: EngineProcess, asked: Durability) -> Durability:
    """Puts the quotes in, and asks the engine which durability it has."""
    settings = BridgeConfig(zmq_endpoint=process.zmq, pub_endpoint=process.pub, carrier="pyzmq")
    feed = BlockingFastPathClient(settings)
    feed.connect()
    quote = Quote(symbol="NASDAQ", bid=BID, ask=ASK, bid_size=BOOK_SIZE, ask_size=BOOK_SIZE)
    feed.publish_quotes([quote]).raise_for_rejection()
    stated = feed.health_check().durability
    feed.close()
    if stated not in ("os", "always"):
        raise ValueError(f"the engine was asked for durability {asked} and says {stated!r}")
    return stated
