"""A stub engine for each test, and orders to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.fallback_grpc.stub_engine import StubEngine
from transport.contract.codes import OrderSide, OrderType
from transport.contract.orders import Order


@pytest.fixture
def engine() -> Iterator[StubEngine]:
    stub = StubEngine().start()
    yield stub
    stub.stop()


@pytest.fixture
def order() -> Callable[..., Order]:
    """Makes an order to buy one NASDAQ at market, with changes."""

    def make(**changes: Any) -> Order:
        content: dict[str, Any] = {
            "symbol": "NASDAQ", "order_type": OrderType.MARKET, "side": OrderSide.BUY, "quantity": Decimal(1),
        }  # fmt: skip
        return Order(**(content | changes))

    return make
