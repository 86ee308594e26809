"""A stub engine for each test, and orders to send."""

from __future__ import annotations

import asyncio
import inspect
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine function, in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames  # pyright: ignore[reportPrivateUsage]
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
