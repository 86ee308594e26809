"""A scripted engine, clients of it behind one blocking face, and an environment that says nothing of the bridge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.drivers import AsyncDriver, BlockingDriver
from tests.unit.transport.fake_engine import FakeEngine
from transport import connect, connect_blocking


@pytest.fixture(autouse=True)
def silent_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of whoever runs the tests change nothing."""
    for variable in list(os.environ):
        if variable.startswith("EXECUTION_BRIDGE_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as fake:
        yield fake


@pytest.fixture(params=["blocking", "async", "blocking-pyzmq", "async-pyzmq"])
def connected(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[Callable[..., Any]]:
    """Connects a client to the engine; what it returns has a blocking face, whichever client it is."""
    opened: list[Any] = []

    def open_client(**settings: Any) -> Any:
        defaults: dict[str, Any] = {"reconnect_max_ms": 50}
        if request.param.endswith("-pyzmq"):
            defaults["carrier"] = "pyzmq"
        config = engine.config(**(defaults | settings))
        blocking = request.param.startswith("blocking")
        driver: Any = BlockingDriver(connect_blocking, config) if blocking else AsyncDriver(connect, config)
        client = driver.__enter__()
        opened.append(driver)
        return client

    yield open_client
    for driver in reversed(opened):
        driver.__exit__(None, None, None)
