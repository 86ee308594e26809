"""The floors: raw TCP and Unix sockets, blocking and spinning, to a Rust echo, messages as long as an order's.

`floor-*` is a native client called from Python with the GIL released (`engine/crates/bench-floor`); `socket-*` is a
plain Python loop on `socket.socket`, which the native one must not be slower than.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol, cast

from bench.context import Context
from bench.engines import SPIN_US
from bench.orders import message_bytes
from bench.peer_programs import release_file
from bench.rows.groups import ONE_IPC_ALWAYS, ONE_IPC_OS, ONE_TCP_ALWAYS, ONE_TCP_OS
from bench.rows.row import Facts, Group, Opened, Row
from bench.timing import time_exchanges

Net = Literal["tcp", "unix"]


class _Floor(Protocol):
    def exchange(self, request: bytes) -> bytes: ...


def _native_floor(endpoint: str, reply_bytes: int, *, spin: bool) -> _Floor:
    """The class of `bench-floor`, which is no part of any package: loaded from where cargo put it."""
    path = str(release_file("libbench_floor.so"))
    loader = importlib.machinery.ExtensionFileLoader("bench_floor", path)
    spec = importlib.util.spec_from_file_location("bench_floor", path, loader=loader)
    assert spec is not None
    module: Any = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return cast("_Floor", module.FloorClient(endpoint, reply_bytes, spin))


def _echo_endpoint(context: Context, net: Net, *, spin: bool) -> str:
    """The run's echo server: one that spins as the spinning engine does, and one that never does."""
    request_bytes, reply_bytes = message_bytes()
    spin_us = SPIN_US if spin else 0
    path = context.folder / f"echo-{spin_us}.sock"
    sizes = ("--request-bytes", str(request_bytes), "--reply-bytes", str(reply_bytes))
    peer = context.peer("echo", "--tcp", "127.0.0.1:0", "--unix", str(path), *sizes, "--spin", str(spin_us))
    return f"tcp://{peer.ready['tcp']}" if net == "tcp" else f"ipc://{path}"


def _opened(exchange: Callable[[bytes], bytes]) -> Opened:
    request_bytes, reply_bytes = message_bytes()
    facts = Facts("none", "raw", request_bytes, reply_bytes)
    return Opened(time_exchanges(exchange, b"q" * request_bytes, reply_bytes), facts, floor=True)


def native(net: Net, *, spin: bool) -> Callable[[Context], AbstractContextManager[Opened]]:
    """The native floor; both ends spin, or neither."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        floor = _native_floor(_echo_endpoint(context, net, spin=spin), message_bytes()[1], spin=spin)
        yield _opened(floor.exchange)

    return opening


def plain(net: Net, *, spin: bool) -> Callable[[Context], AbstractContextManager[Opened]]:
    """The same in plain Python."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with _connected(_echo_endpoint(context, net, spin=spin)) as connection:
            connection.setblocking(not spin)
            yield _opened(_exchange_on(connection, message_bytes()[1]))

    return opening


def _connected(endpoint: str) -> socket.socket:
    if endpoint.startswith("ipc://"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(endpoint.removeprefix("ipc://"))
        return connection
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _exchange_on(connection: socket.socket, reply_bytes: int) -> Callable[[bytes], bytes]:
    def exchange(request: bytes) -> bytes:
        connection.sendall(request)
        reply = b""
        while len(reply) < reply_bytes:
            try:
                chunk = connection.recv(reply_bytes - len(reply))
            except BlockingIOError:
                continue
            if not chunk:
                raise ConnectionResetError("the echo closed the connection")
            reply += chunk
        return reply

    return exchange


def _of(group: Group, net: Net) -> list[Row]:
    return [
        Row(f"floor-{net}-spin", group.name, native(net, spin=True), "both", note="native client, GIL released"),
        Row(f"floor-{net}-block", group.name, native(net, spin=False)),
        Row(f"socket-{net}-spin", group.name, plain(net, spin=True), "both", note="plain Python, checks the floor"),
        Row(f"socket-{net}-block", group.name, plain(net, spin=False)),
    ]


GROUPS: list[Group] = []
ROWS = [
    *_of(ONE_TCP_OS, "tcp"),
    # The same row twice: how far two medians of one thing lie apart is the noise of the run.
    Row("floor-tcp-spin-again", ONE_TCP_OS.name, native("tcp", spin=True), "both", note="A/A: the noise of the run"),
    *_of(ONE_IPC_OS, "unix"),
    *_of(ONE_TCP_ALWAYS, "tcp")[:2],
    *_of(ONE_IPC_ALWAYS, "unix")[:2],
]
