"""Round trips of one order over the fast path: native and pyzmq carriers, blocking and asyncio, tcp and ipc."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from bench.connected import LoopKind, connected, connected_in_loop
from bench.context import Context
from bench.engines import HEARTBEATS, SPIN_US, BenchEngine
from bench.orders import content, message_bytes
from bench.peer_programs import zmq_router_arguments
from bench.rows.groups import ONE_IPC_ALWAYS, ONE_IPC_OS, ONE_TCP_ALWAYS, ONE_TCP_OS
from bench.rows.raw_zmq_asyncio import RawZmqClient
from bench.rows.row import Durability, Facts, Group, Opened, Row, Spin
from bench.timing import time_orders, time_orders_in_loop
from transport import BlockingFastPathClient, BridgeConfig, FastPathClient

Opening = Callable[[Context], AbstractContextManager[Opened]]
Transport = Literal["tcp", "ipc"]
Asked = Literal["os", "always"]


def facts_of(durability: Durability) -> Facts:
    """Facts of a row that carries orders over the fast path."""
    return Facts(durability, content(), *message_bytes())


def _spins(spin: Spin) -> tuple[int, int]:
    """Budgets of engine and client, in us."""
    return (SPIN_US if spin in ("both", "engine") else 0, SPIN_US if spin in ("both", "client") else 0)


def _engine_and_config(
    context: Context, carrier: str, transport: Transport, durability: Asked, spin: Spin
) -> tuple[BenchEngine, BridgeConfig]:
    engine_spin_us, client_spin_us = _spins(spin)
    engine = context.engine(durability, spin_us=engine_spin_us)
    return engine, engine.config(transport, carrier=carrier, spin_us=client_spin_us)


def blocking(carrier: str, transport: Transport, durability: Asked, spin: Spin) -> Opening:
    """`BlockingFastPathClient` and an engine."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        engine, config = _engine_and_config(context, carrier, transport, durability, spin)
        with connected(BlockingFastPathClient(config)) as client:
            yield Opened(time_orders(client.execute_order), facts_of(engine.durability))

    return opening


def in_loop(carrier: str, transport: Transport, durability: Asked, spin: Spin, kind: LoopKind) -> Opening:
    """`FastPathClient` on its own event loop, and an engine."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        engine, config = _engine_and_config(context, carrier, transport, durability, spin)
        with connected_in_loop(lambda: FastPathClient(config), kind) as (loop, client):
            yield Opened(time_orders_in_loop(loop, client.execute_order), facts_of(engine.durability))

    return opening


def zmq_asyncio(durability: Asked) -> Opening:
    """A minimal client on `zmq.asyncio` with the native codec, and the spinning engine."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        engine = context.engine(durability, spin_us=SPIN_US)
        with connected_in_loop(lambda: RawZmqClient(engine.tcp)) as (loop, client):
            yield Opened(time_orders_in_loop(loop, client.execute_order), facts_of(engine.durability))

    return opening


def pyzmq_to_libzmq_router() -> Opening:
    """The pyzmq client against a libzmq ROUTER in native code that sends a canned reply, with no engine behind it."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        router = context.peer(*zmq_router_arguments("tcp://127.0.0.1:*"))
        settings = {"zmq_endpoint": router.ready["zmq"], "codec": "native", "carrier": "pyzmq", **HEARTBEATS}
        config = BridgeConfig.from_mapping(settings)
        with connected(BlockingFastPathClient(config)) as client:
            yield Opened(time_orders(client.execute_order), facts_of("none"))

    return opening


def _of(group: Group, transport: Transport, durability: Asked) -> list[Row]:
    def row(name: str, opening: Opening, spin: Spin, note: str = "") -> Row:
        return Row(name, group.name, opening, spin, note=note)

    spins: dict[str, Spin] = {"spin": "both", "engine-spins": "engine", "block": "none"}
    native = [
        row(f"native-{name}", blocking("native", transport, durability, spin), spin) for name, spin in spins.items()
    ]
    loops = [
        row(f"native-{kind}", in_loop("native", transport, durability, "engine", kind), "engine", "asyncio")
        for kind in ("uvloop", "stock")
    ]
    pyzmq = row("pyzmq", blocking("pyzmq", transport, durability, "engine"), "engine")
    return [*native, *loops, pyzmq]


GROUPS: list[Group] = []
ROWS = [
    *_of(ONE_TCP_OS, "tcp", "os"),
    Row("native-uvloop-block", ONE_TCP_OS.name, in_loop("native", "tcp", "os", "none", "uvloop"), "none",
        note="asyncio"),
    Row("pyzmq-uvloop", ONE_TCP_OS.name, in_loop("pyzmq", "tcp", "os", "engine", "uvloop"), "engine", note="asyncio"),
    Row("pyzmq-block", ONE_TCP_OS.name, blocking("pyzmq", "tcp", "os", "none")),
    Row("pyzmq-libzmq-echo", ONE_TCP_OS.name, pyzmq_to_libzmq_router(), note="canned reply from a libzmq ROUTER"),
    Row("zmq-asyncio", ONE_TCP_OS.name, zmq_asyncio("os"), "engine", note="zmq.asyncio, native codec"),
    *_of(ONE_IPC_OS, "ipc", "os"),
    *_of(ONE_TCP_ALWAYS, "tcp", "always"),
    *_of(ONE_IPC_ALWAYS, "ipc", "always"),
]  # fmt: skip
