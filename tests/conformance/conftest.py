"""One engine for each test, and each test once for every implementation of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from tests.conformance.drivers import IMPLEMENTATIONS, bridge_config
from transport import Order, OrderSide, OrderType, Quote


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "journal") as process:
        yield process
        assert process.stop() == 0, process.last_log_lines()


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def client(request: pytest.FixtureRequest, engine: EngineProcess) -> Iterator[Any]:
    with IMPLEMENTATIONS[request.param](bridge_config(engine)) as opened:
        opened.publish_quotes([quote("99.99", "100.01")])
        yield opened


@pytest.fixture
def other_path(request: pytest.FixtureRequest, engine: EngineProcess) -> Iterator[Any]:
    """A second client, on gRPC where the one under test is not, else on the fast path."""
    tested = request.node.callspec.params["client"]
    name = "zmq-blocking" if tested.startswith("grpc") else "grpc-blocking"
    with IMPLEMENTATIONS[name](bridge_config(engine)) as opened:
        yield opened


def quote(bid: str, ask: str, size: str = "1000", symbol: str = "NASDAQ") -> Quote:
    """A quote with the same size on both sides."""
    return Quote(
        symbol=symbol, bid=Decimal(bid), ask=Decimal(ask), bid_size=Decimal(size), ask_size=Decimal(size),
        last_price=Decimal(bid), volume=Decimal(size),
    )  # fmt: skip


def id_of_time(seconds: float) -> str:
    """A UUIDv7 of this Unix time."""
    text = f"{int(seconds * 1000):012x}70008000000000000001"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@pytest.fixture
def order() -> Callable[..., Order]:
    """Makes an order to buy 10 NASDAQ at market, with changes."""

    def make(**changes: Any) -> Order:
        content: dict[str, Any] = {
            "symbol": "NASDAQ", "order_type": OrderType.MARKET, "side": OrderSide.BUY, "quantity": Decimal(10),
        }  # fmt: skip
        return Order(**(content | changes))

    return make
