"""The bridge's own rows among the peers, and libzmq alone under the same client and codec."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import zmq

from bench.context import Context
from bench.engines import SPIN_US, BenchEngine
from bench.orders import content, message_bytes
from bench.peer_programs import NotBuiltError
from bench.rows.row import Durability, Facts, Opened, Row
from bench.timing import time_orders
from fallback_grpc import BlockingGrpcClient
from transport import BlockingFastPathClient, BridgeConfig

GROUP = "peers"


def facts(durability: Durability = "none", request_bytes: int = 0, reply_bytes: int = 0) -> Facts:
    """Of a row that sends the bench's orders."""
    return Facts(durability, content(), request_bytes, reply_bytes)


def bundled_libzmq() -> Path:
    """The very libzmq that pyzmq loads.

    Raises:
        NotBuiltError: pyzmq was built against the system's, whose place it does not tell.
    """
    package = Path(zmq.__file__).parent
    for found in sorted(package.parent.glob("pyzmq.libs/libzmq*")):
        return found
    raise NotBuiltError(f"no libzmq beside {package}: install pyzmq from its wheel")


def _fast_path(config: BridgeConfig, durability: Durability) -> Generator[Opened]:
    client = BlockingFastPathClient(config)
    client.connect()
    try:
        yield Opened(time_orders(client.execute_order), facts(durability, *message_bytes()))
    finally:
        client.close()


def _on_engine(carrier: str, spin_us: int) -> Callable[[Context], AbstractContextManager[Opened]]:
    @contextmanager
    def opened(context: Context) -> Generator[Opened]:
        engine = _spinning(context)
        yield from _fast_path(engine.config(carrier=carrier, spin_us=spin_us), engine.durability)

    return opened


def _spinning(context: Context) -> BenchEngine:
    return context.engine("os", spin_us=SPIN_US)


@contextmanager
def _on_canned_router(context: Context) -> Generator[Opened]:
    router = context.peer("zmq-router", "--libzmq", str(bundled_libzmq()))
    config = BridgeConfig(zmq_endpoint=router.ready["zmq"], codec="native", carrier="pyzmq")
    yield from _fast_path(config, "none")


@contextmanager
def _on_grpc(context: Context) -> Generator[Opened]:
    engine = context.engine("os", spin_us=0)
    client = BlockingGrpcClient(engine.config())
    client.connect()
    try:
        yield Opened(time_orders(client.execute_order), facts(engine.durability))
    finally:
        client.close()


ROWS: list[Row] = [
    Row("bridge-native", GROUP, _on_engine("native", SPIN_US), spin="both", note="whole engine behind it"),
    Row("bridge-pyzmq", GROUP, _on_engine("pyzmq", 0), spin="engine", note="whole engine behind it"),
    Row("libzmq-router", GROUP, _on_canned_router, note="our client and codec, pyzmq carrier; libzmq ROUTER, canned"),
    Row("bridge-grpc", GROUP, _on_grpc, note="whole engine behind it"),
]
