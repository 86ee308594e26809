"""gRPC beside a fast path that keeps the reactor awake: everybody makes progress, however many wait awake."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import grpc
import pytest

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from tests.conformance.drivers import bridge_config
from tests.waiting import eventually
from transport import BlockingFastPathClient, Order, OrderSide, OrderType

TIMEOUT_S = 60
CALLERS = 16
STREAMS = 4
# Far more than any of them can have had in flight when the others began.
ENOUGH = 100


class Progress:
    """What each of several threads has done, and what went wrong in any."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.problems: list[BaseException] = []
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, steps: Callable[[], Iterator[object]]) -> None:
        """Runs `steps` in a thread until the end; each item is progress."""
        self.done[name] = 0

        def run() -> None:
            try:
                for _ in steps():
                    self.done[name] += 1
                    if self.stop.is_set():
                        return
            except BaseException as problem:
                self.problems.append(problem)

        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Stops all threads and waits for them."""
        self.stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive(), f"{thread.name} waits for ever"


def small_order(order_id: str) -> Any:
    return pb.TradeOrder(order_id=order_id, symbol="NASDAQ", quantity=1.0)


def calls(service: Any, caller: int) -> Iterator[object]:
    number = 0
    while True:
        number += 1
        yield service.ExecuteOrder(small_order(f"call-{caller}-{number}"), timeout=TIMEOUT_S)


def streamed(service: Any, stream: int, stop: threading.Event) -> Iterator[object]:
    def orders() -> Iterator[Any]:
        number = 0
        while not stop.is_set():
            number += 1
            yield small_order(f"stream-{stream}-{number}")

    yield from service.ExecuteBatchOrders(orders(), timeout=TIMEOUT_S)


def fast_orders(engine: Any) -> Iterator[object]:
    with BlockingFastPathClient(bridge_config(engine)) as client:
        while True:
            order = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
            yield client.execute_order(order)


@pytest.mark.parametrize("durability", ["os", "always"])
def test_calls_streams_and_health_all_go_on_while_the_fast_path_spins(start_engine: Any, durability: str) -> None:
    engine = start_engine(durability=durability, arguments=("--spin-us", "10000"))
    progress = Progress()
    with grpc.insecure_channel(engine.grpc) as channel, grpc.insecure_channel(engine.grpc) as lone:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        beside = execution_pb2_grpc.ExecutionServiceStub(lone)
        progress.start("fast path", lambda: fast_orders(engine))
        for number in range(CALLERS):
            progress.start(f"call {number}", lambda number=number: calls(service, number))
        for number in range(STREAMS):
            progress.start(f"stream {number}", lambda number=number: streamed(service, number, progress.stop))
        health = pb.HealthCheckRequest()
        progress.start("health", lambda: iter(lambda: beside.HealthCheck(health, timeout=TIMEOUT_S), None))
        try:
            eventually(
                lambda: progress.problems or min(progress.done.values()) >= ENOUGH,
                f"everybody has done {ENOUGH}",
                TIMEOUT_S,
            )
        finally:
            progress.end()
    assert progress.problems == []
