"""The Rust programs that engines are compared with: `bench-peers`, built beside the engine, never part of the wheel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from examples.rig.engine_process import engine_binary

RELEASE = Path(__file__).resolve().parents[1] / "engine" / "target" / "release"
COMMAND_DEADLINE_S = 120.0


class NotBuiltError(RuntimeError):
    """A program or module of the benchmark does not exist; the message says how to build it."""


@dataclass(frozen=True)
class Peer:
    """A server of `bench-peers` (or `execution-engine bench-echo`) that is ready."""

    ready: dict[str, Any]
    """Its ready line."""
    pid: int


def release_file(name: str) -> Path:
    """A file that cargo built in release mode; `BENCH_RELEASE_DIR` names another folder than `engine/target/release`.

    Raises:
        NotBuiltError: it is not there.
    """
    found = Path(os.environ.get("BENCH_RELEASE_DIR", RELEASE)) / name
    if not found.exists():
        raise NotBuiltError(f"no {found.name} in {found.parent}: run `make bench-build`")
    return found


@contextmanager
def start_peer(arguments: tuple[str, ...]) -> Generator[Peer]:
    """`bench-peers <arguments>`, once it has said that it is ready; killed when the context ends."""
    with started([str(release_file("bench-peers")), *arguments]) as peer:
        yield peer


@contextmanager
def start_grpc_echo() -> Generator[Peer]:
    """`execution-engine bench-echo`: bare tonic with the engine's settings, and a canned reply (`ready["grpc"]`)."""
    with started([str(engine_binary()), "bench-echo", "--grpc", "127.0.0.1:0"]) as peer:
        yield peer


def zmq_router_arguments(endpoint: str) -> tuple[str, ...]:
    """Arguments of the libzmq ROUTER with a canned reply, on the very libzmq that pyzmq has loaded.

    Raises:
        NotBuiltError: pyzmq brings no libzmq of its own here.
    """
    bundled = sorted(Path(zmq.__file__).parents[1].glob("pyzmq.libs/libzmq*"))
    if not bundled:
        raise NotBuiltError("this pyzmq has no libzmq bundled (pyzmq.libs): install its wheel")
    return ("zmq-router", "--libzmq", str(bundled[0]), "--endpoint", endpoint)


def run_peer(*arguments: str) -> dict[str, Any]:
    """The JSON that a command of `bench-peers` prints when it is done."""
    done = subprocess.run(
        [str(release_file("bench-peers")), *arguments],
        stdout=subprocess.PIPE,
        timeout=COMMAND_DEADLINE_S,
        check=True,
    )
    return json.loads(done.stdout)


@contextmanager
def started(command: list[str]) -> Generator[Peer]:
    """A server that prints one JSON line when it is ready; killed when the context ends."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise NotBuiltError(f"{' '.join(command)} ended before it was ready")
        yield Peer(json.loads(line), process.pid)
    finally:
        process.kill()
        process.communicate()
