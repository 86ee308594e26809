"""One engine for the whole run, a bare tonic echo beside it, and clients of both paths."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from bench.echo import EchoServer
from bench.ratios import Ratios
from examples.rig.engine_process import EngineProcess
from transport import BlockingFastPathClient, BridgeConfig, Quote

BOOK_SIZE = Decimal(1_000_000_000)
"""The feed's size: more than a run can trade, so that every order of it is filled at one price."""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder: Path = tmp_path_factory.mktemp("bench")
    with EngineProcess(folder / "journal", durability="os") as process:
        yield process
        process.stop()


@pytest.fixture(scope="session")
def config(engine: EngineProcess) -> BridgeConfig:
    settings = BridgeConfig(
        zmq_endpoint=engine.zmq, pub_endpoint=engine.pub, grpc_endpoint=engine.grpc, codec="native", carrier="pyzmq"
    )
    feed = BlockingFastPathClient(settings)
    feed.connect()
    quote = Quote(symbol="NASDAQ", bid=Decimal(100), ask=Decimal("100.01"), bid_size=BOOK_SIZE, ask_size=BOOK_SIZE)
    feed.publish_quotes([quote]).raise_for_rejection()
    feed.close()
    return settings


@pytest.fixture(scope="session")
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server


@pytest.fixture(scope="session")
def loop() -> Iterator[uvloop.Loop]:
    running = uvloop.new_event_loop()
    yield running
    running.close()


@pytest.fixture(scope="session")
def ratios(request: pytest.FixtureRequest) -> Ratios:
    """Medians of the run by row, for the comparison at its end."""
    found = Ratios()
    request.config.stash[_RATIOS] = found
    return found


_RATIOS = pytest.StashKey[Ratios]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints every row against gRPC of the same shape."""
    found = config.stash.get(_RATIOS, None)
    if found is not None and found.medians_us:
        terminalreporter.write_sep("-", "median per order, and times as fast as gRPC of the same shape")
        for line in found.lines():
            terminalreporter.write_line(line)
