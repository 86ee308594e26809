"""Engines as processes, and a raw client of the fast path: what the tests of the engine's edges need."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq

from examples.rig.engine_process import EngineProcess, engine_binary
from transport.wire.messages import Hello
from transport.wire.portable import decode_message, encode_message

RECEIVE_DEADLINE_MS = 10_000

EngineStarter = Callable[..., EngineProcess]
CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start_engine(tmp_path: Path) -> Iterator[EngineStarter]:
    """Starts engines with a configuration; none is left behind."""
    started: list[EngineProcess] = []

    def start(config: str = "", **options: Any) -> EngineProcess:
        file = tmp_path / f"engine-{len(started)}.toml"
        file.write_text(config)
        options = {"data_dir": tmp_path / "journal", "durability": "os", "arguments": ("--config", str(file))} | options
        engine = EngineProcess(**options)
        started.append(engine)
        return engine.start()

    yield start
    for engine in started:
        engine.kill()


@pytest.fixture
def engine(start_engine: EngineStarter) -> EngineProcess:
    """One engine with its defaults."""
    return start_engine()


@pytest.fixture
def command_line() -> CommandLine:
    """Runs the binary to its end: what it prints and how it exits."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(engine_binary()), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    return run


@dataclass
class RawClient:
    """A DEALER, the portable codec, and nothing that would hide an answer."""

    socket: zmq.Socket[bytes]
    journal_id: str = ""

    def hello(self, **changes: Any) -> Any:
        """Says Hello and gives the answer; a Welcome's journal id is named from then on."""
        self.send(1, Hello(**({"protocol_version": 1, "client": "test", "session_id": "", "account": ""} | changes)))
        _, answer = self.receive()
        self.journal_id = getattr(answer, "journal_id", "") or self.journal_id
        return answer

    def send(self, correlation: int, body: Any, journal_id: str | None = None) -> None:
        """Sends one request."""
        named = self.journal_id if journal_id is None else journal_id
        self.socket.send(encode_message(correlation, named, body))

    def ask(self, correlation: int, body: Any, journal_id: str | None = None) -> Any:
        """Sends one request and gives the next message, which must be its answer."""
        self.send(correlation, body, journal_id)
        answered, answer = self.receive()
        assert answered == correlation
        return answer

    def receive(self) -> tuple[int, Any]:
        """The next message: correlation and body."""
        correlation, _, body = decode_message(self.socket.recv())
        return correlation, body


@pytest.fixture
def connect() -> Iterator[Callable[[str], RawClient]]:
    """Opens raw clients; they are closed at the end."""
    context = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def open_client(endpoint: str) -> RawClient:
        socket = context.socket(zmq.DEALER)
        sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, RECEIVE_DEADLINE_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.connect(endpoint)
        return RawClient(socket)

    yield open_client
    for socket in sockets:
        socket.close()
    context.term()


@pytest.fixture
def client(engine: EngineProcess, connect: Callable[[str], RawClient]) -> RawClient:
    """A raw client that has said Hello."""
    raw = connect(engine.zmq)
    raw.hello()
    return raw
