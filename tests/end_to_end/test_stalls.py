"""Who stands still for a while keeps its connections: a client that is stopped or busy, an engine that pauses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from fallback_grpc import PathEventKind
from tests.conformance.drivers import LoopThread
from tests.end_to_end.test_cut_paths import SHELLS
from tests.end_to_end.test_unknown_outcomes import market_order
from tests.waiting import eventually
from transport import BridgeConfig

PAUSE = threading.Event()
ROOT = Path(__file__).resolve().parents[2]
SILENCE_MS = 500
"""Where it is the client that stands still: less than it does, and more than a busy machine holds up its engine."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "journal") as running:
        yield running


def config_of(engine: EngineProcess, **changes: Any) -> BridgeConfig:
    """Default settings but for the changes, and with time to connect."""
    endpoints = {"zmq_endpoint": engine.zmq, "pub_endpoint": engine.pub, "grpc_endpoint": engine.grpc}
    return BridgeConfig(**(endpoints | {"connect_timeout_ms": 10_000.0} | changes))


def lost(events: list[Any]) -> list[Any]:
    """The events that a stall must not lead to on the fast path."""
    bad = (PathEventKind.DISCONNECTED, PathEventKind.DOWN, PathEventKind.BREAKER_OPEN)
    return [event for event in events if event.path == "zmq" and event.kind in bad]


def hold_the_interpreter(seconds: float) -> None:
    """Computes without giving the other threads a turn."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            pass
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_client_whose_interpreter_is_busy_keeps_its_connection(engine: EngineProcess, shell: str) -> None:
    events: list[Any] = []
    with SHELLS[shell](config_of(engine, heartbeat_timeout_ms=SILENCE_MS), "zmq") as client:
        client.on_path_event(events.append)
        for _ in range(3):
            hold_the_interpreter(0.2)
            hold_the_interpreter(0.7)
            PAUSE.wait(0.03)
        assert client.deliver_order(market_order()).path == "zmq"
    assert lost(events) == []


def test_a_loop_that_is_blocked_again_and_again_keeps_its_connection(engine: EngineProcess) -> None:
    events: list[Any] = []
    with SHELLS["async"](config_of(engine, heartbeat_timeout_ms=SILENCE_MS), "zmq") as client:
        client.on_path_event(events.append)
        loops: list[LoopThread] = [value for value in vars(client).values() if isinstance(value, LoopThread)]
        for pause_s in (0.1, 0.55, 0.6, 0.8):
            loops[0].run(_blocking(pause_s))
            PAUSE.wait(0.03)
        assert client.deliver_order(market_order()).path == "zmq"
    assert lost(events) == []


async def _blocking(seconds: float) -> None:
    PAUSE.wait(seconds)


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_a_client_that_is_stopped_and_continued_keeps_its_connection(engine: EngineProcess, kind: str) -> None:
    endpoints = [engine.zmq, engine.pub, engine.grpc]
    command = [sys.executable, "-m", "tests.end_to_end.stopped_client", kind, *endpoints, str(SILENCE_MS)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert client.stdin is not None and client.stdout is not None
    with client:
        try:
            json.loads(client.stdout.readline())  # it is connected
            for stopped_s in (0.2, 0.7, 1.5):
                os.kill(client.pid, signal.SIGSTOP)
                PAUSE.wait(stopped_s)
                os.kill(client.pid, signal.SIGCONT)
                client.stdin.write("order\n")
                client.stdin.flush()
                said = json.loads(client.stdout.readline())
                assert said["path"] == "zmq"
                assert [event for event in said["events"] if event in ("zmq disconnected", "zmq down")] == []
        finally:
            client.kill()


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_an_engine_that_stands_still_for_half_its_time_keeps_its_connections(engine: EngineProcess, shell: str) -> None:
    """A busy machine may make any pause longer than was asked for; not each of twenty."""
    events: list[Any] = []
    kept = 0
    with SHELLS[shell](config_of(engine), "zmq") as client:
        client.on_path_event(events.append)
        for _ in range(20):
            seen = len(lost(events))
            engine.pause()
            PAUSE.wait(0.05)
            engine.resume()
            PAUSE.wait(0.05)
            kept += len(lost(events)) == seen
            eventually(lambda: client.usable_paths[:1] == ("zmq",), "the fast path is well")
            if kept == 3:
                break
        eventually(lambda: client.deliver_order(market_order()).path == "zmq", "the fast path carries orders")
    assert kept == 3


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_an_engine_that_stands_still_for_long_is_found_again(engine: EngineProcess, shell: str) -> None:
    with SHELLS[shell](config_of(engine), "zmq") as client:
        engine.pause()
        PAUSE.wait(0.7)
        engine.resume()
        eventually(lambda: client.usable_paths == ("zmq", "grpc"), "both paths are back")
        eventually(lambda: client.deliver_order(market_order()).path == "zmq", "the fast path carries orders")
